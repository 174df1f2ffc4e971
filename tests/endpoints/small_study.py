"""A small study written by hand: three subjects with the awkward parts, and the sample study as it stands."""

from __future__ import annotations

import csv
import io
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from fhir_ivig.yamltext import load, plain

SAMPLE = Path(__file__).parents[2] / "sample_bundles" / "hara2003"

COLUMNS = {
    "subjects": "subject,sex,birth_date,diagnosis",
    "courses": "subject,course,planned_days",
    "infusions": "subject,course,day,start,dose,unit,status",
    "assessments": "subject,visit,date,measure,sign,value,unit,scale_max,missing_reason",
    "medications": "subject,medication,dose,unit,start,end",
    "adverse_events": "subject,event,course,causality",
    "dispositions": "subject,analysed",
}

ROWS = {
    "subjects": "A,male,1950-06-15,PM\nB,female,1951,DM\nC,,1960-02-29,PM",
    "courses": "A,1,2\nB,1,2\nC,1,2",
    "infusions": "A,1,1,2001-06-15T09:00:00+09:00,20,g,completed\nA,1,2,2001-06-16,22,g,completed\n"
    "B,1,1,2001-12-31,24,g,stopped\nB,1,2,2002-01-01,,,not-done\nC,1,1,2001-03-01,,,not-done",
    "assessments": "A,pre,2001-05-01,MMT,,60,score,100,\nA,base,2001-06-15,MMT,,60.5,score,100,\n"
    "A,end,2001-09-01,MMT,,70.0,score,100,\nB,base,2001-12-30,MMT,,50,score,100,\n"
    "B,end,2002-03-01,MMT,,58.5,score,100,\nA,base,2001-06-15,weight,,50,kg,,\n"
    "B,end,2002-03-01,weight,,60,kg,,\nA,end,2001-09-01,grade,,better,,,\nB,end,2002-03-01,grade,,,,,not-performed",
    "medications": "A,steroid,60,mg/d,2001-05-01,2001-06-20\nA,steroid,20,mg/d,2001-06-21,2001-08-01\n"
    "B,steroid,40,mg/d,2001-01-01,",
    "adverse_events": "A,1,1,possible\nA,2,1,related\nB,1,1,unrelated\nB,2,,",
    "dispositions": "A,yes\nB,yes\nC,no",
}

STUDY: dict[str, Any] = {
    "visits": [
        {"visit": "pre", "day": "-45"},
        {"visit": "base", "day": "0"},
        {"visit": "end", "day": "84"},
        {"visit": "someday"},
    ],
    "measures": {
        "MMT": {"label": "Strength", "unit": "score", "better": "higher", "scale_max": "100"},
        "weight": {"unit": "kg"},
        "grade": {"label": "Grade"},
    },
    "populations": {
        "treated": {"label": "Treated", "table": "infusions", "where": {"status": ["completed", "stopped"]}},
        "everyone": {"table": "subjects"},
        "nobody": {"table": "dispositions", "where": {"analysed": "perhaps"}},
        "lost": {"table": "registrations"},
        "better": {"of": "treated", "table": "assessments", "where": {"measure": "grade", "value": "better"}},
    },
}


def tables(**rows: str) -> dict[str, pa.Table]:
    """The hand-written tables, those named replaced by these rows (CSV without header)."""
    return {name: table(COLUMNS[name], body) for name, body in (ROWS | rows).items()}


def table(header: str, body: str) -> pa.Table:
    names = header.split(",")
    rows = list(csv.reader(io.StringIO(body)))
    assert all(len(row) == len(names) for row in rows)
    return pa.table({name: pa.array([row[i] or None for row in rows], pa.string()) for i, name in enumerate(names)})


@cache
def sample() -> tuple[dict[str, Any], dict[str, pa.Table]]:
    """The sample study's file and its tables."""
    study = plain(load(SAMPLE / "study.yaml"))
    found = {}
    for name in study["tables"]:
        header, _, body = (SAMPLE / f"{name}.csv").read_text("utf-8").partition("\n")
        found[name] = table(header, body)
    return study, found
