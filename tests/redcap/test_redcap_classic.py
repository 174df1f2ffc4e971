"""A project with one row a subject, whose fields name the visit: proposed, pulled, to FHIR, and back into REDCap."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from servers.redcap import TOKEN, redcap

from fhir_ivig.cli import main
from fhir_ivig.redcap.dictionary import COLUMNS

FIELDS = [  # name, form, kind, label, choices, note, validation
    ["id", "demographics", "text", "ID"],
    ["sex", "demographics", "radio", "Sex", "1, F | 2, M"],
    ["day_bl", "labs", "text", "Day", "", "", "date_dmy"],
    ["ck_bl", "labs", "text", "CK", "", "U/L", "number_comma_decimal"],
    ["mmt_bl", "labs", "text", "MMT", "", "score", "integer"],
    ["day_wk12", "labs", "text", "Day", "", "", "date_dmy"],
    ["ck_wk12", "labs", "text", "CK", "", "U/L", "number_comma_decimal"],
    ["mmt_wk12", "labs", "text", "MMT", "", "score", "integer"],
]
EXPORT = """\
id,sex,demographics_complete,day_bl,ck_bl,mmt_bl,day_wk12,ck_wk12,mmt_wk12,labs_complete
A-1,2,1,2003-02-03,"1287,40",98,2003-04-28,"612,6",121,1
A-2,1,1,2003-02-10,840,110,2003-05-05,,118,1
"""
DECIDED = {
    "# study:": "study:", "# status": "status", "# base": "base", "# fhir": "fhir", "# par": "par",
    "# - {visit: baseline, day: ?}": "- {visit: baseline, day: 0}",
}  # fmt: skip


def run(*words: Any) -> Result:
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done


def project(folder: Path) -> None:
    folder.mkdir()
    with (folder / "dictionary.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for name, form, kind, label, choices, note, validation in (one + [""] * (7 - len(one)) for one in FIELDS):
            writer.writerow([name, form, "", kind, label, choices, note, validation, *[""] * (len(COLUMNS) - 8)])
    told = {"project": {"project_title": "Classic", "is_longitudinal": 0}, "instrument": []}
    (folder / "project.json").write_text(json.dumps(told), "utf-8")
    (folder / "export.csv").write_text(EXPORT, "utf-8")


def test_a_classic_project_there_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_IVIG_REDCAP_TOKEN", TOKEN)
    project(tmp_path / "project")
    trial, back = tmp_path / "trial", tmp_path / "back"
    with redcap(tmp_path / "project") as full, redcap(tmp_path / "project", empty=True) as empty:
        run("redcap", "pull", "--url", full.url, "--out", trial / "redcap")
        assert (trial / "redcap/export.csv").read_text("utf-8") == EXPORT
        run("init", "--from-redcap", trial / "redcap", "--out", trial)
        text = (trial / "study.yaml").read_text("utf-8")
        for left, right in DECIDED.items():
            assert left in text
            text = text.replace(left, right)
        (trial / "study.yaml").write_text(text, "utf-8")
        run("export", trial, "--out", tmp_path / "fhir")
        run("tabulate", tmp_path / "fhir", "--study", trial, "--out", back, "--as", "source", "--sort")
        words = ("redcap", "push", back / "redcap/export.csv", "--study", trial, "--form-status", "unverified")
        assert "0 cells sent" in run(*words, "--url", full.url).output
        assert "17 cells sent" in run(*words, "--url", empty.url).output
        assert empty.rows == full.rows
        assert "0 cells sent" in run(*words, "--url", empty.url).output
