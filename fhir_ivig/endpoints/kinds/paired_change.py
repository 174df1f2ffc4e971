"""Change of a measure from one visit to another, each subject being its own control."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fhir_ivig.endpoints.assessments import readings
from fhir_ivig.endpoints.definition import Measure, Population, Visit
from fhir_ivig.endpoints.imputation import impute, imputed_change, mean_of, told
from fhir_ivig.endpoints.inference import hodges_lehmann, paired_t, signed_rank
from fhir_ivig.endpoints.paired import effect_size, median_of, sign_test
from fhir_ivig.endpoints.result import Result, left_out
from fhir_ivig.endpoints.tables import Tables
from fhir_ivig.issue import Issue


def paired_change(
    tables: Tables, population: Population, measure: Measure, from_: Visit, to: Visit
) -> Iterator[Result | Issue]:
    """`mean_from`, `mean_to`, `mean_difference` (t interval, paired t test), `median_from`, `median_to`,
    `median_difference`, `wilcoxon`, `hodges_lehmann`, `sign_test`, `effect_size`.

    A difference is the later value minus the earlier. Only subjects with both values count, those included that the
    endpoint's rule for missing values gave one. With multiple imputation there are the means and their difference.
    """
    if tables.plan.missing == "multiple_imputation":
        yield from _imputed(tables, population, measure, from_, to)
        return
    before, after = (readings(tables, population, measure, visit) for visit in (from_, to))
    yield from dict.fromkeys(before.issues + after.issues)
    reasons = after.reasons | before.reasons
    before.unused, after.unused = reasons, reasons
    pairs = sorted(population.subjects - reasons.keys())
    firsts, seconds = (found.numbers(pairs) for found in (before, after))
    differences = seconds.minus(firsts)
    sources = tuple(sorted({*before.sources(pairs), *after.sources(pairs)}))
    said = left_out(reasons)
    none = () if pairs else ("Not evaluable: no subject has both values.",)
    span = f"{from_.name} to {to.name}"
    means = [
        Result(statistic=statistic, time_point=visit.name, estimate=values.mean(), method="mean", warnings=none)
        for statistic, visit, values in (("mean_from", from_, firsts), ("mean_to", to, seconds))
    ]
    medians = [
        replace(median_of(firsts, "median_from"), time_point=from_.name),
        replace(median_of(seconds, "median_to"), time_point=to.name),
        median_of(differences, "median_difference"),
    ]
    tests = [test(differences) for test in (signed_rank, hodges_lehmann, sign_test, effect_size)]
    for result in [*means, paired_t(differences), *medians, *tests]:
        yield replace(
            result,
            time_point=result.time_point or span,
            n=len(pairs),
            missing=len(reasons),
            unit=result.unit or ("rank sum" if result.statistic == "wilcoxon" else measure.unit),
            warnings=result.warnings + said,
            resources=sources,
        )


def _imputed(
    tables: Tables, population: Population, measure: Measure, from_: Visit, to: Visit
) -> Iterator[Result | Issue]:
    """The means and their difference with what is missing drawn several times over."""
    found = impute(tables, population, measure, from_, to)
    yield from dict.fromkeys(found.before.issues + found.after.issues)
    none = () if found.subjects else ("Not evaluable: no subject has a value.",)
    for statistic, visit, place in (("mean_from", from_, 0), ("mean_to", to, 1)):
        mean = mean_of([one[place] for one in found.sets])
        result = Result(statistic=statistic, time_point=visit.name, estimate=mean, method=f"mean, {found.method}")
        yield told(replace(result, warnings=none), measure, found)
    yield told(replace(imputed_change(found), time_point=f"{from_.name} to {to.name}"), measure, found)
