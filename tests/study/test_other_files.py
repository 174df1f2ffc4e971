"""SAS transport files and Dataset-JSON as tables."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyreadstat
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from trial import MakeStudy

from fhir_ivig.issue import Issue
from fhir_ivig.study import dataset_json
from fhir_ivig.study.source import Source
from fhir_ivig.study.study import Study
from fhir_ivig.study.tables import read_table
from fhir_ivig.study.transport import blocks

NUMBERS = yaml.safe_load((Path(__file__).parent / "cases" / "sas_numbers.yaml").read_text("utf-8"))
LABS = {
    "columns": {"subject": "USUBJID", "date": "LBDTC", "value": "LBSTRESN", "unit": "LBSTRESU", "visit": "VISIT"},
    "constants": {"measure": "CK"},
    "codes": {"visit": {"BASE": "week 0"}},
}


def write_labs(path: Path, **columns: list[Any]) -> None:
    frame = pd.DataFrame(
        {
            "USUBJID": ["S01", "S02", "S03"],
            "VISIT": "BASE",
            "LBDTC": [datetime.date(2003, 5, 17), datetime.date(1950, 1, 2), datetime.date(2003, 5, 18)],
            "LBSTRESN": [612.6, 0.1, 1287.0],
            "LBSTRESU": "U/L",
            **columns,
        }
    )
    pyreadstat.write_xport(frame, path, column_labels=None, table_name="LB", file_format_version=5)


def read(study: Study, table: str = "assessments") -> tuple[list[str], list[Issue]]:
    parts = list(read_table(study, table))
    rows = ["|".join(cell or "" for cell in row.values()) for part in parts for row in part.batch.to_pylist()]
    return rows, [issue for part in parts for issue in part.issues]


def test_transport(make_study: MakeStudy, tmp_path: Path) -> None:
    write_labs(tmp_path / "lb.xpt")
    rows, issues = read(make_study(tables={"assessments": {"file": "lb.xpt", **LABS}}))
    assert issues == []
    assert rows == [
        "S01|week 0|2003-05-17|CK||612.6|U/L|||",
        "S02|week 0|1950-01-02|CK||0.1|U/L|||",
        "S03|week 0|2003-05-18|CK||1287|U/L|||",
    ]


def test_missing_values_of_sas(make_study: MakeStudy, tmp_path: Path) -> None:
    write_labs(tmp_path / "lb.xpt", LBSTRESN=[612.6, None, 1287.0])
    whole = (tmp_path / "lb.xpt").read_bytes()
    [value] = [block.columns["LBSTRESN"] for block in blocks(tmp_path / "lb.xpt", Source("x"), "lb.xpt")]
    assert value.to_pylist() == ["612.6", None, "1287"]
    at = whole.index(b".\0\0\0\0\0\0\0", whole.index(b"HEADER RECORD*******OBS"))
    (tmp_path / "lb.xpt").write_bytes(whole[:at] + b"A" + whole[at + 1 :])
    study = make_study(tables={"assessments": {"file": "lb.xpt", **LABS}})
    rows, [issue] = read(study)
    assert (len(rows), issue.row, issue.column, "missing value .A of SAS" in issue.text) == (2, 3, "value", True)
    study = make_study(tables={"assessments": {"file": "lb.xpt", "missing": [".A"], **LABS}})
    assert read(study)[1][0].text.startswith("There is no value")


def test_another_encoding(make_study: MakeStudy, tmp_path: Path) -> None:
    write_labs(tmp_path / "lb.xpt", LBSTRESU=["U/L", "XX", "U/L"])
    whole = (tmp_path / "lb.xpt").read_bytes()
    (tmp_path / "lb.xpt").write_bytes(whole.replace(b"XX", "µ".encode("latin-1") + b" "))
    study = make_study(tables={"assessments": {"file": "lb.xpt", **LABS}})
    issue = read(study)[1][0]
    assert (issue.row, issue.column, "cannot be read as utf-8" in issue.text) == (3, "unit", True)
    study = make_study(tables={"assessments": {"file": "lb.xpt", "encoding": "latin-1", **LABS}})
    assert "`µ`, but the measure has U/L" in read(study)[1][0].text


@pytest.mark.parametrize(
    ("cut", "says"),
    [
        (lambda whole: whole[:-30], "cut off"),
        (lambda whole: whole[:-80], "cut off"),
        (lambda whole: whole[:300], "damaged"),
        (lambda whole: b"x" + whole, "no SAS transport"),
        (lambda whole: b"", "no SAS transport"),
        (lambda whole: whole.replace(b"\0\1\0\0\0\x08", b"\0\1\0\0\0\x49", 1), "damaged"),  # a number of 73 bytes
    ],
)
def test_cut_off(cut: Any, says: str, make_study: MakeStudy, tmp_path: Path) -> None:
    write_labs(tmp_path / "lb.xpt", VISIT=["B" * 100] * 3)
    (tmp_path / "lb.xpt").write_bytes(cut((tmp_path / "lb.xpt").read_bytes()))
    rows, [issue] = read(make_study(tables={"assessments": {"file": "lb.xpt", **LABS}}))
    assert (rows, issue.severity, says in issue.text) == ([], "fatal", True), issue


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-1e60, 1e60).filter(lambda value: value == 0 or abs(value) > 1e-60), min_size=1, max_size=20)
)
def test_numbers_as_the_library_reads_them(tmp_path_factory: pytest.TempPathFactory, values: list[float]) -> None:
    path = tmp_path_factory.mktemp("x") / "a.xpt"
    pyreadstat.write_xport(pd.DataFrame({"A": values}), path, file_format_version=5)
    known = pyreadstat.read_xport(path)[0]["A"].tolist()
    [block] = blocks(path, Source("x"), "a.xpt")
    assert [f"{float(text):.15g}" for text in block.columns["A"].to_pylist()] == [f"{value:.15g}" for value in known]


@pytest.mark.parametrize("case", NUMBERS, ids=[case["format"] for case in NUMBERS])
def test_days_and_times_of_sas(case: dict[str, Any], tmp_path: Path) -> None:
    frame = pd.DataFrame({"A": [float(number) for number in case["numbers"]]})
    pyreadstat.write_xport(frame, tmp_path / "a.xpt", variable_format={"A": case["format"]}, file_format_version=5)
    [block] = blocks(tmp_path / "a.xpt", Source("x"), "a.xpt")
    assert block.columns["A"].to_pylist() == case["texts"]
    column = {"name": "A", "displayFormat": case["format"]}
    lines = [{"datasetJSONVersion": "1.1.0", "columns": [column]}, *([number] for number in case["numbers"])]
    (tmp_path / "a.ndjson").write_text("\n".join(map(json.dumps, lines)))
    [block] = dataset_json.blocks(tmp_path / "a.ndjson", "a.ndjson")
    assert block.columns["A"].to_pylist() == case["texts"]


COLUMNS = [{"itemOID": name, "name": name, "label": name, "dataType": "string"} for name in ("subject", "site")]
HEAD = {"datasetJSONVersion": "1.1.0", "name": "DM", "columns": COLUMNS}


@pytest.mark.parametrize("ending", ["json", "ndjson"])
def test_dataset_json(ending: str, make_study: MakeStudy, tmp_path: Path) -> None:
    rows = ['["S01", 612.60]', '["S02", null]', '["S03"]', '["S04", [1]]', '["S05", true]']
    head = json.dumps(HEAD)
    text = "\n".join([head, *rows]) if ending == "ndjson" else f'{head[:-1]}, "rows": [{", ".join(rows)}]}}'
    (tmp_path / f"dm.{ending}").write_text(text)
    found, issues = read(make_study(tables={"subjects": {"file": f"dm.{ending}"}}), "subjects")
    assert found == ["S01|||||||612.60", "S02|||||||", "S05|||||||yes"]
    assert [(issue.row, issue.code) for issue in issues] == [(4, "structure"), (5, "structure")]
    assert "The row has 1 cell, and there are 2 columns" in issues[0].text


@pytest.mark.parametrize("ending", ["json", "ndjson"])
def test_fewer_rows_than_the_file_says(ending: str, make_study: MakeStudy, tmp_path: Path) -> None:
    head = json.dumps({**HEAD, "records": 2})
    text = f'\ufeff{head}\n["S01", "A"]\n' if ending == "ndjson" else f'\ufeff{head[:-1]}, "rows": [["S01", "A"]]}}'
    (tmp_path / f"dm.{ending}").write_text(text, "utf-8")
    rows, [issue] = read(make_study(tables={"subjects": {"file": f"dm.{ending}"}}), "subjects")
    assert (len(rows), issue.severity, issue.code) == (1, "fatal", "incomplete")
    assert issue.text.startswith("`records` says 2, and there are 1: it was cut off")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "no JSON"),
        ("", "no JSON"),
        ('{"a": 1}', "not Dataset-JSON 1.1"),
        ('{"datasetJSONVersion": "1.1.0"}', "no names"),
    ],
)
def test_no_dataset_json(text: str, says: str, make_study: MakeStudy, tmp_path: Path) -> None:
    (tmp_path / "dm.json").write_text(text)
    rows, [issue] = read(make_study(tables={"subjects": {"file": "dm.json"}}), "subjects")
    assert (rows, issue.severity, says in issue.text) == ([], "fatal", True), issue


def test_a_kind_that_is_not_read(make_study: MakeStudy, tmp_path: Path) -> None:
    (tmp_path / "dm.sas7bdat").write_bytes(bytes(100))
    rows, [issue] = read(make_study(tables={"subjects": {"file": "dm.sas7bdat"}}), "subjects")
    assert (rows, issue.severity, issue.code) == ([], "fatal", "not-supported")
    assert issue.text.startswith("Files of the kind .sas7bdat are not read: export it as CSV")
