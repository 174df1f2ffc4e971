"""What is said of rows of other tables than assessments, and of tables that are not as they should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import fhir_ivig
from fhir_ivig.issue import IssueError, failed
from fhir_ivig.study.study import Study
from fhir_ivig.verification.difference import Verification

CASES = yaml.safe_load((Path(__file__).parent / "tables.yaml").read_text("utf-8"))
STUDY = """study: small
title: A small study
status: active
base: https://example.org/studies/small
fhir_version: R4
visits: [{visit: w0, day: '0'}]
measures: {CK: {label: Creatine kinase, unit: U/L}}
dictionary:
  diaries:
    about: Diaries
    key: [subject, day]
    columns: {subject: {type: code, about: Whose}, day: {type: code, about: Day}, pain: {type: decimal, about: Pain}}
"""


def folder(path: Path, case: dict[str, Any], side: str) -> Path:
    path.mkdir()
    (path / "study.yaml").write_text(f"{STUDY}tables: {{{case['table']}: {{}}}}\n", "utf-8")
    (path / f"{case['table']}.csv").write_text("\n".join([case["columns"], *case[side], ""]), "utf-8")
    return path


def compared(case: dict[str, Any], path: Path) -> Verification:
    study = Study.load(folder(path / "study", case, "study") / "study.yaml")
    return fhir_ivig.diff_study(study, folder(path / "record", case, "record"))


def fits(one: tuple[str | None, ...], wanted: list[str | None]) -> bool:
    return all(
        part is None if text is None else part is not None and text in part
        for part, text in zip(one, wanted, strict=False)
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_what_differs(case: dict[str, Any], tmp_path: Path) -> None:
    found = compared(case, tmp_path)
    shown = [(one.kind, one.study, one.record, one.why) for one in found.differences]
    assert len(shown) == len(case["finds"]), shown
    assert all(any(fits(one, wanted) for one in shown) for wanted in case["finds"]), shown
    assert failed(found.issues) == case.get("errors", False)


@pytest.mark.parametrize(("columns", "row"), [("subject;sex", "A;male"), ("subject,sex", 'A,"male')])
def test_a_table_that_cannot_be_read_is_not_compared_and_that_is_said(columns: str, row: str, tmp_path: Path) -> None:
    case = {"table": "subjects", "columns": columns, "study": ["B,male", row], "record": [row]}
    found = compared(case, tmp_path)
    assert (found.left_out, found.differences, found.equal) == (["subjects (the study's cannot be read)"], [], False)


def test_what_is_de_identified_is_not_held_against_what_is_not(tmp_path: Path) -> None:
    case = {"table": "subjects", "columns": "subject,sex", "study": ["A,male"], "record": ["B,male"]}
    compared(case, tmp_path)
    manifest = '{"deidentified": true, "complete": true, "issues": {}}'
    (tmp_path / "record/manifest.json").write_text(manifest)
    study = Study.load(tmp_path / "study/study.yaml")
    with pytest.raises(IssueError, match="is de-identified: none of its subjects"):
        fhir_ivig.diff_study(study, tmp_path / "record")
    (tmp_path / "study/manifest.json").write_text(manifest)
    assert len(fhir_ivig.diff_study(study, tmp_path / "record").differences) == 2
