"""Thirty discrepancies in a hospital's record are found, each is called what it is, and nothing else is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from seeding import make

import fhir_ivig
from fhir_ivig.study.study import Study
from fhir_ivig.verification.difference import Difference, Verification, total
from fhir_ivig.verification.queries import question
from fhir_ivig.verification.verdict import KINDS

CASES = yaml.safe_load((Path(__file__).parent / "seeded.yaml").read_text("utf-8"))
SEEDED: list[dict[str, Any]] = CASES["seeded"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Verification:
    study, record = make(tmp_path_factory.mktemp("seeded"), SEEDED + CASES["equal"])
    return fhir_ivig.diff_study(Study.load(study / "study.yaml"), record, incomplete=True)


def fits(one: Difference, wanted: dict[str, Any]) -> bool:
    return all(getattr(one, name) == value for name, value in wanted.items())


def test_there_are_thirty() -> None:
    assert len(SEEDED) == 30


@pytest.mark.parametrize("case", SEEDED, ids=lambda case: case["name"])
def test_each_is_found_once_and_called_what_it_is(case: dict[str, Any], found: Verification) -> None:
    near = [one for one in found.differences if one.subject == case["finds"]["subject"]]
    assert [fits(one, case["finds"]) for one in found.differences].count(True) == 1, near


def test_nothing_else_is_found(found: Verification) -> None:
    wanted = [case["finds"] for case in SEEDED]
    assert [one for one in found.differences if not any(fits(one, each) for each in wanted)] == []
    assert len(found.differences) == 30
    assert not found.equal


def test_every_cell_is_counted_once(found: Verification) -> None:
    """What is not equal is the cells that the differences are about."""
    sums = total(found.agreement)
    assert sums.cells == sums.equal + sums.different + sums.only_study + sums.only_record + sums.not_comparable
    assert sums.not_comparable == 1
    assert sums.uncertain == 0


def test_both_places_are_told(found: Verification) -> None:
    [one] = [one for one in found.differences if one.kind == "decimal shift"]
    assert one.study_place == "assessments.csv:3, column value"
    assert one.record_file == "assessments.csv"
    assert one.resource is not None
    assert one.resource.startswith("Observation/")


def test_a_site_is_asked_of_both_subjects_that_were_swapped(found: Verification) -> None:
    [one] = [one for one in found.differences if one.kind == "swapped subjects"]
    assert "under subject HARA-07, the hospital's record under HARA-08, and the reverse." in question(one)


@pytest.mark.parametrize("cases", [[], CASES["equal"]], ids=["nothing", "the same in other words"])
def test_with_none_seeded_none_is_found(cases: list[dict[str, Any]], tmp_path: Path) -> None:
    study, record = make(tmp_path, cases)
    found = fhir_ivig.diff_study(Study.load(study / "study.yaml"), record)
    assert found.differences == []
    assert found.left_out == []
    assert found.equal
    sums = total(found.agreement)
    assert sums.equal == sums.cells > 2000
    assert sums.percent == "100.0"


def test_most_kinds_are_seeded() -> None:
    rest = {"unreadable", "other subject", "uncertain match"}
    assert KINDS.keys() - rest == {case["finds"]["kind"] for case in SEEDED}
