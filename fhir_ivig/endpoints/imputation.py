"""Multiple imputation: changes of a measure with what is missing drawn several times over, pooled by Rubin's rules.

statsmodels draws (chained equations, predictive mean matching among the 5 nearest, parameters perturbed as a normal
distribution), from the values at the two visits and at those visits between them that enough subjects have. So a
drawn value is always one that somebody had. Values must be missing at random given those. Pooling: Rubin 1987; its
degrees of freedom: Barnard and Rubin 1999 (doi:10.1093/biomet/86.4.948).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import isfinite, sqrt
from typing import Any, NamedTuple

from fhir_ivig.endpoints.assessments import readings
from fhir_ivig.endpoints.groups import MODELS
from fhir_ivig.endpoints.inference import LEVEL, as_decimal
from fhir_ivig.endpoints.populations import Population
from fhir_ivig.endpoints.readings import Readings
from fhir_ivig.endpoints.result import NotEvaluableError, Result, left_out, named
from fhir_ivig.endpoints.tables import Tables
from fhir_ivig.endpoints.terms import Measure, Plan, Visit

TRIFLE = 1e-12  # of the variance: what floats leave where nothing was drawn that mattered
NEAREST, LEAST, CYCLES = 5, 10, 10  # values matched; values needed at each visit; cycles of the chain for each set


@dataclass(frozen=True, slots=True)
class Imputed:
    """The values at two visits of those who count: `sets` of arrays (from, to), one for each imputation."""

    before: Readings
    after: Readings
    subjects: list[str]
    reasons: dict[str, str]
    sets: list[tuple[Any, Any]]
    method: str


class Pooled(NamedTuple):
    """An estimate over all imputations, its variance, and its degrees of freedom."""

    estimate: float
    variance: float
    freedom: float


def impute(
    tables: Tables, population: Population, measure: Measure, from_: Visit, to: Visit, stream: int = 0
) -> Imputed:
    """The values of everybody who has one at least; NotEvaluableError where too few have one to draw from.

    `stream` is the number of the arm: each draws for itself. Who died before a visit, or whose value there cannot be
    used, is left out, as is who has no value at all.
    """
    tables.plan.asked = True
    days = (from_.day or 0, to.day or 0)
    visits = [one for one in tables.plan.visits if one.day is not None and days[0] < one.day < days[1]]
    every = {visit.name: readings(tables, population, measure, visit) for visit in (from_, *visits, to)}
    before, after = every[from_.name], every[to.name]
    lost = [before, after]
    reasons = {one: why for read in lost for one, why in read.reasons.items() if one not in read.gaps}
    enough = [read for read in every.values() if read in lost or len(read.subjects) >= LEAST]
    known = set().union(*(read.subjects for read in enough))
    reasons |= dict.fromkeys(population.subjects - known - reasons.keys(), f"no value from {from_.name} to {to.name}")
    subjects = sorted(population.subjects - reasons.keys())
    filled = {f"{one} at {read.visit.name}" for read in lost for one in read.gaps - reasons.keys()}
    for read in lost:
        if filled and len(read.subjects) < LEAST:
            said = f"{len(read.subjects)} values of {measure.name} at {read.visit.name} are too few to draw from"
            raise NotEvaluableError(f"{said}: at least {LEAST} are needed")
    sets, method = _drawn(enough, subjects, tables.plan, stream)
    if filled:
        tables.plan.notes.append(
            f"Drawn by multiple imputation, {len(filled)} values of {measure.name}: {named(filled)}."
        )
    places = [enough.index(read) for read in lost]
    return Imputed(before, after, subjects, reasons, [(one[:, places[0]], one[:, places[1]]) for one in sets], method)


def _drawn(every: Sequence[Readings], subjects: Sequence[str], plan: Plan, stream: int) -> tuple[list[Any], str]:
    try:
        import statsmodels
        from statsmodels.imputation.mice import MICEData
    except ImportError:
        raise NotEvaluableError(MODELS.removeprefix("Not evaluable: ").rstrip(".")) from None
    import warnings

    import numpy as np
    import pandas as pd

    seed, times = plan.seed, plan.imputations
    rows = [[float(read.values.get(one, "nan")) for read in every] for one in subjects]
    frame = pd.DataFrame(rows, columns=[f"visit{place}" for place in range(len(every))], dtype=float)
    method = (
        f"{times} imputations by chained equations, predictive mean matching (statsmodels {statsmodels.__version__}"
    )
    method += f", seed {seed}), pooled by Rubin's rules"
    if not frame.isna().to_numpy().any():
        return [frame.to_numpy()] * times, method
    found = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        chain = MICEData(frame, k_pmm=NEAREST, rng=np.random.default_rng([seed, stream]))
        for _ in range(times):
            chain.update_all(CYCLES)
            found.append(chain.data[frame.columns].to_numpy(copy=True))
    return found, method


def told(result: Result, measure: Measure, *groups: Imputed) -> Result:
    """The result with how many went in, who was left out, and the resources of these groups."""
    reasons = {subject: why for one in groups for subject, why in one.reasons.items()}
    sources = {source for one in groups for read in (one.before, one.after) for source in read.sources()}
    return replace(
        result,
        n=sum(len(one.subjects) for one in groups),
        missing=len(reasons),
        unit=measure.unit,
        warnings=result.warnings + left_out(reasons),
        resources=tuple(sorted(sources)),
    )


def pool(estimates: Sequence[float], variances: Sequence[float], freedom: float) -> Pooled:
    """Rubin's rules over the imputations; `freedom` are the degrees of freedom were nothing missing."""
    times = len(estimates)
    mean = sum(estimates) / times
    within = sum(variances) / times
    spread = sum((one - mean) ** 2 for one in estimates) / (times - 1)
    total = within + (1 + 1 / times) * spread
    share = (1 + 1 / times) * spread / total if total else 0.0
    if share < TRIFLE:
        return Pooled(mean, total, freedom)
    drawn = (times - 1) / share**2
    observed = (freedom + 1) / (freedom + 3) * freedom * (1 - share)
    return Pooled(mean, total, drawn * observed / (drawn + observed))


