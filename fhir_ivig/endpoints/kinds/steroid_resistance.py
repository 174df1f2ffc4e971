"""Eligibility: a high dose of a steroid for long enough before the first infusion, and no gain in strength."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from fhir_ivig.endpoints.assessments import number
from fhir_ivig.endpoints.definition import Measure, Population
from fhir_ivig.endpoints.infusions import first_infusions
from fhir_ivig.endpoints.medications import doses, longest_run
from fhir_ivig.endpoints.quantities import Days, days
from fhir_ivig.endpoints.readings import COLUMNS
from fhir_ivig.endpoints.result import NotEvaluableError, Result, left_out
from fhir_ivig.endpoints.tables import Row, Tables, by_subject, references
from fhir_ivig.issue import Issue


@dataclass(frozen=True, slots=True)
class _Evidence:
    """Of one subject: days on the high dose, whether they suffice, change of the measure; or the reason why not."""

    days_above: int | None
    long_enough: bool | None
    why_dose: str
    change: Decimal | None
    why_change: str
    rows: list[Row]


def steroid_resistance(
    tables: Tables,
    population: Population,
    medication: str,
    unit: str,
    dose_above: Decimal,
    weeks_above: Decimal,
    measure: Measure,
) -> Iterator[Result | Issue]:
    """`dose_criterion`: subjects with more than `weeks_above` weeks on end above `dose_above` before the day of the
    first infusion; `resistant`: those of them whose `measure` did not get better from its first to its last value
    up to that day (two at least are needed: before the infusion, on the same day counts). The evidence follows, one
    `days_above` and one `change` a subject (Hara 2003: prednisolone above 50 mg/day for more than 4 weeks).
    """
    if measure.better is None:
        raise NotEvaluableError(f"the study file does not say whether {measure.name} is better higher or lower")
    first = first_infusions(tables, population.subjects)
    found = doses(tables, population, medication, unit)
    yield from first.issues
    yield from found.issues
    where = {"measure": [measure.name]}
    assessed = by_subject(tables.rows("assessments", COLUMNS, where, population.subjects))
    evidence = {}
    for subject in sorted(population.subjects):
        rows: list[Row] = []
        day = first.day(subject)
        why = first.reasons.get(subject, "" if day else "the first infusion is not known to the day")
        run: tuple[int, int] | None = None
        if day and subject in found.doses:
            run = longest_run(found.doses[subject], dose_above, day - timedelta(1))
            rows += [dose.row for dose in found.doses[subject]]
        certain, possible = ((length > 7 * weeks_above) for length in run) if run else (None, None)
        long_enough = certain if certain == possible else None
        why_dose = why or found.reasons.get(
            subject, "dates too vague to tell how long" if long_enough is None else ""
        )
        before, issues = _before(assessed.get(subject, []), measure, first.days.get(subject))
        yield from issues
        change = before[-1][0] - before[0][0] if len(before) > 1 else None
        few = f"for lack of a pre-treatment {measure.name} course ({len(before)} value(s))"
        rows += [row for _, row in before]
        evidence[subject] = _Evidence(
            run[0] if run else None, long_enough, why_dose, change, why or ("" if len(before) > 1 else few), rows
        )
    yield from _summary(evidence, measure)
    for subject, one in evidence.items():
        for statistic, estimate, in_unit, why in (
            ("days_above", None if one.days_above is None else Decimal(one.days_above), "d", one.why_dose),
            ("change", one.change, measure.unit, one.why_change),
        ):
            yield Result(
                statistic=statistic,
                subject=subject,
                time_point="before the first infusion",
                n=int(estimate is not None),
                estimate=estimate,
                unit=in_unit,
                warnings=(f"Not evaluable: {why}.",) if why else (),
                resources=references(one.rows),
            )


def _before(rows: list[Row], measure: Measure, first: Days | None) -> tuple[list[tuple[Decimal, Row]], list[Issue]]:
    """The values up to the day of the first infusion, by date."""
    dated, issues = [], []
    for row in rows:
        if not row["value"] or row["sign"] or first is None:
            continue
        value, issue = number(row, measure)
        on = days(row["date"] or "")
        if issue is None and on is None:
            issue = row.issue("value", f"`{row['date'] or ''}` is not a date: correct it.", "date")
        if issue:
            issues.append(issue)
        elif value is not None and on and on.last <= first.first:
            dated.append((on, value, row))
    dated.sort(key=lambda entry: entry[0])
    return [(value, row) for _, value, row in dated], issues


def _summary(evidence: dict[str, _Evidence], measure: Measure) -> Iterator[Result]:
    better = 1 if measure.better == "higher" else -1
    # Who fails the dose criterion is not resistant, whatever the measure did.
    undecided = {
        subject: one.why_dose or f"not evaluable {one.why_change}"
        for subject, one in evidence.items()
        if one.long_enough is None or (one.long_enough and one.change is None)
    }
    resistant = {
        subject
        for subject, one in evidence.items()
        if one.long_enough and one.change is not None and one.change * better <= 0
    }
    no_dose = {subject: one.why_dose for subject, one in evidence.items() if one.long_enough is None}
    enough = {subject for subject, one in evidence.items() if one.long_enough}
    sources = references(row for one in evidence.values() for row in one.rows)
    for statistic, hits, reasons in (("dose_criterion", enough, no_dose), ("resistant", resistant, undecided)):
        evaluable = len(evidence) - len(reasons)
        yield Result(
            statistic=statistic,
            time_point="before the first infusion",
            n=evaluable,
            missing=len(reasons),
            estimate=Decimal(len(hits)) if evaluable else None,
            unit="subjects",
            warnings=(() if evaluable else ("Not evaluable: no subject can be judged.",)) + left_out(reasons),
            resources=sources,
        )
