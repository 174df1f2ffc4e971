"""Change of a measure from one visit to another, compared between arms (parallel groups)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from fhir_ivig.endpoints.arms import against_last, groups
from fhir_ivig.endpoints.assessments import readings
from fhir_ivig.endpoints.definition import Measure, Population, Visit
from fhir_ivig.endpoints.groups import ancova, mean_difference, rank_sum, shift
from fhir_ivig.endpoints.imputation import impute, imputed_change, imputed_difference, told
from fhir_ivig.endpoints.inference import paired_t
from fhir_ivig.endpoints.quantities import average
from fhir_ivig.endpoints.readings import Readings
from fhir_ivig.endpoints.result import Result, left_out
from fhir_ivig.endpoints.tables import Tables, references
from fhir_ivig.issue import Issue


@dataclass(frozen=True, slots=True)
class Pairs:
    """The subjects of an arm with both values, these values, and who was left out and why."""

    before: list[Decimal]
    after: list[Decimal]
    resources: tuple[str, ...]
    reasons: dict[str, str]

    @property
    def changes(self) -> list[Decimal]:
        """The later value minus the earlier of each."""
        return [after - before for before, after in zip(self.before, self.after, strict=True)]


def group_change(
    tables: Tables, population: Population, arms: tuple[Population, ...], measure: Measure, from_: Visit, to: Visit
) -> Iterator[Result | Issue]:
    """Of each arm `mean_from`, `mean_to` and `mean_change` (t interval, paired t test). Of each arm minus the last:
    `difference_t`, `difference_welch`, `ancova` (change adjusted for the value before), `rank_sum` (exact with ties)
    and `hodges_lehmann` (shift of the change). Only subjects with both values count (complete cases)."""
    split = groups(population, arms, least=2)
    if tables.plan.missing == "multiple_imputation":
        yield from _imputed(tables, split, measure, from_, to)
        return
    found = [readings(tables, population, measure, visit) for visit in (from_, to)]
    for each in found:
        yield from each.issues
    every = [_pairs(arm, *found) for arm in split]
    span = f"{from_.name} to {to.name}"
    for arm, pairs in zip(split, every, strict=True):
        said = () if pairs.before else ("Not evaluable: no subject has both values.",)
        means = [
            Result(statistic=statistic, time_point=visit.name, estimate=average(values), method="mean", warnings=said)
            for statistic, visit, values in (("mean_from", from_, pairs.before), ("mean_to", to, pairs.after))
        ]
        for result in [*means, paired_t(pairs.changes, "mean_change")]:
            yield replace(_told(result, measure, pairs), arm=arm.label, time_point=result.time_point or span)
    for place, label in against_last(split):
        one, other = every[place], every[-1]
        changes = one.changes, other.changes
        for result in [
            mean_difference(*changes, equal_variances=True),
            mean_difference(*changes, equal_variances=False),
            ancova(*changes, one.before, other.before),
            rank_sum(*changes),
            shift(*changes),
        ]:
            yield replace(_told(result, measure, one, other), arm=label, time_point=span)


def _imputed(
    tables: Tables, arms: Sequence[Population], measure: Measure, from_: Visit, to: Visit
) -> Iterator[Result | Issue]:
    """The mean change of each arm and their difference, what is missing drawn arm by arm several times over."""
    every = [impute(tables, arm, measure, from_, to, place) for place, arm in enumerate(arms)]
    yield from dict.fromkeys(issue for one in every for read in (one.before, one.after) for issue in read.issues)
    span = f"{from_.name} to {to.name}"
    for arm, one in zip(arms, every, strict=True):
        change = replace(imputed_change(one), statistic="mean_change", arm=arm.label, time_point=span)
        yield told(change, measure, one)
    for place, label in against_last(arms):
        difference = replace(imputed_difference(every[place], every[-1]), arm=label, time_point=span)
        yield told(difference, measure, every[place], every[-1])


def _pairs(arm: Population, before: Readings, after: Readings) -> Pairs:
    reasons = {subject: why for subject, why in (after.reasons | before.reasons).items() if subject in arm.subjects}
    chosen = sorted(arm.subjects - reasons.keys())
    firsts, lasts = ([found.values[subject] for subject in chosen] for found in (before, after))
    sources = references(found.rows[one] for found in (before, after) for one in chosen)
    return Pairs(firsts, lasts, sources, reasons)


def _told(result: Result, measure: Measure, *arms: Pairs) -> Result:
    reasons = {subject: why for pairs in arms for subject, why in pairs.reasons.items()}
    return replace(
        result,
        n=sum(len(pairs.before) for pairs in arms),
        missing=len(reasons),
        unit=result.unit or measure.unit,
        warnings=result.warnings + left_out(reasons),
        resources=tuple(sorted({resource for pairs in arms for resource in pairs.resources})),
    )
