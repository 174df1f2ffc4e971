"""The values of a measure over time, subject by subject, as the figures draw them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from fhir_ivig.endpoints.assessments import readings
from fhir_ivig.endpoints.definition import Measure, Population, Visit
from fhir_ivig.endpoints.infusions import first_infusions
from fhir_ivig.endpoints.quantities import days, decimal
from fhir_ivig.endpoints.result import NotEvaluableError
from fhir_ivig.report.figures.figure import source
from fhir_ivig.report.material import Material


@dataclass(frozen=True, slots=True)
class Value:
    """One value: its day counted from the subject's first infusion, whether that is only the visit's target day,
    the laboratory's upper limit where there is one, and the resource or row that it came from."""

    subject: str
    visit: str
    day: int
    planned: bool
    amount: Decimal
    limit: Decimal | None
    source: str


@dataclass(slots=True)
class Series:
    """A measure in one population or several (arms): values by subject, each in the order of days."""

    measure: Measure
    groups: list[Population]
    visits: list[Visit]
    windows: Mapping[str, tuple[int, int]]
    values: dict[str, list[Value]] = field(default_factory=dict)

    def at(self, visit: Visit, group: Population) -> list[Decimal]:
        """The amounts of a group's subjects at a visit."""
        return [
            value.amount
            for subject, found in self.values.items()
            if subject in group.subjects
            for value in found
            if value.visit == visit.name
        ]

    @property
    def log(self) -> bool:
        """Whether a logarithmic scale fits: most values have an upper limit of normal, and all are above 0."""
        every = [value for found in self.values.values() for value in found]
        limited = sum(value.limit is not None for value in every)
        return 2 * limited > len(every) and min(value.amount for value in every) > 0


class Clock:
    """Day 0 of each subject: the day of the first infusion."""

    def __init__(self, material: Material, subjects: frozenset[str]) -> None:
        self.subjects = len(subjects)
        try:
            found = first_infusions(material.tables, subjects)
            self.start = {subject: day for subject in subjects if (day := found.day(subject))}
        except NotEvaluableError:
            self.start = dict[str, date]()

    def day(self, subject: str, text: str | None) -> int | None:
        """The days from day 0 to a date; None where either is not known to the day."""
        on, start = days(text or ""), self.start.get(subject)
        return None if start is None or on is None or on.first != on.last else (on.first - start).days


def everyone(material: Material) -> frozenset[str]:
    """All subjects of the subjects table, or of any population where there is no such table."""
    try:
        return frozenset(row.subject for row in material.tables.rows("subjects", ()) if row.subject)
    except NotEvaluableError:
        return frozenset().union(*(population.subjects for population in material.definition.populations.values()))


def groups_of(material: Material, measure: str) -> list[Population]:
    """The arms or else the population in which the study's first endpoint on a measure asks for it.

    Where no endpoint does, the arms of any endpoint, else the first population of the study.
    """
    known = material.definition.populations
    asked = [entry for entry in material.endpoints().values() if entry.get("measure") == measure]
    anywhere = map(_arms, material.endpoints().values())
    own = ([entry.get("population")] for entry in asked)
    for names in [*map(_arms, asked), *own, *anywhere, list(known)[:1]]:
        found = [known[name] for name in names if isinstance(name, str) and name in known]
        if found and all(group.subjects for group in found):
            return found
    return []


def numeric(material: Material) -> list[Measure]:
    """The measures that are numbers: those with a unit or a scale."""
    return [found for found in material.definition.measures.values() if found.unit or found.scale_max]


def series(material: Material, measure: Measure, groups: list[Population], clock: Clock) -> Series:
    """The usable values of a measure at the visits that have a target day. NotEvaluableError without assessments."""
    visits = sorted(
        (visit for visit in material.definition.visits.values() if visit.day is not None),
        key=lambda visit: visit.day or 0,
    )
    subjects = frozenset[str]().union(*(group.subjects for group in groups))
    whole = Population("", "", subjects)
    limits = {
        row.number: decimal(row["upper_limit"] or "")
        for row in material.tables.rows("assessments", ("upper_limit",), {"measure": [measure.name]}, subjects)
    }
    limits = {number: limit for number, limit in limits.items() if limit and limit > 0}
    found = Series(measure, groups, visits, windows(material.study))
    for visit in visits:
        at = readings(material.tables, whole, measure, visit)
        for subject, amount in at.values.items():
            row = at.rows[subject]
            day = clock.day(subject, row["date"])
            value = Value(
                subject,
                visit.name,
                (visit.day or 0) if day is None else day,
                day is None,
                amount,
                limits.get(row.number),
                source(row),
            )
            found.values.setdefault(subject, []).append(value)
    for values in found.values.values():
        values.sort(key=lambda value: value.day)
    found.visits = [visit for visit in visits if any(found.at(visit, group) for group in groups)]
    found.values = dict(sorted(found.values.items()))
    return found


def windows(study: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """The first and last day of each visit's window, as far as the study file says it rightly."""
    found = {}
    for entry in study.get("visits", []):
        window = entry.get("window") if isinstance(entry, dict) else None
        if isinstance(window, list) and len(window) == 2 and all(map(_whole, window)):
            found[str(entry.get("visit"))] = (int(window[0]), int(window[1]))
    return found


def _whole(text: Any) -> bool:
    return isinstance(text, str) and text.lstrip("-").isdigit()


def _arms(entry: Mapping[str, Any]) -> list[Any]:
    arms = entry.get("arms")
    return arms if isinstance(arms, list) else []
