"""Two cells: equal, different and how, or not comparable and why."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_ivig.study.tolerances import Tolerance
from fhir_ivig.verification.dates import compare_dates
from fhir_ivig.verification.values import Scale, compare_codes, compare_numbers, compare_quantities, compare_texts
from fhir_ivig.verification.verdict import DIFFERENT, EQUAL, NOT_COMPARABLE, Verdict

CASES = yaml.safe_load((Path(__file__).parent / "values.yaml").read_text("utf-8"))
STATUS = {"equal": EQUAL, "different": DIFFERENT, "not comparable": NOT_COMPARABLE}


def scale(case: dict[str, Any]) -> Scale:
    known = {name: Decimal(case[name]) for name in ("tolerance", "percent") if name in case}
    factors = {unit: Decimal(by) for unit, by in case.get("factors", {}).items()}
    return Scale(Tolerance(known.get("tolerance"), known.get("percent")), case.get("unit"), factors)


def check(case: dict[str, Any], found: Verdict | None) -> None:
    if case["is"] == "no conversion":
        assert found is None
        return
    assert found is not None
    assert found.status == STATUS[case["is"]]
    assert found.kind == case.get("kind", found.kind)
    assert case.get("says", "") in found.why
    assert (found.status == EQUAL) == (found.kind == "")


@pytest.mark.parametrize("case", CASES["numbers"], ids=str)
def test_numbers(case: dict[str, Any]) -> None:
    check(case, compare_numbers(*case["cells"], scale(case)))


@pytest.mark.parametrize("case", CASES["quantities"], ids=str)
def test_quantities(case: dict[str, Any]) -> None:
    (one, unit), (other, their_unit) = (cell.split(" ") for cell in case["cells"])
    check(case, compare_quantities(one, unit, other, their_unit, scale(case)))


@pytest.mark.parametrize("case", CASES["dates"], ids=str)
def test_dates(case: dict[str, Any]) -> None:
    check(case, compare_dates(*case["cells"], case.get("days")))


def test_texts_are_compared_as_they_are() -> None:
    assert compare_texts("a", "a").status == EQUAL
    assert compare_texts("a", "A").status == DIFFERENT
    assert compare_codes("death;disability", "disability;death").status == EQUAL
    assert compare_codes("death;death", "death").status == DIFFERENT
