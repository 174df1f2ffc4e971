"""Dose by body weight of whole courses, and how fast infusions ran."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from fhir_ivig.endpoints.infusions import by_course
from fhir_ivig.endpoints.quantities import average
from fhir_ivig.endpoints.result import Result, left_out
from fhir_ivig.endpoints.tables import Row, references
from fhir_ivig.issue import Issue

Doses = Mapping[int, Decimal]  # grams per kilogram by the number of the infusion's row


def course_doses(infusions: Sequence[Row], doses: Doses) -> Iterator[Result]:
    """`mean_course_dose`, `min_course_dose`, `max_course_dose`: g/kg of all infusions of a course. A course with an
    infusion whose dose by weight is not known is left out."""
    courses = by_course(infusions)
    reasons = {
        " course ".join(course): "the dose by weight of an infusion is not known"
        for course, rows in courses.items()
        if any(row.number not in doses for row in rows)
    }
    known = [rows for course, rows in courses.items() if " course ".join(course) not in reasons]
    sums = [sum((doses[row.number] for row in rows), Decimal(0)) for rows in known]
    yield from _spread("course_dose", sums, "g/kg", "dose by weight of all infusions of a course", reasons, infusions)


def rates(infusions: Sequence[Row], doses: Doses) -> Iterator[Result | Issue]:
    """`mean_rate`, `min_rate`, `max_rate`: mg/kg/min, the dose by weight over the time from start to end. Infusions
    without both times (with their zones) are left out; an end that is not after its start is an Issue."""
    found, reasons = [], {}
    for row in infusions:
        name = f"{row.subject} course {row['course']} day {row['day']}"
        start, end = _time(row["start"]), _time(row["end"])
        if row.number not in doses:
            reasons[name] = "its dose by weight is not known"
        elif start is None or end is None:
            reasons[name] = "start and end are not both known to the minute"
        elif end <= start:
            reasons[name] = "its times cannot be used (see the issues)"
            yield row.issue("value", f"`{row['end']}` is not after the start: correct it.", "end")
        else:
            minutes = Decimal(int((end - start).total_seconds())) / 60
            found.append(doses[row.number] * 1000 / minutes)
    yield from _spread(
        "rate", found, "mg/kg/min", "dose by weight over the time from start to end", reasons, infusions
    )


def _time(text: str | None) -> datetime | None:
    """A FHIR dateTime with its time and zone."""
    try:
        read = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return read if read.tzinfo else None


def _spread(
    name: str,
    numbers: Collection[Decimal],
    unit: str,
    method: str,
    reasons: Mapping[str, str],
    infusions: Sequence[Row],
) -> Iterator[Result]:
    none = () if numbers else ("Not evaluable: none is known.",)
    for statistic, estimate in (
        ("mean", average(numbers)),
        ("min", min(numbers, default=None)),
        ("max", max(numbers, default=None)),
    ):
        yield Result(
            statistic=f"{statistic}_{name}",
            n=len(numbers),
            missing=len(reasons),
            estimate=estimate,
            unit=unit,
            method=method,
            warnings=none + left_out(reasons),
            resources=references(infusions),
        )
