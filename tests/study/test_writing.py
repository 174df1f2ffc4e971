"""What is written comes back, to the character; and tables from memory."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trial import MakeStudy

from fhir_ivig.issue import IssueError
from fhir_ivig.study.adapters import to_batch
from fhir_ivig.study.dictionary import dictionary
from fhir_ivig.study.tables import read_table
from fhir_ivig.study.writing import write_parquet, write_table

AWKWARD = st.text(st.sampled_from("a\",;\n\r\t' 0\u3099か゛👩‍⚕️é\u0301\ufeff\u2028ー¥\\"), max_size=8)
ANY = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffd"), max_size=20)
REASON = st.one_of(st.none(), (AWKWARD | ANY).map(lambda text: text if text.strip() else None))
COLUMNS = list(dictionary()["dispositions"].columns)


def batch_of(reasons: list[str | None]) -> pa.RecordBatch:
    rows = [{"subject": f"S{n}", "status": "on-study", "reason": reason} for n, reason in enumerate(reasons)]
    return to_batch(rows, dictionary()["dispositions"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reasons=st.lists(REASON, max_size=12), cut=st.integers(0, 12))
@pytest.mark.parametrize("write", [write_table, write_parquet])
def test_write_then_read(
    write: Any, reasons: list[str | None], cut: int, make_study: MakeStudy, tmp_path: Path
) -> None:
    batch = batch_of(reasons)
    file = "dispositions.parquet" if write is write_parquet else "dispositions.csv"
    write(tmp_path / file, [batch.slice(0, cut), batch.slice(cut)], COLUMNS)
    parts = list(read_table(make_study(tables={"dispositions": {"file": file}}), "dispositions", 5))
    assert [issue for part in parts for issue in part.issues] == []
    read = [row for part in parts for row in part.batch.to_pylist()]
    assert read == batch.to_pylist()


@settings(max_examples=150, deadline=None)
@given(reasons=st.lists(REASON, max_size=12))
def test_written_csv_is_what_others_read(reasons: list[str | None]) -> None:
    out = io.BytesIO()
    write_table(out, [batch_of(reasons)], COLUMNS)
    lines = list(csv.reader(io.StringIO(out.getvalue().decode(), newline=""), strict=True))
    assert lines[0] == COLUMNS
    assert [line[-1] for line in lines[1:]] == [reason or "" for reason in reasons]


def test_canonical_csv(tmp_path: Path) -> None:
    out = io.BytesIO()
    write_table(out, [batch_of(['a "b"', None, "c,d", "e f;g"]).slice(1)], ["subject", "reason"])
    assert out.getvalue() == b'subject,reason\nS1,\nS2,"c,d"\nS3,e f;g\n'
    write_table(tmp_path / "x.csv", [batch_of(["a", None])], ["reason"])
    assert (tmp_path / "x.csv").read_bytes() == b'reason\na\n""\n'
    write_table(tmp_path / "x.csv", [], ["a", "b"])
    assert (tmp_path / "x.csv").read_bytes() == b"a,b\n"


COURSE = {
    "subject": "S01",
    "course": "1",
    "start": "2003-05-17",
    "planned_dose": "0.40",
    "planned_dose_unit": None,
    "planned_days": "5",
}


DAY, DOSE = date(2003, 5, 17), Decimal("0.40")
IN_MEMORY = {"subject": ["S01"], "course": [1], "start": [DAY], "planned_dose": [DOSE], "planned_days": [5]}


@pytest.mark.parametrize(
    "given",
    [
        [{name: cells[0] for name, cells in IN_MEMORY.items()}],
        pd.DataFrame({**IN_MEMORY, "planned_dose_unit": [np.nan], "planned_days": pd.array([5], "Int64")}),
        pa.table({**IN_MEMORY, "course": pa.array([1], pa.int8())}),
        pa.RecordBatch.from_pylist([{**COURSE, "planned_dose_unit": ""}]),
    ],
    ids=["dicts", "pandas", "table", "batch"],
)
def test_tables_in_memory(given: Any) -> None:
    batch = to_batch(given, dictionary()["courses"])
    assert batch.to_pylist() == [COURSE]
    assert set(batch.schema.types) == {pa.string()}


def test_other_values() -> None:
    rows = [
        {"subject": "S01", "event": 1, "serious": True, "onset": datetime(2003, 5, 17, 9, 30, tzinfo=UTC)},
        {"subject": "S02", "event": pd.NA, "serious": np.False_, "onset": pd.NaT, "term": float("nan"), "end": ""},
    ]
    batch = to_batch(rows, dictionary()["adverse_events"])
    assert batch["serious"].to_pylist() == ["yes", "no"]
    assert batch["onset"].to_pylist() == ["2003-05-17T09:30:00+00:00", None]
    assert [batch[name].to_pylist()[1] for name in ("event", "term", "end")] == [None] * 3


@pytest.mark.parametrize(
    ("given", "row", "column", "said"),
    [
        ([{"planned_dose": "1"}, {"planned_dose": 0.4}], 3, "planned_dose", "`0.4` is a binary fraction"),
        (pd.DataFrame({"planned_dose": [0.4]}), 2, "planned_dose", "binary fraction"),
        (pa.table({"planned_dose": [None, 0.4]}), 3, "planned_dose", "binary fraction"),
        ([{"course": [1]}], 2, "course", "holds a list"),
        ([{"course": Decimal("Infinity")}], 2, "course", "holds a Decimal"),
        ([{"course": "\ud800"}], 2, "course", "not Unicode"),
        ([{"curse": "1"}], None, "curse", "no column `curse`"),
    ],
)
def test_values_without_an_exact_text(given: Any, row: int | None, column: str, said: str) -> None:
    with pytest.raises(IssueError) as raised:
        to_batch(given, dictionary()["courses"])
    [issue] = raised.value.issues
    assert (issue.row, issue.column) == (row, column)
    assert said in issue.text
