"""What becomes of single cells, and of data sets that a format cannot hold: cells.yaml, and the limits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets.read_back import READ, dataset

from fhir_ivig.datasets import excel, output
from fhir_ivig.datasets.output import writer
from fhir_ivig.issue import IssueError

CASES = yaml.safe_load((Path(__file__).parent / "cells.yaml").read_text("utf-8"))
FORMS = [(case, kind) for case in CASES for kind in case["in"]]


@pytest.mark.parametrize(("case", "kind"), FORMS, ids=[f"{case['name']}-{kind}" for case, kind in FORMS])
def test_cell(case: dict[str, Any], kind: str, tmp_path: Path) -> None:
    times = case.get("times", 1)
    made = dataset({"KEY": ["1", "2"], "CELL": [None, case["cell"] * times]}, {"KEY": "text", "CELL": case["kind"]})
    if "length" in case:
        key, cell = made.variables
        made = replace(made, variables=(key, replace(cell, length=case["length"])))
    issues = writer(kind)([made], tmp_path)
    assert READ[kind](tmp_path)["CELL"] == [None, case["back"] and case["back"] * times]
    assert [f"{issue.severity} {issue.code}" for issue in issues] == case["issues"]
    assert all((issue.row, issue.column) == (3, "CELL") for issue in issues)


@pytest.mark.parametrize("name", ["a/b", "x" * 32, "", "'a", "HISTORY", "ae"])
def test_a_sheet_that_cannot_be_named_is_left_out(name: str, tmp_path: Path) -> None:
    good, bad = dataset({"KEY": ["1"]}), dataset({"KEY": ["2"]}, name=name)
    (issue,) = writer("excel")([good, bad], tmp_path)
    assert (issue.severity, issue.column) == ("error", None)
    assert "left out" in issue.text
    assert READ["excel"](tmp_path) == {"KEY": ["1"]}


def test_a_sheet_with_too_many_rows_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = dataset({"KEY": ["1", "2"]})
    monkeypatch.setattr(excel, "ROWS", 3)
    assert writer("excel")([made], tmp_path) == []
    monkeypatch.setattr(excel, "ROWS", 2)
    (tmp_path / excel.FILE).unlink()
    (issue,) = writer("excel")([made], tmp_path)
    assert (issue.severity, issue.code) == ("error", "too-long")
    assert not (tmp_path / excel.FILE).exists()


def test_a_sheet_looks_as_it_should(tmp_path: Path) -> None:
    from openpyxl import load_workbook

    writer("excel")([dataset({"KEY": ["=1"], "VALUE": ["612.60"], "COUNT": ["123456789012"]})], tmp_path)
    sheet = load_workbook(tmp_path / excel.FILE)["AE"]
    assert sheet.freeze_panes == "A2"
    assert sheet["A1"].font.bold
    assert [sheet[cell].quotePrefix for cell in ("A2", "B2")] == [True, False]
    assert (sheet["B2"].value, sheet["B2"].number_format) == (612.6, "0.00")
    assert (sheet["C2"].value, sheet["C2"].number_format) == (123456789012, "0")


def test_dataset_json_describes_its_columns(tmp_path: Path) -> None:
    import json

    cells: dict[str, list[str | None]] = {"DAY": ["2003-05-17"], "KEY": ["ab"], "VALUE": ["1.50"], "COUNT": ["3"]}
    made = replace(dataset(cells), keys=("KEY", "DAY"))
    assert writer("dataset-json")([made], tmp_path) == []
    written = json.loads((tmp_path / "AE.json").read_text("utf-8"))
    assert (written["itemGroupOID"], written["datasetJSONVersion"]) == ("IG.AE", "1.1.0")
    assert list(written)[-2:] == ["columns", "rows"]
    label = "Label of"
    assert written["columns"] == [
        {"itemOID": "IT.AE.DAY", "name": "DAY", "label": f"{label} DAY", "dataType": "date", "keySequence": 2},
        {
            "itemOID": "IT.AE.KEY",
            "name": "KEY",
            "label": f"{label} KEY",
            "dataType": "string",
            "length": 2,
            "keySequence": 1,
        },
        {
            "itemOID": "IT.AE.VALUE",
            "name": "VALUE",
            "label": f"{label} VALUE",
            "dataType": "decimal",
            "targetDataType": "decimal",
            "length": 4,
        },
        {"itemOID": "IT.AE.COUNT", "name": "COUNT", "label": f"{label} COUNT", "dataType": "integer"},
    ]
    assert written["rows"] == [["2003-05-17", "ab", "1.50", 3]]


@pytest.mark.parametrize(
    ("cells", "data_type"),
    [
        (["2003-05-17T09:30:00Z", None], "datetime"),
        (["2003-05-17", "2003-05-18"], "date"),
        (["2003-05-17", "2003-05-17T09:30:00Z"], "string"),
        (["2003-05-17", "2003"], "string"),
    ],
)
def test_a_column_of_dates_is_what_all_its_cells_are(cells: list[str | None], data_type: str, tmp_path: Path) -> None:
    import json

    issues = writer("dataset-json")([dataset({"WHEN": cells}, {"WHEN": "datetime"})], tmp_path)
    written = json.loads((tmp_path / "AE.json").read_text("utf-8"))
    assert written["columns"][0]["dataType"] == data_type
    assert len(issues) == (data_type == "string")


@pytest.mark.parametrize("kind", ["dataset-json", "dataset-ndjson"])
def test_a_data_set_does_not_take_the_place_of_the_list_of_issues(kind: str, tmp_path: Path) -> None:
    (issue,) = writer(kind)([dataset({"KEY": ["1"]}, name="issues")], tmp_path)
    assert (issue.severity, issue.code) == ("error", "conflict")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("label", ["x" * 41, "Größe"])
def test_a_label_that_sas_cannot_hold_is_left_out(label: str, tmp_path: Path) -> None:
    import pyreadstat

    made = dataset({"KEY": ["1"]})
    made = replace(made, label=label, variables=(replace(made.variables[0], label=label),))
    issues = writer("xpt")([made], tmp_path)
    assert [(issue.severity, issue.file) for issue in issues] == [("warning", "AE.xpt")] * 2
    _, about = pyreadstat.read_xport(tmp_path / "AE.xpt", output_format="dict")
    assert [about.file_label or "", about.column_labels[0] or ""] == ["", ""]


def test_a_last_row_that_sas_would_not_see_is_told(tmp_path: Path) -> None:
    (issue,) = writer("xpt")([dataset({"KEY": ["1", None], "TERM": ["a", None]})], tmp_path)
    assert (issue.severity, issue.row) == ("error", 3)
    assert writer("xpt")([dataset({"KEY": [None, "1"], "TERM": [None, None]})], tmp_path) == []
    assert writer("xpt")([dataset({"KEY": ["1", None], "COUNT": ["1", None]})], tmp_path) == []


@pytest.mark.parametrize(("kind", "extra"), [("excel", "excel"), ("xpt", "sas")])
def test_a_package_that_is_not_there_is_named(kind: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "find_spec", lambda name: None)
    with pytest.raises(IssueError, match=rf'pip install "fhir-ivig\[{extra}\]"'):
        writer(kind)
    assert writer("csv")
