"""Infusions find their course by their day."""

from __future__ import annotations

import pyarrow as pa
import pytest

from fhir_ivig.study.courses import assign_courses, course_days

COURSES = [
    ("S1", "1", "2024-03-04", "5"),
    ("S1", "2", "2024-04-01T09:00:00+09:00", "5"),
    ("S1", "3", "2024-04-05", "5"),
    ("S2", "1", "2024-03", "5"),
    ("S3", "1", "2024-03-04", None),
]


def table(columns: str, rows: list[tuple[str | None, ...]]) -> pa.Table:
    names = columns.split()
    cells = list(zip(*rows, strict=True))
    return pa.table({name: pa.array(column, pa.string()) for name, column in zip(names, cells, strict=True)})


@pytest.mark.parametrize(
    ("subject", "start", "given", "found"),
    [
        ("S1", "2024-03-04", (None, None), ("1", "1")),
        ("S1", "2024-03-08T23:30:00-09:00", (None, None), ("1", "5")),
        ("S1", "2024-03-09", (None, None), ("1", "6")),  # put off by a day
        ("S1", "2024-03-10", (None, None), None),
        ("S1", "2024-03-03", (None, None), None),
        ("S1", "2024-03", (None, None), None),
        ("S1", "2024-04-04", (None, None), ("2", "4")),
        ("S1", "2024-04-05", (None, None), None),  # in two
        ("S1", "2024-03-05", (None, "7"), ("1", "7")),
        ("S1", "2024-03-05", ("2", None), ("2", None)),
        ("S2", "2024-03-04", (None, None), None),  # first day not known
        ("S3", "2024-03-04", (None, None), None),  # number of days not known
        ("S4", "2024-03-04", (None, None), None),
    ],
)
def test_course_of_a_day(
    subject: str, start: str, given: tuple[str | None, str | None], found: tuple[str, str | None] | None
) -> None:
    days = course_days([table("subject course start planned_days", COURSES)])
    infusions = table("subject course day start", [(subject, *given, start)])
    rows, issues = assign_courses(infusions, days, "infusions.csv")
    [row] = rows.to_pylist()
    assert (row["course"], row["day"]) == (found or given)
    severities = [] if given[0] else ["information" if found else "warning"]
    assert [(issue.severity, issue.file, issue.row) for issue in issues] == [
        (severity, "infusions.csv", 2) for severity in severities
    ]
