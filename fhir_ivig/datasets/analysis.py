"""The rows of ADaM-shaped data sets: values with their baseline, as the endpoints read them, and adverse events.

What stands for a visit, and for the baseline, is what `endpoints.assessments.readings` takes: nothing is chosen here.
Sums and differences are exact; a mean or a percentage that does not end has 15 digits, what SAS holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal
from typing import Any

from fhir_ivig.datasets.deriving import RESOURCE, Texts
from fhir_ivig.datasets.subjects import About
from fhir_ivig.endpoints.assessments import number, readings, words
from fhir_ivig.endpoints.definition import Definition, Measure, Population, Visit
from fhir_ivig.endpoints.quantities import days
from fhir_ivig.endpoints.readings import COLUMNS, TABLE, Readings
from fhir_ivig.endpoints.tables import Row, Tables
from fhir_ivig.issue import Issue

SAS = Context(prec=15)
_TAKEN = ("subject", "measure", "visit", "unit", "upper_limit")  # columns of assessments that stay as they are
_ADDED = ("adt", "aval", "avalc", "base", "chg", "pchg", "dtype", "ablfl", "anl01fl", "sorted", RESOURCE)
Cells = dict[str, Texts]
Entry = dict[str, str | None]


@dataclass(slots=True)
class Values:
    """The rows in the making, and Issues: `rows` by column, and which of them stands for each measure, visit and
    subject."""

    tables: Tables
    definition: Definition
    rows: list[Entry] = field(default_factory=list)
    standing: dict[tuple[str, str, str], Entry] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)


def analysis_rows(tables: Tables, definition: Definition, cells: Mapping[str, Texts]) -> tuple[Cells, list[Issue]]:
    """The assessments that have a value, in columns, with `aval` and what follows from it; and Issues.

    A mean of several is a further row. Assessments without a value are no rows.
    """
    found = Values(tables, definition)
    by_measure: dict[str, list[int]] = {}
    for place, (name, value) in enumerate(zip(cells["measure"], cells["value"], strict=True)):
        if value is not None and name in definition.measures:
            by_measure.setdefault(name, []).append(place)
    everyone = Population("everyone", "Everyone", frozenset(one for one in cells["subject"] if one))
    for known, places in by_measure.items():
        measure = definition.measures[known]
        values = _values(found, measure, places, cells)
        for visit in definition.visits.values():
            read = (readings if measure.unit else words)(tables, everyone, measure, visit)
            found.issues += read.issues
            _flag(found, read, values)
    _changes(found)
    columns = {column: [row.get(column) for row in found.rows] for column in (*_TAKEN, *_ADDED)}
    return columns, list(dict.fromkeys(found.issues))


Same = tuple[str | int | None, ...]


def _same(row: Row) -> Same:
    """What tells a row of a measure from others: parts of a table may have rows of the same number."""
    return (row.number, row.subject, *(row[name] for name in ("visit", "date", "sign", "value")))


def _values(
    found: Values, measure: Measure, places: list[int], cells: Mapping[str, Texts]
) -> dict[int | Same, Entry]:
    """The rows of a measure, added to those found: each by its place and by what tells it from others."""
    made: dict[int | Same, Entry] = {}
    for place, row in zip(places, found.tables.rows_at(TABLE, ("measure", *COLUMNS), places), strict=True):
        entry = {name: cells[name][place] for name in _TAKEN}
        entry |= {"adt": _day(row["date"]), "sorted": row["date"], RESOURCE: row.resource}
        value, issue = number(row, measure) if measure.unit and not row["sign"] else (None, None)
        found.issues += [issue] if issue else []
        if value is None:
            entry["avalc"] = f"{row['sign'] or ''}{row['value']}"
        else:
            entry["aval"] = row["value"]
        made[place] = made[_same(row)] = entry
        found.rows.append(entry)
    return made


def _flag(found: Values, read: Readings, rows: Mapping[int | Same, Entry]) -> None:
    """Flags what stands for a visit; a mean becomes a row."""
    standing = {subject: rows[place] for subject, place in read.places.items()}
    for subject, chosen in read.chosen.items():
        if len(chosen.rows) == 1:
            standing[subject] = rows[_same(chosen.rows[0])]
        else:
            standing[subject] = _mean(read, subject, rows[_same(chosen.rows[-1])], chosen.row)
            found.rows.append(standing[subject])
    for subject, row in standing.items():
        row["anl01fl"] = "Y"
        row["ablfl"] = "Y" if read.visit == found.definition.baseline else None
        found.standing[read.measure.name, read.visit.name, subject] = row


def _mean(read: Readings, subject: str, last: Mapping[str, str | None], first: Row) -> dict[str, str | None]:
    kept = {name: last[name] for name in ("subject", "measure", "visit", "unit", "sorted")}
    return {**kept, "aval": _plain(SAS.plus(read.values[subject])), "dtype": "AVERAGE", RESOURCE: first.resource}


def _changes(found: Values) -> None:
    baseline, visits = found.definition.baseline, found.definition.visits
    if baseline is None:
        return
    for row in found.rows:
        measure, subject = row["measure"] or "", row["subject"] or ""
        base = found.standing.get((measure, baseline.name, subject), {}).get("aval")
        row["base"] = base
        if base is None or row.get("aval") is None or not _after(visits.get(row["visit"] or ""), baseline):
            continue
        change = Decimal(row["aval"] or "") - Decimal(base)
        row["chg"] = _plain(change)
        row["pchg"] = _plain(SAS.divide(100 * change, Decimal(base))) if Decimal(base) else None


def _after(visit: Visit | None, baseline: Visit) -> bool:
    """Whether a visit is after the baseline."""
    days = None if visit is None else visit.day
    return days is not None and baseline.day is not None and days > baseline.day


def _plain(number: Decimal) -> str:
    """A number without an exponent."""
    return f"{number:f}"


def event_rows(tables: Tables, about: About, cells: Mapping[str, Texts]) -> tuple[Cells, list[Issue]]:
    """The adverse events, in columns, with the days of their onset and end and whether they began under treatment,
    and a warning for each of which that cannot be told."""
    first = about["first_infusion"]
    flags: Texts = []
    issues = []
    for place, (subject, onset) in enumerate(zip(cells["subject"], cells["onset"], strict=True)):
        start = first.get(subject or "")
        emergent = (
            began_after(onset, start) if start else None if about["treated"].get(subject or "") == "Y" else False
        )
        flags.append("Y" if emergent else None)
        if emergent is None:
            said = "The dates leave open whether it began before the first infusion: TRTEMFL is empty."
            issues.append(
                Issue(
                    "warning",
                    "incomplete",
                    said,
                    "adverse_events.csv",
                    tables.number("adverse_events", place),
                    "onset",
                )
            )
    none: Texts = [None] * len(flags)
    added = {
        "trtemfl": flags,
        "astdt": [_day(one) for one in cells["onset"]],
        "aendt": [_day(one) for one in cells["end"]],
    }
    return {RESOURCE: none, **cells, **added}, issues


def began_after(onset: str | None, start: str) -> bool | None:
    """Whether an onset is not before a start that is known to the day, None where it could be either. On that day it
    is, unless both have times and it is earlier."""
    span, first = days(onset or ""), days(start)
    if span is None or first is None:
        return None
    if span.first == span.last == first.first and "T" in (onset or "") and "T" in start:
        try:
            return datetime.fromisoformat(onset or "") >= datetime.fromisoformat(start)
        except (ValueError, TypeError):
            return None
    if span.last < first.first:
        return False
    return True if span.first >= first.first else None


def _day(text: str | None) -> str | None:
    """The day of a date, where it is known."""
    span: Any = days(text or "")
    return span.first.isoformat() if span and span.first == span.last else None