def pooled_t(pooled: Pooled, statistic: str, method: str) -> Result:
    """The estimate with its t interval and test."""
    from scipy import special

    estimate, error = as_decimal(pooled.estimate), sqrt(pooled.variance)
    if not (error > 0 and pooled.freedom > 0 and isfinite(pooled.freedom)):
        said = "Not evaluable: interval and test, because there is no variance."
        return Result(statistic=statistic, estimate=estimate, method=method, warnings=(said,))
    half = float(special.stdtrit(pooled.freedom, (1 + LEVEL) / 2)) * error
    return Result(
        statistic=statistic,
        estimate=estimate,
        low=as_decimal(pooled.estimate - half),
        high=as_decimal(pooled.estimate + half),
        level=LEVEL,
        p=2 * float(special.stdtr(pooled.freedom, -abs(pooled.estimate) / error)),
        sidedness="two-sided",
        method=f"{method}; t with {pooled.freedom:.1f} degrees of freedom (Barnard and Rubin)",
    )


def mean_of(sets: Sequence[Any]) -> Decimal | None:
    """The mean over all imputations."""
    return as_decimal(sum(float(one.mean()) for one in sets) / len(sets)) if len(sets[0]) else None


def imputed_change(found: Imputed) -> Result:
    """The mean change of one group, paired."""
    size = len(found.subjects)
    if size < 2:
        return Result(statistic="mean_difference", warnings=(f"Not evaluable: n is {size}.",))
    changes = [to - from_ for from_, to in found.sets]
    variances = [float(one.var(ddof=1)) / size for one in changes]
    pooled = pool([float(one.mean()) for one in changes], variances, size - 1)
    return pooled_t(pooled, "mean_difference", f"mean of the differences, {found.method}")


def imputed_difference(one: Imputed, other: Imputed) -> Result:
    """The difference of the mean changes of two groups, variances not taken as equal (Welch)."""
    sizes = len(one.subjects), len(other.subjects)
    if min(sizes) < 2:
        return Result(statistic="difference_welch", warnings=(f"Not evaluable: n is {sizes[0]} and {sizes[1]}.",))
    estimates, variances = [], []
    for pair in zip(one.sets, other.sets, strict=True):
        changes = [to - from_ for from_, to in pair]
        estimates.append(float(changes[0].mean() - changes[1].mean()))
        variances.append(sum(float(each.var(ddof=1)) / len(each) for each in changes))
    pooled = pool(estimates, variances, sum(sizes) - 2)
    return pooled_t(pooled, "difference_welch", f"difference of the mean changes, {one.method}")
