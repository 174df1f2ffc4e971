"""Adverse events: how many of what, and each of them."""

from __future__ import annotations

from collections import defaultdict

from fhir_ivig.endpoints.result import NotEvaluableError
from fhir_ivig.endpoints.tables import Row
from fhir_ivig.report import words
from fhir_ivig.report.figures.figure import source
from fhir_ivig.report.material import Material
from fhir_ivig.report.series import Clock
from fhir_ivig.report.sheet import Sheet

COLUMNS = ("term", "onset", "severity", "serious", "outcome", "course", "causality")
LISTED = 200
SUMMED = 100


def _rows(material: Material) -> list[Row]:
    try:
        return material.tables.rows("adverse_events", COLUMNS)
    except NotEvaluableError:
        return []


def summary(material: Material) -> Sheet | None:
    """Events by term: subjects, events, serious and severe ones, those suspected; None where there is none."""
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in _rows(material):
        grouped[row["term"] or "not named"].append(row)
    if not grouped:
        return None
    ranked = sorted(grouped.items(), key=lambda found: (-len({row.subject for row in found[1]}), found[0]))
    rows = [_counts(term, found) for term, found in ranked[:SUMMED]]
    rows.append(_counts("Any", [row for found in grouped.values() for row in found]))
    more = len(ranked) - SUMMED
    note = f"{words.counted(more, 'further term')} not shown, all counted under Any." if more > 0 else ""
    heads = ("Event", "Subjects", "Events", "Serious", "Severe", "Related or possible")
    return Sheet("Adverse events by term", heads, rows, numbers=(1, 2, 3, 4, 5), note=note)


def listing(material: Material, clock: Clock) -> Sheet | None:
    """Each event, serious ones first, with its day from the first infusion; None where there is none."""
    rows = sorted(_rows(material), key=lambda row: (row["serious"] != "yes", row.subject))
    if not rows:
        return None
    lines = [_line(row, clock) for row in rows[:LISTED]]
    more = len(rows) - LISTED
    note = f"{words.counted(more, 'further event')} not listed; serious ones come first." if more > 0 else ""
    heads = ("Subject", "Event", "Day", "Severity", "Serious", "Course", "Causality", "Outcome", "Resource or row")
    return Sheet("Each adverse event", heads, lines, numbers=(2,), note=note)


def _counts(term: str, rows: list[Row]) -> tuple[str, ...]:
    counts = (
        len({row.subject for row in rows}),
        len(rows),
        sum(row["serious"] == "yes" for row in rows),
        sum(row["severity"] == "severe" for row in rows),
        sum(row["causality"] in ("related", "possible") for row in rows),
    )
    return (term, *(f"{count:,}" for count in counts))


def _line(row: Row, clock: Clock) -> tuple[str, ...]:
    day = clock.day(row.subject, row["onset"])
    said = (row["term"], "" if day is None else str(day), row["severity"], row["serious"], row["course"])
    return (row.subject, *(cell or "" for cell in (*said, row["causality"], row["outcome"])), source(row))
