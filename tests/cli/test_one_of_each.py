"""What there is one of, is told in the singular."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from done import Done

STUDY = """\
study: one
title: One of each
status: active
base: https://example.org/studies/one
fhir_version: R4
parameters: {mrn_system: 'https://hospital.example.org/mrn'}
measures: {CK: {label: Creatine kinase, unit: U/L, better: lower}}
visits: [{visit: week 0, day: 0}]
tables: {subjects: {}, assessments: {units: {CK: {ukat/L: 60}}}}
"""


def test_one_of_each(typed: Callable[..., Done], tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    (study / "study.yaml").write_text(STUDY)
    (study / "subjects.csv").write_text("subject,sex\nS-01,female\n")
    cells = "S-01,week 0,2024-03-01,CK,5,ukat/L\nS-01,week 0,2024-03-02,CK,many,U/L\n"
    (study / "assessments.csv").write_text(f"subject,visit,date,measure,value,unit\n{cells}")
    (tmp_path / "few.ndjson").write_text('{"resourceType": "Basic", "id": "b"}\n')
    said = {
        "check": typed("check", study).stderr,
        "push": typed("push", study, "--to", tmp_path / "outbox").stderr,
        "tabulate": typed("tabulate", tmp_path / "few.ndjson", "--study", study, "--out", tmp_path / "out").stderr,
    }
    assert "1 row of CK was converted from ukat/L to U/L" in said["check"]
    assert "1 subject, 1 study, 2 assessments would give " in said["check"]
    assert said["push"].endswith("; 1 row withheld.\n")
    assert " from 1 resource; " in said["tabulate"]
    assert re.findall(r"\b1 [a-z]+s\b", "".join(said.values())) == []
