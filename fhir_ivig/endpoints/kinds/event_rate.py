"""Adverse events for each course, infusion, patient or year."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from fhir_ivig.endpoints.arms import against_last, groups
from fhir_ivig.endpoints.definition import Population
from fhir_ivig.endpoints.infusions import by_course, first_infusions, given
from fhir_ivig.endpoints.occurrences import occurrences
from fhir_ivig.endpoints.rates import Events, rate, rate_ratio
from fhir_ivig.endpoints.result import Result, left_out
from fhir_ivig.endpoints.tables import Row, Tables, references
from fhir_ivig.issue import Issue

YEAR = Decimal("365.25")  # days
Unit = Literal["course", "infusion", "patient", "year"]


@dataclass(frozen=True, slots=True)
class Exposure:
    """How much each subject was exposed, in the unit of the rate, and of every other the reason."""

    of: dict[str, Decimal]
    reasons: dict[str, str]
    rows: dict[str, list[Row]]


def event_rate(
    tables: Tables,
    population: Population,
    per: Unit,
    arms: tuple[Population, ...] = (),
    where: Mapping[str, Any] | None = None,
    until: Mapping[str, Any] | None = None,
) -> Iterator[Result | Issue]:
    """`events`, what they came in (`courses`, `infusions`, `patients`, `years`), and `rate` with the exact Poisson
    interval, of all or of each arm; with arms `rate_ratio` of each arm to the last.

    An event is a row of adverse_events that meets `where`, its conditions as in a population; of a population by
    course, one suspected of its courses. Courses and
    infusions are those given. Years (of 365.25 days) run from the first infusion given to the last row of `until`
    (occurrences.py), both days included; events after that, or before the first infusion, count all the same. Who
    has no known exposure is left out with their events.
    """
    split = groups(population, arms, least=2 if arms else 0)
    entry = {"table": "adverse_events", "where": where or {}}
    found = occurrences(tables, population.subjects, entry, "")
    wrong = [
        replace(issue, path=(issue.path or "").removeprefix(".")) for issue in found.issues if issue.file is None
    ]
    if per == "year" and until is None:
        wrong.append(
            Issue("error", "required", "A rate by the year needs to know `until` when: add it.", path="until")
        )
    if wrong:
        yield from wrong
        return
    if population.courses is not None:
        own = {
            row.number
            for row in tables.rows("adverse_events", ["course"], None, population.subjects)
            if (row.subject, row["course"]) in population.courses
        }
        found.rows = {subject: [row for row in rows if row.number in own] for subject, rows in found.rows.items()}
    counts = Counter({subject: len(rows) for subject, rows in found.rows.items()})
    exposure, issues = _exposure(tables, population, per, until or {})
    yield from issues
    if any(issue.file is None for issue in issues):
        return
    every = []
    for arm in split:
        counted = sorted(arm.subjects & exposure.of.keys())
        events = Events(sum(counts[one] for one in counted), sum((exposure.of[one] for one in counted), Decimal(0)))
        every.append(events)
        plural = "patients" if per == "patient" else f"{per}s"
        for result in [
            Result(statistic="events", estimate=Decimal(events.number), unit="events"),
            Result(statistic=plural, estimate=events.of, unit=plural),
            replace(rate(events), unit=f"events per {per}"),
        ]:
            told = _told(result, exposure, found.rows, arm)
            yield replace(told, arm=arm.label if arms else None)
    for place, label in against_last(split) if arms else ():
        ratio = rate_ratio(every[place], every[-1])
        both = replace(split[place], subjects=split[place].subjects | split[-1].subjects)
        yield replace(_told(ratio, exposure, found.rows, both), arm=label)


def _exposure(
    tables: Tables, population: Population, per: Unit, until: Mapping[str, Any]
) -> tuple[Exposure, list[Issue]]:
    everyone = population.subjects
    if per == "patient":
        return Exposure(dict.fromkeys(everyone, Decimal(1)), {}, {}), []
    infusions = given(tables, everyone, courses=population.courses)
    rows: dict[str, list[Row]] = {}
    for row in infusions:
        rows.setdefault(row.subject, []).append(row)
    if per != "year":
        units = by_course(infusions) if per == "course" else [(row.subject, row.number) for row in infusions]
        tally = Counter(subject for subject, _ in units)
        reasons = dict.fromkeys(everyone - tally.keys(), "no infusion given")
        return Exposure({subject: Decimal(number) for subject, number in tally.items()}, reasons, rows), []
    first, last = first_infusions(tables, everyone), occurrences(tables, everyone, until, "until")
    years: dict[str, Decimal] = {}
    reasons = first.reasons | last.reasons
    for subject in everyone - reasons.keys():
        start, ends = first.day(subject), last.days.get(subject)
        if start is None:
            reasons[subject] = "the first infusion is not known to the day"
        elif not ends or ends[-1].day < start:
            reasons[subject] = "not known how long followed"
        else:
            years[subject] = Decimal((ends[-1].day - start).days + 1) / YEAR
            rows[subject] = [*rows.get(subject, []), ends[-1].row]
    return Exposure(years, reasons, rows), [*first.issues, *last.issues]


def _told(result: Result, exposure: Exposure, events: Mapping[str, list[Row]], arm: Population) -> Result:
    counted = arm.subjects & exposure.of.keys()
    reasons = {subject: why for subject, why in exposure.reasons.items() if subject in arm.subjects}
    rows = [row for one in counted for row in [*events.get(one, []), *exposure.rows.get(one, [])]]
    return replace(
        result,
        n=len(counted),
        missing=len(reasons),
        warnings=result.warnings + left_out(reasons),
        resources=references(rows),
    )
