"""Every kind of wrong input, as cases; and files as they come from elsewhere."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet
from trial import MakeStudy

from fhir_ivig.study.study import Study
from fhir_ivig.study.tables import Rows, read_table

CASES = [
    (name, case)
    for name in ("cells", "files", "assessments")
    for case in yaml.safe_load((Path(__file__).parent / "cases" / f"{name}.yaml").read_text(encoding="utf-8"))
]


def whole(study: Study, name: str, block_rows: int = 1 << 15) -> tuple[list[str], list[int], list[Any], int]:
    """Rows as cells joined by |, their numbers, the Issues, and how many rows are withheld."""
    parts = list(read_table(study, name, block_rows))
    return (
        [row for part in parts for row in shown(part)],
        [number for part in parts for number in part.numbers.tolist()],
        [issue for part in parts for issue in part.issues],
        sum(part.withheld for part in parts),
    )


def shown(rows: Rows) -> list[str]:
    assert all(column.type == pa.string() for column in rows.batch.columns)
    assert len(rows.batch) == len(rows.numbers)
    return ["|".join(cell or "" for cell in row.values()) for row in rows.batch.to_pylist()]


@pytest.mark.parametrize("block_rows", [1 << 15, 2])
@pytest.mark.parametrize(("kind", "case"), CASES, ids=[f"{kind}: {case['name']}" for kind, case in CASES])
def test_case(kind: str, case: dict[str, Any], block_rows: int, make_study: MakeStudy, tmp_path: Path) -> None:
    if "hex" in case:
        (tmp_path / f"{case['table']}.csv").write_bytes(bytes.fromhex(case["hex"]))
    elif "text" in case:
        raw = case["text"].encode(case.get("encoding", "utf-8"))
        (tmp_path / f"{case['table']}.csv").write_bytes(raw)
    study = make_study(tables={case["table"]: case.get("source", {})}, **case.get("study", {}))
    rows, numbers, issues, withheld = whole(study, case["table"], block_rows)
    assert rows == case.get("rows", [])
    expected = case.get("issues", [])
    found = [(i.severity, i.code, i.row, i.column, i.text) for i in issues]
    assert len(found) == len(expected), found
    for issue, wanted in zip(issues, expected, strict=True):
        assert issue.file == f"{case['table']}.csv"
        places = (issue.severity, issue.code, issue.row, issue.column)
        assert places == (wanted.get("severity", "error"), wanted["code"], wanted.get("row"), wanted.get("column")), (
            found
        )
        assert wanted.get("has", "") in issue.text
    flawed = {issue.row for issue in issues if issue.severity == "error" and issue.row and issue.row > 1}
    assert withheld == len(flawed)
    if "numbers" in case:
        assert numbers == case["numbers"]


def test_folder_in_place_of_a_file(make_study: MakeStudy, tmp_path: Path) -> None:
    (tmp_path / "courses.csv").mkdir()
    [rows] = read_table(make_study(tables={"courses": {}}), "courses")
    assert (rows.issues[0].severity, rows.issues[0].code) == ("fatal", "structure")
    assert "folder" in rows.issues[0].text


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(make_study: MakeStudy, tmp_path: Path) -> None:
    (tmp_path / "courses.csv").write_text("subject\n")
    (tmp_path / "courses.csv").chmod(0)
    [rows] = read_table(make_study(tables={"courses": {}}), "courses")
    assert "Permission" in rows.issues[0].text


def test_table_not_named_is_absent(make_study: MakeStudy) -> None:
    assert list(read_table(make_study(), "courses")) == []


def test_study_is_a_table(make_study: MakeStudy) -> None:
    [rows] = read_table(make_study(), "studies")
    assert shown(rows) == ["try|A trial for trying|active"]


def test_row_longer_than_a_block(make_study: MakeStudy, tmp_path: Path) -> None:
    text = "subject,status,reason\nS01,on-study,a\nS02,on-study," + "x" * 3_000_000 + "\nS03,on-study,b\n"
    (tmp_path / "dispositions.csv").write_text(text)
    *_, last = read_table(make_study(tables={"dispositions": {}}), "dispositions")
    assert [issue.code for issue in last.issues] == ["structure"]
    assert "longer than" in last.issues[0].text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_many_blocks_keep_every_row_and_number(encoding: str, make_study: MakeStudy, tmp_path: Path) -> None:
    lines = ["subject,status,reason"]
    uneven, wrong = set(), set()
    for row in range(2, 60_002):
        if row % 7919 == 0:
            lines.append(f"S{row}")
            uneven.add(row)
        elif row % 6007 == 0:
            lines.append(f"S{row},nowhere,")
            wrong.add(row)
        else:
            lines.append(f'S{row},on-study,"頭痛, ""{row}""\nand more"')
    (tmp_path / "dispositions.csv").write_text("\n".join(lines), encoding=encoding, newline="")
    study = make_study(tables={"dispositions": {"encoding": encoding}})
    rows, numbers, issues, withheld = whole(study, "dispositions", 5000)
    assert {issue.row for issue in issues} == uneven | wrong
    assert withheld == len(uneven | wrong)
    assert numbers == [row for row in range(2, 60_002) if row not in uneven | wrong]
    assert rows == [f'S{n}|on-study|||||頭痛, "{n}"\nand more' for n in numbers]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1 << 20])
def test_quotes_cut_by_a_block(chunk: int, make_study: MakeStudy, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("fhir_ivig.study.stream.CHUNK", chunk)
    text = 'subject,status,reason\nS01,on-study,"a ""b"""\nS02,on-study,""\nS03,on-study,"c"\n'
    (tmp_path / "dispositions.csv").write_text(text)
    study = make_study(tables={"dispositions": {}})
    assert whole(study, "dispositions")[0] == ['S01|on-study|||||a "b"', "S02|on-study|||||", "S03|on-study|||||c"]
    (tmp_path / "dispositions.csv").write_text(text + 'S04,on-study,"d"e\n')
    assert whole(study, "dispositions")[2][-1].row == 5


