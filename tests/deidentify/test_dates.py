"""Dates are moved, and what lies between them is not; ages are what they were, in years."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from fhir_ivig.deidentify.ages import born, years_between
from fhir_ivig.deidentify.dates import from_day_number, shifted, span
from fhir_ivig.endpoints.quantities import age, days
from fhir_ivig.study.texts import strings

DAYS = some.dates(date(1900, 1, 1), date(2060, 12, 31))
ZONES = some.sampled_from(["Z", "+09:00", "-03:30", "+14:00"])
TIMES = some.builds(lambda time, zone: f"{time.isoformat('seconds')}{zone}", some.times(), ZONES)
DATES = some.one_of(DAYS.map(str), some.builds(lambda day, time: f"{day}T{time}", DAYS, TIMES))
PARTIAL = some.one_of(DAYS.map(lambda day: f"{day}"[:7]), DAYS.map(lambda day: f"{day}"[:4]))
MOVES = some.integers(29_220, 47_482)


def moved(texts: list[str | None], by: int) -> list[str | None]:
    new, out, _, _ = shifted(strings(texts), np.full(len(texts), by))
    assert not out.any()
    found: list[str | None] = new.to_pylist()
    return found


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


@settings(deadline=None)
@given(some.lists(some.one_of(some.none(), DATES), min_size=1), MOVES)
def test_every_interval_is_as_it_was(texts: list[str | None], by: int) -> None:
    new = moved(texts, by)
    assert [text is None for text in new] == [text is None for text in texts]
    pairs = [(old, text) for old, text in zip(texts, new, strict=True) if old and text]
    assert all(old[10:] == text[10:] for old, text in pairs)
    for (old, text), (next_old, next_text) in pairwise(pairs):
        between = date.fromisoformat(next_old[:10]) - date.fromisoformat(old[:10])
        assert date.fromisoformat(next_text[:10]) - date.fromisoformat(text[:10]) == between
        if "T" in old and "T" in next_old:
            assert instant(next_text) - instant(text) == instant(next_old) - instant(old)


@settings(deadline=None)
@given(PARTIAL, MOVES)
def test_a_month_or_year_holds_the_days_it_can_mean(text: str, by: int) -> None:
    new, out, partial, two = shifted(strings([text]), np.array([by]))
    first, last = (day + timedelta(by) for day in span(text))
    begins, ends = span(new[0].as_py())
    assert (out[0], partial[0], two[0]) == (False, True, first.year != last.year)
    inside = (min(last, ends) - max(first, begins)).days + 1
    assert inside * 2 >= (last - first).days + 1 if two[0] else begins <= first <= last <= ends
    assert len(new[0].as_py()) <= 7


@pytest.mark.parametrize(
    "text", ["1799-12-31", "1799", "2150-01-01", "2150-01", "9999-12-31", "2200-01-01T10:00:00Z"]
)
def test_what_leaves_the_years_is_not_moved(text: str) -> None:
    new, out, _, _ = shifted(strings([text, "2003-05-17"]), np.array([30_000, 30_000]))
    assert out.tolist() == [True, False]
    assert new[1].as_py() == "2085-07-05"
    assert from_day_number(0) == date(1970, 1, 1)


def aged(birth: str, on: date) -> int | None:
    """The age as endpoints have it."""
    born_in, then = days(birth), days(on.isoformat())
    assert born_in
    assert then
    return age(born_in, then)


BIRTHS = some.one_of(DAYS.map(str), PARTIAL)


@settings(deadline=None)
@given(BIRTHS, DAYS, MOVES, some.integers(0, 2000))
def test_ages_are_as_they_were(birth: str, first: date, by: int, later: int) -> None:
    last = first + timedelta(later)
    new, pooled = born(birth, first, last, by)
    then = first + timedelta(by)
    oldest = years_between(span(birth)[0], last)
    if years_between(span(birth)[1], first) < 0:
        assert new is None
    elif oldest > 89:
        assert pooled
        assert new is not None
        assert aged(new, then) == 90
    elif new is None:  # no year leaves two ages open on its last day
        assert aged(birth, first) is None
        assert (then.month, then.day) == (12, 31)
    else:
        assert not pooled
        assert aged(new, then) == aged(birth, first)
        assert len(new) in (4, 7)


def test_the_month_of_birth_is_not_kept() -> None:
    """Everybody of an age has the same birth date, seen from the first infusion."""
    first = date(2003, 5, 17)
    births = [f"1960-{month:02}-{day:02}" for month in range(6, 13) for day in (1, 15, 28)]
    assert {born(birth, first, first, 30_000) for birth in births} == {("2043-06", False)}
