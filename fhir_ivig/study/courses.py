"""Infusions without a course find theirs by their day: hospitals do not number a study's courses."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

from fhir_ivig.issue import Issue

if TYPE_CHECKING:
    import pyarrow as pa

Days = list[tuple[str, date, int]]  # a subject's courses: name, first day, planned days


def course_days(courses: Iterable[pa.RecordBatch | pa.Table]) -> dict[str, Days]:
    """Each subject's courses whose first day is exact and whose number of days is known."""
    found: dict[str, Days] = {}
    for batch in courses:
        for row in batch.select(["subject", "course", "start", "planned_days"]).to_pylist():
            start, days = _day(row["start"]), row["planned_days"] or ""
            if row["subject"] and row["course"] and start and days.isascii() and days.isdigit():
                found.setdefault(row["subject"], []).append((row["course"], start, int(days)))
    return found


def assign_courses(infusions: pa.Table, courses: dict[str, Days], file: str) -> tuple[pa.Table, list[Issue]]:
    """The infusions with `course` and `day` filled where the course was empty and one course holds their day.

    A course holds the days from its first to `planned_days` after it, so that it may be put off by a day; the first
    is day 1. A `day` that is there stays. Out: the table, and an information Issue for each course assigned, a
    warning for each row that stays without: no course or two hold it, or a day is not exact. Rows as in `file`.
    """
    import pyarrow as pa

    rows, issues = infusions.to_pylist(), []
    for number, row in enumerate(rows, 2):
        if row["course"] is not None:
            continue
        given = _day(row["start"])
        held = [
            (course, (given - first).days + 1)
            for course, first, days in courses.get(row["subject"], [])
            if given and 0 <= (given - first).days <= days
        ]
        if len(held) == 1:
            row["course"], day = held[0]
            row["day"] = row["day"] or str(day)
            said = f"The infusion belongs to course {row['course']} by its day."
            issues.append(Issue("information", "informational", said, file, number, "course"))
            continue
        why = f"Its day lies in {len(held) or 'none'} of the subject's courses."
        if given is None:
            why = "Its day is not exact."
        said = (
            f"The infusion gets no course. {why} Name the course, or correct start and planned_days of the courses."
        )
        issues.append(Issue("warning", "incomplete", said, file, number, "course"))
    return pa.Table.from_pylist(rows, schema=infusions.schema), issues


def _day(text: str | None) -> date | None:
    """The day of a date or dateTime as written, in its own time zone; None where it is not known."""
    try:
        return date.fromisoformat((text or "")[:10])
    except ValueError:
        return None
