"""Dose by body weight against the protocol, infusion by infusion."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from fhir_ivig.endpoints.assessments import number
from fhir_ivig.endpoints.definition import Measure, Population
from fhir_ivig.endpoints.infusion_rates import course_doses, rates
from fhir_ivig.endpoints.infusions import by_course, given
from fhir_ivig.endpoints.quantities import Days, average, days, decimal
from fhir_ivig.endpoints.readings import COLUMNS
from fhir_ivig.endpoints.result import NotEvaluableError, Result, left_out, named
from fhir_ivig.endpoints.tables import Row, Tables, by_subject, references
from fhir_ivig.issue import Issue

DOSE, WEIGHT = "g", "kg"

# Weights of one subject by the last day they can mean.
Weights = list[tuple[Days, Decimal, Row]]


@dataclass(slots=True)
class _Exposure:
    doses: dict[int, Decimal] = field(default_factory=dict)  # g/kg by the number of the row
    within: int = 0
    rows: list[Row] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    later: list[str] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)


def exposure(
    tables: Tables, population: Population, weight: Measure, planned: Decimal, tolerance_percent: Decimal
) -> Iterator[Result | Issue]:
    """`mean_dose`, `min_dose`, `max_dose` in g/kg/d over the infusions given, each an infusion's grams by the latest
    weight on or before its day (else the nearest, with a warning); `within_tolerance`, infusions whose dose is within
    `tolerance_percent` of `planned` (g/kg/d), bounds included; `mean_course_dose`, `min_...`, `max_...` in g/kg;
    where the table has the column `end`, `mean_rate`, `min_rate`, `max_rate` in mg/kg/min; `infusions`,
    `infusions_stopped`, `infusions_planned` (the courses table's days, of courses given), `courses_interrupted` (a
    day stopped, or fewer days than planned).
    """
    if weight.unit != WEIGHT:
        raise NotEvaluableError(f"{weight.name} must be in {WEIGHT}")
    times = ("end",) if tables.has("infusions", "end") else ()
    infusions = given(tables, population.subjects, ("dose", "unit", *times), population.courses)
    weights, issues = _weights(tables, population, weight)
    found = _Exposure(issues=issues)
    for row in infusions:
        _infusion(found, row, weights.get(row.subject, []), planned, tolerance_percent)
    yield from found.issues
    said = left_out(found.reasons)
    if found.later:
        said += (f"No weight on or before the infusion, the nearest later one taken: {named(found.later)}.",)
    sources = references(found.rows)
    for statistic, estimate in (
        ("mean_dose", average(found.doses.values())),
        ("min_dose", min(found.doses.values(), default=None)),
        ("max_dose", max(found.doses.values(), default=None)),
        ("within_tolerance", Decimal(found.within)),
    ):
        yield Result(
            statistic=statistic,
            n=len(found.doses),
            missing=len(found.reasons),
            estimate=estimate if found.doses else None,
            unit="infusions" if statistic == "within_tolerance" else "g/kg/d",
            method="dose by the latest weight on or before the infusion",
            warnings=said if found.doses else ("Not evaluable: no infusion with dose and weight.", *said),
            resources=sources,
        )
    yield from course_doses(infusions, found.doses)
    if times:
        yield from rates(infusions, found.doses)
    yield from _adherence(tables, population, infusions)


def _weights(tables: Tables, population: Population, weight: Measure) -> tuple[dict[str, Weights], list[Issue]]:
    """The usable weights of each subject, by date."""
    where = {"measure": [weight.name]}
    found: dict[str, Weights] = {}
    issues = []
    for subject, rows in by_subject(tables.rows("assessments", COLUMNS, where, population.subjects)).items():
        usable = []
        for row in rows:
            if not row["value"] or row["sign"]:
                continue
            kilograms, issue = number(row, weight)
            on = days(row["date"] or "")
            if issue is None and on is None:
                issue = row.issue("value", f"`{row['date'] or ''}` is not a date: correct it.", "date")
            elif issue is None and not (kilograms or 0) > 0:
                issue = row.issue("value", f"`{row['value']}` is no body weight: correct it.", "value")
            if issue:
                issues.append(issue)
            elif kilograms and on:
                usable.append((on, kilograms, row))
        found[subject] = sorted(usable, key=lambda entry: (entry[0].last, entry[2].number))
    return found, issues


def _infusion(found: _Exposure, row: Row, weights: Weights, planned: Decimal, tolerance: Decimal) -> None:
    name = f"{row.subject} course {row['course']} day {row['day']}"
    grams, on = decimal(row["dose"] or ""), days(row["start"] or "")
    fault = None
    if row["dose"] and (grams is None or grams < 0):
        fault = row.issue("value", f"`{row['dose']}` is not a dose: correct it.", "dose")
    elif grams is not None and row["unit"] != DOSE:
        fault = row.issue("value", f"The unit is `{row['unit'] or ''}`, not `{DOSE}`: convert it.", "unit")
    elif on is None:
        fault = row.issue("value", f"`{row['start'] or ''}` is not a date: correct it.", "start")
    if fault:
        found.issues.append(fault)
        found.reasons[name] = "its row cannot be used (see the issues)"
    elif grams is None or on is None or not weights:
        found.reasons[name] = "no dose" if grams is None else "no body weight"
    else:
        before = bisect_right(weights, on.first, key=lambda entry: entry[0].last)
        _, kilograms, source = weights[before - 1] if before else weights[0]
        found.later += [] if before else [name]
        found.doses[row.number] = grams / kilograms
        # multiplied out, so that a dose right on the bound is within it
        found.within += abs(grams - planned * kilograms) * 100 <= tolerance * planned * kilograms
        found.rows += [row, source]


def _adherence(tables: Tables, population: Population, infusions: list[Row]) -> Iterator[Result | Issue]:
    courses = by_course(infusions)
    sources = references(infusions)
    stopped = [row for row in infusions if row["status"] == "stopped"]
    for statistic, rows in (("infusions", infusions), ("infusions_stopped", stopped)):
        estimate = Decimal(len(rows))
        yield Result(statistic=statistic, n=len(infusions), estimate=estimate, unit="infusions", resources=sources)
    plans = tables.rows("courses", ("course", "planned_days"), subjects=population.subjects)
    planned: dict[tuple[str, str], Decimal] = {}
    for row in plans:
        number_of_days = decimal(row["planned_days"] or "")
        if number_of_days is not None:
            planned[row.subject, row["course"] or ""] = number_of_days
        elif row["planned_days"]:
            said = f"`{row['planned_days']}` is not a number of days: correct it."
            yield row.issue("value", said, "planned_days")
    unplanned = {" course ".join(course): "no planned days" for course in courses.keys() - planned.keys()}
    short = {
        course: f"{' course '.join(course)} ({len(rows)} of {planned[course]} days given)"
        for course, rows in courses.items()
        if course in planned and (len(rows) < planned[course] or any(row["status"] == "stopped" for row in rows))
    }
    interrupted = (f"Interrupted: {named(short.values())}.",) if short else ()
    for statistic, number_found, unit in (
        (
            "infusions_planned",
            sum((planned[course] for course in courses if course in planned), Decimal(0)),
            "infusions",
        ),
        ("courses_interrupted", Decimal(len(short)), "courses"),
    ):
        yield Result(
            statistic=statistic,
            n=len(courses) - len(unplanned),
            missing=len(unplanned),
            estimate=number_found,
            unit=unit,
            warnings=interrupted + left_out(unplanned),
            resources=references([*infusions, *plans]),
        )
