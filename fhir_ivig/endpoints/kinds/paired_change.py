"""Change of a measure from one visit to another, each subject being its own control."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fhir_ivig.endpoints.assessments import readings
from fhir_ivig.endpoints.definition import Measure, Population, Visit
from fhir_ivig.endpoints.inference import hodges_lehmann, paired_t, signed_rank
from fhir_ivig.endpoints.quantities import average
from fhir_ivig.endpoints.result import Result, left_out
from fhir_ivig.endpoints.tables import Tables, references
from fhir_ivig.issue import Issue


def paired_change(
    tables: Tables, population: Population, measure: Measure, from_: Visit, to: Visit
) -> Iterator[Result | Issue]:
    """`mean_from`, `mean_to`, `mean_difference` (t interval, paired t test), `wilcoxon`, `hodges_lehmann`.

    A difference is the later value minus the earlier. Only subjects with both values count (complete cases).
    """
    before, after = (readings(tables, population, measure, visit) for visit in (from_, to))
    yield from before.issues
    yield from after.issues
    reasons = after.reasons | before.reasons
    pairs = sorted(population.subjects - reasons.keys())
    firsts, seconds = ([found.values[subject] for subject in pairs] for found in (before, after))
    differences = [second - first for first, second in zip(firsts, seconds, strict=True)]
    rows = [found.rows[subject] for found in (before, after) for subject in pairs]
    sources = references(rows)
    none = () if pairs else ("Not evaluable: no subject has both values.",)
    span = f"{from_.name} to {to.name}"
    means = [
        Result(statistic=statistic, time_point=visit.name, estimate=average(values), method="mean", warnings=none)
        for statistic, visit, values in (("mean_from", from_, firsts), ("mean_to", to, seconds))
    ]
    changes = [test(differences) for test in (paired_t, signed_rank, hodges_lehmann)]
    for result in [*means, *changes]:
        yield replace(
            result,
            time_point=result.time_point or span,
            n=len(pairs),
            missing=len(reasons),
            unit="rank sum" if result.statistic == "wilcoxon" else measure.unit,
            warnings=result.warnings + left_out(reasons),
            resources=sources,
        )
