"""Which rows of two small tables belong together, and what is said of those that do not."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml

import fhir_ivig
from fhir_ivig.study.study import Study
from fhir_ivig.verification.difference import Difference, Verification, total

CASES = yaml.safe_load((Path(__file__).parent / "matching.yaml").read_text("utf-8"))
STUDY = """study: small
title: A small study
status: active
base: https://example.org/studies/small
fhir_version: R4
visits:
  - {visit: w0, day: '0', window: ['-3', '3']}
  - {visit: w2, day: '14', window: ['10', '20']}
  - {visit: w4, day: '28', window: ['24', '40']}
measures:
  CK: {label: Creatine kinase, unit: U/L}
  LD: {label: Lactate dehydrogenase, unit: U/L, tolerance: '0.5', tolerance_days: '1'}
tables: {courses: {}, assessments: {}}
"""
COLUMNS = ("subject", "visit", "date", "measure", "value", "unit")


def folder(path: Path, rows: list[str], course: bool) -> Path:
    """A study of these assessments, with a course of subject A that begins on 17 May 2003."""
    path.mkdir()
    (path / "study.yaml").write_text(STUDY, "utf-8")
    (path / "courses.csv").write_text("subject,course,start\n" + "A,1,2003-05-17\n" * course, "utf-8")
    with (path / "assessments.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([["" if cell == "-" else cell for cell in (*row.split(), "U/L")[:6]] for row in rows])
    return path


def compared(case: dict[str, Any], path: Path) -> Verification:
    study = Study.load(folder(path / "study", case["study"], case.get("course", True)) / "study.yaml")
    return fhir_ivig.diff_study(study, folder(path / "record", case["record"], case.get("course", True)))


def fits(one: Difference, wanted: list[Any]) -> bool:
    kind, certain, rows, *values = wanted
    same = (one.kind, one.certain, one.rows) == (kind, certain, rows)
    return same and all(
        value is None if text is None else value is not None and text in value
        for text, value in zip(values, (one.study, one.record, one.why), strict=False)
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_rows_are_put_together(case: dict[str, Any], tmp_path: Path) -> None:
    found = compared(case, tmp_path)
    wanted = case.get("finds", [])
    shown = [(one.kind, one.certain, one.rows, one.study, one.record) for one in found.differences]
    assert len(shown) == len(wanted), shown
    for each in wanted:
        assert any(fits(one, each) for one in found.differences), (each, shown)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_what_is_uncertain_is_never_equal(case: dict[str, Any], tmp_path: Path) -> None:
    found = compared(case, tmp_path)
    unsure = [one for one in found.differences if not one.certain]
    sums = total(found.agreement)
    assert (sums.uncertain > 0) == bool(unsure)
    if unsure and len(case["study"]) == len(case["record"]) == 1:
        assert sums.equal == 1  # the course's start
