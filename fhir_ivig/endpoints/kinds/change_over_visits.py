"""A measure over all visits, by a mixed model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fhir_ivig.endpoints.arms import groups
from fhir_ivig.endpoints.assessments import readings
from fhir_ivig.endpoints.definition import Measure, Population, Visit
from fhir_ivig.endpoints.models import Value, changes, differences, fit, interaction, visit_effect
from fhir_ivig.endpoints.result import NotEvaluableError, Result, named
from fhir_ivig.endpoints.tables import Tables, references
from fhir_ivig.issue import Issue


def change_over_visits(
    tables: Tables,
    population: Population,
    measure: Measure,
    visits: tuple[Visit, ...],
    arms: tuple[Population, ...] = (),
) -> Iterator[Result | Issue]:
    """`change` of each arm from the first visit to each later one, `visit_effect` (any change at all); with arms
    `difference`, the change of the first arm minus that of the last, and `arm_by_visit` (do the arms differ).

    `n` are the subjects with a value at any visit, `missing` those with none; who misses some visits counts with the
    others, and a warning names them.
    """
    if len(visits) < 2:
        raise NotEvaluableError("two visits are needed")
    split = groups(population, arms)
    found = [readings(tables, population, measure, visit) for visit in visits]
    for each in found:
        yield from each.issues
    values = [
        Value(subject, arm, place, float(each.values[subject]))
        for arm, group in enumerate(split)
        for place, each in enumerate(found)
        for subject in sorted(group.subjects & each.values.keys())
    ]
    seen = {value.subject for value in values}
    model = fit(values, len(split), len(visits))
    partly = sorted(seen & {subject for each in found for subject in each.reasons})
    said: tuple[str, ...] = (f"Some visits missing, the others count: {named(partly)}.",) if partly else ()
    if absent := population.subjects - seen:
        said += (f"Left out, no value at any visit: {named(absent)}.",)
    sources = references(each.rows[subject] for each in found for subject in each.values)
    span = f"{visits[0].name} to {visits[-1].name}"
    results = [
        replace(result, arm=split[arm].label if arms else None, time_point=f"{visits[0].name} to {visits[at].name}")
        for arm, at, result in changes(model)
    ]
    if arms:
        label = f"{split[0].label} - {split[-1].label}"
        results += [
            replace(result, arm=label, time_point=f"{visits[0].name} to {visits[at].name}")
            for at, result in differences(model)
        ]
        results.append(replace(interaction(model), time_point=span))
    for result in [*results, replace(visit_effect(model), time_point=span)]:
        yield replace(
            result,
            n=len(seen),
            missing=len(absent),
            unit=result.unit or measure.unit,
            warnings=result.warnings + said,
            resources=sources,
        )