def test_parquet(make_study: MakeStudy, tmp_path: Path) -> None:
    import datetime

    tokyo = datetime.timezone(datetime.timedelta(hours=9))
    columns = {
        "subject": pa.array(["S01", "S02", ""]).dictionary_encode(),
        "course": pa.array([1, 2, 3], pa.int64()),
        "start": pa.array([datetime.datetime(2003, 5, 17, 9, 30, tzinfo=tokyo)] * 3, pa.timestamp("ms", "+09:00")),
        "planned_dose": pa.array([Decimal("0.40"), None, Decimal("-1.00")], pa.decimal128(9, 2)),
        "planned_days": pa.array([None, None, None], pa.float64()),
    }
    parquet.write_table(pa.table(columns), tmp_path / "courses.parquet")
    rows, numbers, issues, withheld = whole(make_study(tables={"courses": {}}), "courses", 2)
    assert rows == ["S01|1|2003-05-17T09:30:00+09:00|0.40||", "S02|2|2003-05-17T09:30:00+09:00|||"]
    assert numbers == [2, 3]
    assert [(i.file, i.row, i.column, i.code) for i in issues] == [("courses.parquet", 4, "subject", "required")]
    assert withheld == 1


def test_parquet_with_binary_fractions(make_study: MakeStudy, tmp_path: Path) -> None:
    columns = {"subject": ["S01"] * 2, "course": ["1", "2"], "start": ["2003"] * 2, "planned_dose": [None, 0.4]}
    parquet.write_table(pa.table(columns), tmp_path / "courses.parquet")
    _, _, [issue], _ = whole(make_study(tables={"courses": {}}), "courses")
    assert (issue.file, issue.row, issue.column, issue.code) == ("courses.parquet", 3, "planned_dose", "value")
    assert "`0.4` is a binary fraction" in issue.text


def test_damaged_parquet(make_study: MakeStudy, tmp_path: Path) -> None:
    (tmp_path / "c.parquet").write_bytes(b"PAR1 nothing PAR1")
    _, _, [issue], _ = whole(make_study(tables={"courses": {"file": "c.parquet"}}), "courses")
    assert (issue.severity, issue.file) == ("fatal", "c.parquet")
    assert "damaged" in issue.text
