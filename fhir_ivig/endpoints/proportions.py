"""Proportions and their difference between two arms: intervals and tests, in percent.

Every function gives a Result as those of inference.py do: statistic, estimate, interval, p and method.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from math import acos, copysign, cos, hypot, isfinite, pi, sqrt
from typing import Any, NamedTuple

from fhir_ivig.endpoints.inference import LEVEL, as_decimal, between
from fhir_ivig.endpoints.result import Result

Ends = tuple[float, float]


class Share(NamedTuple):
    """So many of so many."""

    hits: int
    of: int


def clopper_pearson(share: Share) -> Ends:
    """Clopper and Pearson 1934 (doi:10.1093/biomet/26.4.404), exact."""
    from scipy import stats

    low, high = stats.binomtest(*share).proportion_ci(LEVEL, "exact")
    return float(low), float(high)


def wilson(share: Share) -> Ends:
    """Wilson 1927 (doi:10.1080/01621459.1927.10502953), without continuity correction."""
    from scipy import stats

    low, high = stats.binomtest(*share).proportion_ci(LEVEL, "wilson")
    return float(low), float(high)


def wald(share: Share) -> Ends:
    """The normal approximation, cut at 0 and 1; of no width at 0 and n hits."""
    rate = share.hits / share.of
    reach = _z() * sqrt(rate * (1 - rate) / share.of)
    return max(0.0, rate - reach), min(1.0, rate + reach)


def wald_difference(one: Share, other: Share) -> Ends:
    """The normal approximation with unpooled variance, cut at -1 and 1."""
    first, second = one.hits / one.of, other.hits / other.of
    reach = _z() * sqrt(first * (1 - first) / one.of + second * (1 - second) / other.of)
    return max(-1.0, first - second - reach), min(1.0, first - second + reach)


def newcombe(one: Share, other: Share) -> Ends:
    """Newcombe 1998, method 10: hybrid of two Wilson intervals
    (doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I)."""
    first, second = one.hits / one.of, other.hits / other.of
    (low, high), (other_low, other_high) = wilson(one), wilson(other)
    below, above = hypot(first - low, other_high - second), hypot(high - first, second - other_low)
    return first - second - below, first - second + above


def miettinen_nurminen(one: Share, other: Share) -> Ends:
    """Miettinen and Nurminen 1985 (doi:10.1002/sim.4780040211): score interval, variance times N/(N-1)."""
    from scipy.optimize import brentq

    seen = one.hits / one.of - other.hits / other.of
    z = _z()

    def from_z(difference: float, end: float) -> float:
        return min(abs(_score(one, other, difference)), 1e6) - end

    low = brentq(from_z, -1, seen, (z,), xtol=1e-12) if seen > -1 else -1.0
    high = brentq(from_z, seen, 1, (z,), xtol=1e-12) if seen < 1 else 1.0
    return float(low), float(high)


INTERVALS: dict[str, Callable[[Share], Ends]] = {
    "clopper-pearson": clopper_pearson,
    "wilson": wilson,
    "wald": wald,
}
DIFFERENCES: dict[str, Callable[[Share, Share], Ends]] = {
    "newcombe": newcombe,
    "miettinen-nurminen": miettinen_nurminen,
    "wald": wald_difference,
}


def percent(share: Share, interval: str) -> Result:
    """Percent with one of INTERVALS; statistic `percent_wilson` and so on."""
    statistic = f"percent_{interval.replace('-', '_')}"
    if not share.of:
        return Result(statistic=statistic, unit="%", warnings=("Not evaluable: n is 0.",))
    return _interval(statistic, Decimal(100 * share.hits) / share.of, INTERVALS[interval](share), interval)


def percent_difference(one: Share, other: Share, interval: str) -> Result:
    """Percent of one minus percent of the other with one of DIFFERENCES; statistic `difference_newcombe`."""
    statistic = f"difference_{interval.replace('-', '_')}"
    if not (one.of and other.of):
        return Result(statistic=statistic, unit="%", warnings=("Not evaluable: n is 0 in an arm.",))
    # over one denominator, so that equal shares differ by 0 and not by a rounding
    numerator = 100 * (one.hits * other.of - other.hits * one.of)
    estimate = Decimal(numerator) / (one.of * other.of)
    return _interval(statistic, estimate, DIFFERENCES[interval](one, other), interval)


def fisher(one: Share, other: Share) -> Result:
    """Fisher's exact test, its p the sum over tables no more likely; the estimate is the conditional odds ratio with
    its exact interval (Cornfield 1956), which need not agree with that p."""
    if why := _why_not(one, other):
        return Result(statistic="fisher", warnings=(why,))
    import scipy
    from scipy import stats

    counts = _counts(one, other)
    ratio = stats.contingency.odds_ratio(counts)
    low, high = map(float, ratio.confidence_interval(LEVEL))
    found = Result(
        statistic="fisher",
        unit="odds ratio",
        p=min(1.0, float(stats.fisher_exact(counts)[1])),
        sidedness="two-sided",
        method=f"Fisher's exact test, conditional odds ratio with exact interval (scipy {scipy.__version__})",
    )
    if not (isfinite(ratio.statistic) and isfinite(high)):
        said = "No estimate and no interval: the odds ratio is infinite, or its interval has no upper end."
        return replace(found, warnings=(said,))
    return between(replace(found, estimate=as_decimal(ratio.statistic)), low, high)


def barnard(one: Share, other: Share) -> Result:
    """Barnard's exact test with the pooled score statistic (Suissa and Shuster 1985), which is the estimate.

    p is the largest chance, over all shares that the arms may have in common, of a table as far off. It is looked for
    here: scipy.stats.barnard_exact tries few shares, and can miss it (0 of 1 against 4 of 4 is 1/12, not 0.0819).
    """
    if why := _why_not(one, other):
        return Result(statistic="barnard", warnings=(why,))
    import numpy as np
    import scipy
    from scipy import optimize, stats

    hits, other_hits = np.ogrid[: one.of + 1, : other.of + 1]
    total, of = hits + other_hits, one.of + other.of
    pooled = total / of * (1 - total / of) * (1 / one.of + 1 / other.of)
    scores = (hits / one.of - other_hits / other.of) / np.sqrt(np.where(pooled, pooled, 1))
    seen = float(scores[one.hits, other.hits])
    far = np.where(abs(scores) >= abs(seen) - 1e-9, stats.hypergeom.pmf(hits, of, total, one.of), 0)
    of_total = np.bincount(total.ravel(), far.ravel())  # the chance of such a table, given how many responded in all

    def chance(share: Any) -> Any:
        return of_total @ stats.binom.pmf(np.arange(of + 1)[:, None], of, np.atleast_1d(share))

    tried = np.linspace(0, 1, 1001)
    best = int(chance(tried).argmax())
    around = tried[max(best - 1, 0)], tried[min(best + 1, 1000)]
    top = optimize.minimize_scalar(lambda share: -chance(share)[0], bounds=around, method="bounded")
    return Result(
        statistic="barnard",
        estimate=as_decimal(seen),
        unit="z",
        p=min(1.0, max(-float(top.fun), float(chance(tried[best])[0]))),
        sidedness="two-sided",
        method=f"Barnard's exact test, pooled score statistic (scipy {scipy.__version__})",
    )


def _why_not(one: Share, other: Share) -> str:
    """Why two shares cannot be tested, empty where they can."""
    if not (one.of and other.of):
        return "Not evaluable: n is 0 in an arm."
    hits = one.hits + other.hits
    return "" if 0 < hits < one.of + other.of else "Not evaluable: all have the same outcome."


def _counts(one: Share, other: Share) -> list[list[int]]:
    return [[one.hits, one.of - one.hits], [other.hits, other.of - other.hits]]


def _interval(statistic: str, estimate: Decimal, ends: Ends, interval: str) -> Result:
    import scipy

    name = "-".join(part.capitalize() for part in interval.split("-"))
    method = f"{name} interval (scipy {scipy.__version__})"
    found = Result(statistic=statistic, estimate=estimate, unit="%", method=method)
    return between(found, 100 * ends[0], 100 * ends[1])


def _z() -> float:
    from scipy import stats

    return float(stats.norm.ppf((1 + LEVEL) / 2))


def _score(one: Share, other: Share, difference: float) -> float:
    """How many standard errors, taken where the shares differ by `difference`, the shares seen are off that."""
    off = one.hits / one.of - other.hits / other.of - difference
    second = min(max(_restricted(one, other, difference), 0.0, -difference), 1.0, 1 - difference)
    first = second + difference
    of = one.of + other.of
    variance = (first * (1 - first) / one.of + second * (1 - second) / other.of) * of / (of - 1)
    return off / sqrt(variance) if variance > 0 else copysign(float("inf"), off) if off else 0.0


def _restricted(one: Share, other: Share, difference: float) -> float:
    """The most likely share of the other where one is greater by `difference`: the root of a cubic in closed form
    (Farrington and Manning 1990, doi:10.1002/sim.4780091208, appendix)."""
    of, hits = one.of + other.of, one.hits + other.hits
    c = (one.of + 2 * other.of) * difference - of - hits
    b = (other.of * difference - of - 2 * other.hits) * difference + hits
    a = other.hits * difference * (1 - difference)
    third = c / (3 * of)
    q = third**3 - c * b / (6 * of**2) + a / (2 * of)
    p = copysign(sqrt(max(third**2 - b / (3 * of), 0.0)), q)
    if not p:
        return -third
    return 2 * p * cos((pi + acos(min(max(q / p**3, -1.0), 1.0))) / 3) - third
