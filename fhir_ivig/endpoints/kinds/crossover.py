"""Two treatments, each subject having both, in one of two sequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

from fhir_ivig.endpoints.arms import groups
from fhir_ivig.endpoints.assessments import readings
from fhir_ivig.endpoints.definition import Measure, Population, Visit
from fhir_ivig.endpoints.groups import mean_difference, rank_sum, shift
from fhir_ivig.endpoints.quantities import average
from fhir_ivig.endpoints.readings import Readings
from fhir_ivig.endpoints.result import NotEvaluableError, Result, left_out
from fhir_ivig.endpoints.tables import Tables, references
from fhir_ivig.issue import Issue

METHOD = "AB/BA crossover (Hills and Armitage 1979)"
TWO_STAGE = (
    "This test has little power, and to choose the analysis by it is biased "
    "(Freeman 1989, doi:10.1002/sim.4780081202)."
)


def crossover(
    tables: Tables,
    population: Population,
    sequences: tuple[Population, ...],
    measure: Measure,
    first: tuple[Visit, ...],
    second: tuple[Visit, ...],
) -> Iterator[Result | Issue]:
    """`treatment` (t), `treatment_rank_sum`, `treatment_hodges_lehmann`, `period`, `carry_over`, and
    `treatment_first_period`; the mean of each sequence in each period before them.

    `sequences` are two populations: who had the treatment under study in the first period, and who had it in the
    second. `first` and `second` are the visits of a period: where it begins and ends, the change being its outcome,
    or only where it ends. Effects are those of Hills and Armitage 1979 (doi:10.1111/j.1365-2125.1979.tb05910.x):
    half the difference between the sequences of the differences within subjects; the carry-over is the difference of
    the sums (Grizzle 1965, doi:10.2307/2528104), which cannot be told from an effect of the sequence.
    """
    if len(sequences) != 2 or not all(0 < len(period) < 3 for period in (first, second)):
        raise NotEvaluableError("two sequences are needed, and one or two visits of each period")
    split = groups(population, sequences)
    visits = {visit.name: readings(tables, population, measure, visit) for visit in (*first, *second)}
    reasons: dict[str, str] = {}
    for found in visits.values():
        yield from found.issues
        reasons = found.reasons | reasons
    chosen = [sorted(sequence.subjects - reasons.keys()) for sequence in split]
    outcomes = [[[_outcome(visits, period, one) for one in group] for period in (first, second)] for group in chosen]
    common = Result(
        statistic="",
        n=sum(map(len, chosen)),
        missing=len(reasons),
        warnings=left_out(reasons),
        resources=references(found.rows[one] for found in visits.values() for group in chosen for one in group),
    )
    for sequence, group in zip(split, outcomes, strict=True):
        for period, values in zip((first, second), group, strict=True):
            said = () if values else ("Not evaluable: no subject has all values.",)
            mean = Result(statistic="mean", estimate=average(values), method="mean", warnings=said)
            yield replace(_told(mean, common, measure, period), arm=sequence.label, n=len(values))
    for result in _effects(*outcomes):
        periods = first if result.statistic == "treatment_first_period" else (first[0], second[-1])
        yield _told(result, common, measure, periods)


def _effects(one: Sequence[list[Decimal]], other: Sequence[list[Decimal]]) -> Iterator[Result]:
    """The effects from the outcomes by period of the two sequences."""
    halves, other_halves = ([(x - y) / 2 for x, y in zip(*group, strict=True)] for group in (one, other))
    sums, other_sums = ([x + y for x, y in zip(*group, strict=True)] for group in (one, other))
    yield replace(mean_difference(halves, other_halves, equal_variances=True), statistic="treatment")
    yield replace(rank_sum(halves, other_halves), statistic="treatment_rank_sum")
    yield replace(shift(halves, other_halves), statistic="treatment_hodges_lehmann")
    reverse = [-half for half in halves]
    yield replace(mean_difference(reverse, other_halves, equal_variances=True), statistic="period")
    carried = mean_difference(sums, other_sums, equal_variances=True)
    yield replace(carried, statistic="carry_over", warnings=(*carried.warnings, TWO_STAGE))
    yield replace(mean_difference(one[0], other[0], equal_variances=True), statistic="treatment_first_period")


def _outcome(visits: dict[str, Readings], period: Sequence[Visit], subject: str) -> Decimal:
    values = [visits[visit.name].values[subject] for visit in period]
    return values[-1] - values[0] if len(values) > 1 else values[0]


def _told(result: Result, common: Result, measure: Measure, visits: Sequence[Visit]) -> Result:
    return replace(
        common,
        statistic=result.statistic,
        estimate=result.estimate,
        unit=result.unit or measure.unit,
        low=result.low,
        high=result.high,
        level=result.level,
        p=result.p,
        sidedness=result.sidedness,
        time_point=" to ".join(dict.fromkeys(visit.name for visit in visits)),
        method="; ".join(filter(None, (METHOD, result.method))),
        warnings=result.warnings + common.warnings,
    )
