"""Adverse events, and how long after which infusion each began."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from fhir_ivig.endpoints.infusions import given
from fhir_ivig.endpoints.populations import Population
from fhir_ivig.endpoints.quantities import Days, days
from fhir_ivig.endpoints.tables import Row, Tables, by_subject
from fhir_ivig.issue import Issue

COLUMNS = ("event", "onset", "severity", "serious", "outcome", "course", "causality")


def events(tables: Tables, population: Population, columns: Iterable[str] = COLUMNS) -> list[Row]:
    """The adverse events of a population; of one by course those that name one of its courses."""
    every = tables.rows("adverse_events", columns, subjects=population.subjects)
    if population.courses is None:
        return every
    return [row for row in every if (row.subject, row["course"]) in population.courses]


def named_event(row: Row) -> str:
    """`HARA-06 event 1`."""
    return f"{row.subject} event {row['event']}"


@dataclass(slots=True)
class Lags:
    """Days from the infusion before to the onset of each event, by subject and event; who has none and why; who
    began before the first infusion; Issues; and the infusions."""

    days: dict[tuple[str, str], int] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)
    infusions: dict[tuple[str, str], Row] = field(default_factory=dict)


def lags(tables: Tables, population: Population, rows: Iterable[Row]) -> Lags:
    """The time of each event since the latest infusion given on or before its day: 0 is the same day."""
    found = Lags()
    infusions = {
        subject: [(days(row["start"] or ""), row) for row in every]
        for subject, every in by_subject(given(tables, population.subjects)).items()
    }
    for row in rows:
        name, onset = named_event(row), days(row["onset"] or "")
        known = [(start, infusion) for start, infusion in infusions.get(row.subject, []) if start]
        if onset is None:
            found.reasons[name] = "its onset cannot be used (see the issues)"
            found.issues.append(row.issue("value", f"`{row['onset'] or ''}` is not a date: correct it.", "onset"))
        elif not known:
            found.reasons[name] = "no infusion given"
        elif onset.first < onset.last or any(start.first < start.last for start, _ in known):
            found.reasons[name] = "dates too vague to tell the days since the infusion"
        else:
            _lag(found, row, onset, known)
    return found


def _lag(found: Lags, row: Row, onset: Days, known: list[tuple[Days, Row]]) -> None:
    earlier = [(start.first, infusion) for start, infusion in known if start.first <= onset.first]
    if not earlier:
        found.before.append(named_event(row))
        return
    last, infusion = max(earlier, key=lambda entry: entry[0])
    key = row.subject, row["event"] or ""
    found.days[key] = (onset.first - last).days
    found.infusions[key] = infusion
