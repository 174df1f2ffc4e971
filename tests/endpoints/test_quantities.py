"""Numbers and dates as far as their text goes."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fhir_ivig.endpoints.quantities import age, agrees, days, decimal


@pytest.mark.parametrize(
    ("birth", "on", "years"),
    [
        ("1950-06-15", "2001-06-14", 50),
        ("1950-06-15", "2001-06-15T00:30:00+09:00", 51),
        ("1950-06", "2001-06-15", None),
        ("1950-06", "2001-06-30", 51),
        ("1950-06", "2001-07-01", 51),
        ("1950", "2001-06-15", None),
        ("1950", "2001-12-31", 51),
        ("1950", "2001", None),
        ("1960-02-29", "2001-02-28", 40),
        ("1960-02-29", "2001-03-01", 41),
    ],
)
def test_age(birth: str, on: str, years: int | None) -> None:
    first, second = days(birth), days(on)
    assert first is not None
    assert second is not None
    assert age(first, second) == years


@pytest.mark.parametrize(
    "text",
    [
        "2001-02-29",
        "0000",
        "0001-01-01",
        "1799",
        "2200-01-01",
        "9999-12-31",
        "01-02-2001",
        "2001-13",
        "",
        "2001-1-1",
        "\u0662001",
    ],
)
def test_what_is_no_date(text: str) -> None:
    assert days(text) is None


@pytest.mark.parametrize("text", ["<10", "1,5", "NaN", "inf", "1e400", "", " 1", "\u0663", "1" * 13, "+1", "."])
def test_what_is_no_number(text: str) -> None:
    assert decimal(text) is None


@pytest.mark.parametrize(
    ("ours", "printed", "same"),
    [
        ("67", "67.0", True),
        ("66.95", "67.0", True),
        ("66.949", "67.0", False),
        ("67.05", "67.0", False),
        ("-0.25", "-0.3", True),
        ("27.125", "27.1", True),
        ("13.333", "13", True),
    ],
)
def test_printed_precision_is_half_up(ours: str, printed: str, same: bool) -> None:
    assert agrees(Decimal(ours), Decimal(printed)) is same
