"""Rows in memory through one mapping, as the README shows: frames, Arrow tables, dicts, objects of fhir.resources."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import fhir_ivig

BASE = "https://example.org/studies/mine"
ROWS = [
    {"subject": "S1", "visit": "week 0", "date": "2003-05", "measure": "CK", "value": "612.60", "unit": "U/L"},
    {
        "subject": "S2",
        "visit": "week 4",
        "date": "2003-06-17",
        "measure": "CK",
        "value": "10",
        "sign": "<",
        "unit": "U/L",
    },
]


@pytest.fixture(params=["R4", "R4B", "R5"])
def ck(request: pytest.FixtureRequest) -> Any:
    return fhir_ivig.bind_mapping("creatine_kinase", base=BASE, version=request.param)


def filled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: cell for name, cell in row.items() if cell is not None} for row in rows]


@pytest.mark.parametrize("shape", [list, pd.DataFrame, pa.Table.from_pylist, pa.RecordBatch.from_pylist])
def test_rows_of_every_shape_go_both_ways(ck: Any, shape: Any) -> None:
    rows = [{**dict.fromkeys(ROWS[1]), **row} for row in ROWS]
    written = ck.write(shape(rows))
    assert (written.issues, written.count) == ([], 2)
    lines = written.json_lines()
    assert '"value":612.60' in lines[0]
    back = ck.read(lines)
    assert back.issues == []
    assert filled(back.to_dicts()) == filled(rows)
    frame = back.to_frame()
    assert frame["value"].tolist() == ["612.60", "10"]
    assert ck.write(frame).json_lines() == lines
    assert [ref.partition("/")[0] for ref in back.resources] == ["Observation"] * 2


def test_objects_of_fhir_resources(ck: Any) -> None:
    objects, issues = ck.write_objects(ROWS)
    assert issues == []
    assert [type(each).__name__ for each in objects] == ["Observation"] * 2
    assert objects[0].valueQuantity.value == Decimal("612.60")
    back = ck.read_objects(objects)
    assert [Decimal(row["value"]) for row in back.to_dicts()] == [Decimal("612.60"), Decimal(10)]
    assert filled(back.to_dicts())[1] == ROWS[1]


def test_exact_values_are_taken_and_floats_refused(ck: Any) -> None:
    row = {**ROWS[0], "value": Decimal("612.60"), "date": date(2003, 5, 17)}
    assert '"value":612.60' in ck.write([row]).json_lines()[0]
    assert '"value":612,' in ck.write([{**row, "value": 612}]).json_lines()[0]
    for rows in ([{**row, "value": 612.6}], pd.DataFrame([{**ROWS[0], "value": 612.6}])):
        with pytest.raises(fhir_ivig.IssueError) as raised:
            ck.write(rows)
        [issue] = raised.value.issues
        assert (issue.code, issue.row, issue.column) == ("value", 2, "value")


def test_what_is_wrong_is_told(ck: Any) -> None:
    written = ck.write([{**ROWS[0], "value": "much"}, ROWS[1]])
    assert (written.count, written.withheld) == (1, 1)
    assert [(issue.row, issue.column) for issue in written.issues] == [(2, "value")]
    read = ck.read(["{", {"resourceType": "Patient", "id": "a"}, written.json_lines()[0]])
    assert read.batch.num_rows == 1
    assert {issue.row for issue in read.issues} == {1, 2}
    nothing = ck.read([])
    assert (nothing.to_dicts(), nothing.batch.schema.names) == ([], list(ck.mapping.columns))


def test_unknown_names() -> None:
    with pytest.raises(fhir_ivig.IssueError, match="There is no mapping `grip`"):
        fhir_ivig.bind_mapping("grip", base=BASE)
    with pytest.raises(fhir_ivig.IssueError, match="use R4, R4B or R5"):
        fhir_ivig.bind_mapping("patient", base=BASE, version="R3")
    with pytest.raises(fhir_ivig.IssueError, match="no column `weight`"):
        fhir_ivig.bind_mapping("patient", base=BASE).write([{"weight": "70"}])


def test_whole_studies(tmp_path: Path) -> None:
    study = fhir_ivig.Study.load(Path(__file__).parents[2] / "sample_bundles/hara2003/study.yaml")
    assert fhir_ivig.export(study, tmp_path / "fhir").complete
    found = fhir_ivig.tabulate([tmp_path / "fhir"], study, tmp_path / "tables")
    assert (found.complete, found.resources) == (True, 559)
    assert fhir_ivig.push(study, str(tmp_path / "outbox"), journal=tmp_path / "journal").complete
    assert fhir_ivig.pull(study, str(tmp_path / "outbox"), tmp_path / "cohort").complete
    results, issues = fhir_ivig.compute_endpoints(tmp_path / "cohort")
    assert issues == []
    assert all(result.agrees for result in results if result.published is not None)
