"""Doses of a background medication over time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from fhir_ivig.endpoints.definition import Population
from fhir_ivig.endpoints.infusions import first_infusions
from fhir_ivig.endpoints.quantities import Days, days, decimal
from fhir_ivig.endpoints.result import named
from fhir_ivig.endpoints.tables import Row, Tables, by_subject
from fhir_ivig.issue import Issue

_ALWAYS = Days(date.min, date.max)


@dataclass(frozen=True, slots=True)
class Dose:
    """A dose, the days that its first and its last day can mean, and its row."""

    amount: Decimal
    start: Days
    end: Days
    row: Row


@dataclass(slots=True)
class Doses:
    """The doses of each subject by time, or the reason why they cannot be used; `starts` has the day of the first
    infusion where it was asked for."""

    doses: dict[str, list[Dose]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)
    starts: dict[str, date] = field(default_factory=dict)


def doses(tables: Tables, population: Population, medication: str, unit: str) -> Doses:
    """The doses of a medication, all in `unit`. One faulty row leaves its subject out: the rest would mislead.

    An empty end means that the dose goes on; an empty start that it is not known since when.
    """
    columns = ("medication", "dose", "unit", "start", "end")
    rows = by_subject(tables.rows("medications", columns, {"medication": [medication]}, population.subjects))
    found = Doses()
    for subject in population.subjects:
        read = [_dose(row, unit) for row in rows.get(subject, [])]
        good = [dose for dose in read if isinstance(dose, Dose)]
        faults = [issue for issue in read if isinstance(issue, Issue)]
        found.issues += faults
        if faults:
            found.reasons[subject] = f"a row of {medication} cannot be used (see the issues)"
        elif not good:
            found.reasons[subject] = f"no {medication} on record"
        else:
            found.doses[subject] = sorted(good, key=lambda dose: dose.start)
    return found


def treated(tables: Tables, population: Population, medication: str, unit: str) -> Doses:
    """The doses of a medication of those whose first infusion given is known to the day; all others have a reason."""
    first = first_infusions(tables, population.subjects)
    found = doses(tables, population, medication, unit)
    known = {subject: day for subject in sorted(found.doses) if (day := first.day(subject))}
    vague = dict.fromkeys(found.doses.keys() - known.keys(), "the first infusion is not known to the day")
    return Doses(
        {subject: found.doses[subject] for subject in known},
        vague | found.reasons | first.reasons,
        first.issues + found.issues,
        known,
    )


def assumed(stopped: Collection[str]) -> tuple[str, ...]:
    """The warning that names of whom `in_force` assumed a dose of 0."""
    said = f"No dose on record after an earlier one ended, taken as 0: {named(stopped)}."
    return (said,) if stopped else ()


def in_force(every: list[Dose], day: date) -> tuple[Decimal | None, str]:
    """The dose of one subject on a day, or None; with the reason, or (for a dose of 0) the assumption made.

    The first and the last day of a dose belong to it. After a dose has ended and where no other is on record the
    medication is taken as stopped, dose 0; before the first on record it is not known.
    """
    certain = [dose for dose in every if dose.start.last <= day <= dose.end.first]
    possible = [dose for dose in every if dose.start.first <= day <= dose.end.last]
    if len(possible) > 1:
        return None, "several doses on that day"
    if len(certain) < len(possible):
        return None, "dates too vague to tell the dose"
    if certain:
        return certain[0].amount, ""
    if any(dose.end.last < day for dose in every):
        return Decimal(0), "no dose on record after an earlier one ended: taken as 0"
    return None, "no dose on record yet"


def longest_run(every: list[Dose], above: Decimal, until: date) -> tuple[int, int]:
    """The most days on end, up to and with `until`, on doses greater than `above`: certainly, and possibly."""
    high = [dose for dose in every if dose.amount > above]
    certain = [(dose.start.last, dose.end.first) for dose in high]
    possible = [(dose.start.first, dose.end.last) for dose in high]
    return _longest(certain, until), _longest(possible, until)


def _longest(spans: list[tuple[date, date]], until: date) -> int:
    best = 0
    run: tuple[date, date] | None = None
    for first, last in sorted((first, min(last, until)) for first, last in spans):
        if last < first:
            continue
        joined = run is not None and first <= run[1] + timedelta(1)
        run = (run[0], max(run[1], last)) if run and joined else (first, last)
        best = max(best, (run[1] - run[0]).days + 1)
    return best


def _dose(row: Row, unit: str) -> Dose | Issue:
    amount = decimal(row["dose"] or "")
    # A start not known is certain on no day and possible on every day before its end.
    start = days(row["start"]) if row["start"] else _ALWAYS
    end = days(row["end"]) if row["end"] else Days(date.max, date.max)
    if amount is None or amount < 0:
        return row.issue("value", f"`{row['dose'] or ''}` is not a dose: correct it.", "dose")
    if row["unit"] != unit:
        said = f"The unit is `{row['unit'] or ''}`, not `{unit}` as in the study file: convert it."
        return row.issue("value", said, "unit")
    for column, read in (("start", start), ("end", end)):
        if read is None:
            return row.issue("value", f"`{row[column]}` is not a date: correct it.", column)
    if start is None or end is None or (end.last < start.first and row["start"]):
        return row.issue("value", "This dose ends before it starts: correct the dates.", "end")
    return Dose(amount, start, end, row)
