"""Which visit an assessment belongs to."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from trial import MakeStudy

from fhir_ivig.study.visits import assign_visits, first_days


def courses(*rows: tuple[str, str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"subject": [row[0] for row in rows], "start": [row[1] for row in rows]})


def test_first_days_over_batches() -> None:
    batches = [courses(("S01", "2003-06-01"), ("S02", "2003-05")), courses(("S01", "2003-05-17T09:00:00Z"))]
    assert first_days([*batches, courses(("S02", "2003-05-02"), ("S03", "2003-07"), ("S03", "2003-06-30"))]) == {
        "S01": "2003-05-17",
        "S02": "2003-05",
        "S03": "2003-06-30",
    }


FIRSTS = {"S01": "2003-05-17", "S02": "2003-05"}


@pytest.mark.parametrize(
    ("subject", "date", "visit", "found", "said"),
    [
        ("S01", "2003-05-17", None, "week 0", None),
        ("S01", "2003-05-03", None, "week 0", None),
        ("S01", "2003-05-02", None, None, "Day -15 is in no visit"),
        ("S01", "2003-05-18", None, None, "Day 1 is in no visit"),
        ("S01", "2003-06-07", None, "week 4", None),
        ("S01", "2003-06-28T23:59:00+09:00", None, "week 4", None),
        ("S01", "2003-06-29", None, None, "Day 43 is in no visit"),
        ("S01", "2003-06", None, None, "`2003-06` is not exact"),
        ("S01", None, None, None, "not exact"),
        ("S02", "2003-05-17", None, None, "`2003-05` is not exact"),
        ("S03", "2003-05-17", None, None, "no course"),
        ("S01", "2009-01-01", "week 0", "week 0", None),
    ],
)
def test_assign(
    subject: str, date: str | None, visit: str | None, found: str | None, said: str | None, make_study: MakeStudy
) -> None:
    # A second row without visit, so that one column always holds both.
    schema = pa.schema([(name, pa.string()) for name in ("subject", "visit", "date", "measure")])
    rows = {"subject": [subject, "S01"], "visit": [visit, None], "date": [date, "2003-06-14"], "measure": ["CK"] * 2}
    batch = pa.RecordBatch.from_pydict(rows, schema=schema)
    assigned, issues = assign_visits(make_study(), batch, FIRSTS, np.array([7, 8]), "a.csv")
    assert assigned["visit"].to_pylist() == [found, "week 4"]
    assert assigned.schema == schema
    places = [(issue.severity, issue.file, issue.row, issue.column) for issue in issues]
    assert places == ([("warning", "a.csv", 7, "visit")] if said else [])
    assert not said or said in issues[0].text


def test_without_windows(make_study: MakeStudy) -> None:
    batch = pa.RecordBatch.from_pydict(
        {"subject": ["S01"], "visit": pa.array([None], pa.string()), "date": ["2003-05-17"]}
    )
    assigned, [issue] = assign_visits(
        make_study(visits=[{"visit": "a", "day": "0"}]), batch, FIRSTS, np.array([2]), "a.csv"
    )
    assert assigned["visit"].to_pylist() == [None]
    assert "Day 0" in issue.text
