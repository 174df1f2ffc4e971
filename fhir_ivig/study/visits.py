"""Assessments without a visit find theirs by their day.

Day 0 is the start of the subject's first course, as it stands in study.yaml. Days are those written, each in its
own time zone: an assessment at 23:00 belongs to that evening's day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhir_ivig.issue import Issue
from fhir_ivig.study.study import Study
from fhir_ivig.study.texts import matches, rows_where, shown, strings

_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"


def first_days(courses: Iterable[pa.RecordBatch | pa.Table]) -> dict[str, str]:
    """The start of each subject's first course: `2003-05-17`, or less (`2003-05`) where the day is not known."""
    firsts: dict[str, str] = {}
    for batch in courses:
        for subject, start in zip(batch["subject"].to_pylist(), batch["start"].to_pylist(), strict=True):
            if subject and start:
                # As texts a month comes before its days: where it could be the earlier one, the day is unknown.
                firsts[subject] = min(start[:10], firsts.get(subject, start[:10]))
    return firsts


def assign_visits(
    study: Study, batch: pa.RecordBatch, firsts: Mapping[str, str], numbers: np.ndarray, file: str
) -> tuple[pa.RecordBatch, list[Issue]]:
    """A batch of assessments with the visit filled where it was empty and one window holds the assessment's day.

    firsts: from `first_days`. numbers and file: the place of the rows for Issues, as in `Rows`. Out: the batch, and a
    warning for each row whose visit stays empty: no course, a day that is not exact, or a day outside all windows
    (windows do not overlap, so never several). Two assessments of a measure in one window get the same visit; that
    their keys are equal is found where identities are made.
    """
    empty = batch["visit"].is_null()
    if not pc.any(empty).as_py():
        return batch, []
    subjects = strings(firsts)
    start = strings(firsts.values()).take(pc.index_in(batch["subject"], subjects))
    day = pc.subtract(_days(batch["date"]), _days(start))
    windows = sorted((visit.window, visit.visit) for visit in study.visits.values() if visit.window)
    found = _window(day, windows)
    rows = rows_where(pc.and_(empty, found.is_null()))
    issues = [_unassigned(batch, row, start, day, file, int(numbers[row])) for row in rows]
    place = batch.schema.get_field_index("visit")
    return batch.set_column(place, batch.schema.field(place), pc.coalesce(batch["visit"], found)), issues


def _days(dates: pa.StringArray) -> pa.Int32Array:
    """Days since 1970; null where the day is not known."""
    days = pc.utf8_slice_codeunits(dates, 0, 10)
    exact = pc.if_else(pc.fill_null(matches(days, _DAY), False), days, pa.scalar(None, pa.string()))
    return exact.cast(pa.date32()).cast(pa.int32())


def _window(day: pa.Int32Array, windows: list[tuple[tuple[int, int], str]]) -> pa.StringArray:
    if not windows:
        return pa.nulls(len(day), pa.string())
    first, last = np.array([window for window, _ in windows]).T
    days = day.fill_null(first[0] - 1).to_numpy(zero_copy_only=False)
    place = np.searchsorted(first, days, side="right") - 1
    inside = (place >= 0) & (days <= last[place])
    return strings(visit for _, visit in windows).take(pa.array(place, mask=~inside))


def _unassigned(
    batch: pa.RecordBatch, row: int, start: pa.StringArray, day: pa.Int32Array, file: str, number: int
) -> Issue:
    if day[row].is_valid:
        text = f"Day {day[row].as_py()} is in no visit's window: name the visit, or widen a window in study.yaml."
    elif not start[row].is_valid:
        text = "The subject has no course to count days from: name the visit, or add the course."
    else:
        exact = batch["date"][row].as_py() if len(start[row].as_py()) == 10 else start[row].as_py()
        text = f"{shown(exact or '')} is not exact to the day: name the visit."
    return Issue("warning", "incomplete", f"The row gets no visit. {text}", file, number, "visit")
