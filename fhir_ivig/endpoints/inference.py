"""Estimates with intervals and tests: what scipy computes, and the exact signed-rank distribution that it cannot.

Every function gives a Result with statistic, estimate, interval, p and method filled in; who was measured, in which
unit and when is for the caller to add. All tests are two-sided and all intervals of level 0.95.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from math import floor, isfinite, sqrt
from typing import Any

from fhir_ivig.endpoints.numbers import Numbers
from fhir_ivig.endpoints.result import Result

LEVEL = 0.95
EXACT_UP_TO = 500  # pairs; the exact distribution takes time in n cubed, the normal one is indistinguishable by then


def paired_t(differences: Sequence[Decimal], statistic: str = "mean_difference") -> Result:
    """Mean of the differences with Student's t interval and paired t test (scipy.special.stdtr, stdtrit)."""
    method = "mean of the differences, Student's t interval and paired t test"
    every = Numbers.of(differences)
    estimate = every.mean()
    if len(differences) < 2 or every.alike:
        why = "all differences are equal" if len(differences) > 1 else f"n is {len(differences)}"
        said = f"Not evaluable: interval and test, because {why}."
        return Result(statistic=statistic, estimate=estimate, method=method, warnings=(said,))
    import numpy as np
    import scipy
    from scipy import special

    numbers = every.floats
    freedom, mean = len(numbers) - 1, float(numbers.mean())
    with np.errstate(all="ignore"):
        error = float(numbers.std(ddof=1) / np.sqrt(len(numbers)))
        p = 2 * float(special.stdtr(freedom, -abs(np.float64(mean) / error)))
    half = float(special.stdtrit(freedom, (1 + LEVEL) / 2)) * error
    low, high = mean - half, mean + half
    found = Result(statistic=statistic, estimate=estimate, method=f"{method} (scipy {scipy.__version__})")
    if not (all(map(isfinite, (low, high, p))) and error > 0):
        said = "Not evaluable: interval and test, because the differences are too nearly equal."
        return replace(found, warnings=(said,))
    return replace(found, low=as_decimal(low), high=as_decimal(high), level=LEVEL, p=p, sidedness="two-sided")


def signed_rank(differences: Sequence[Decimal]) -> Result:
    """Wilcoxon's signed-rank test; the estimate is the sum of the ranks of the positive differences.

    Exact up to 500 pairs: the distribution of that sum over all 2^n signs of the ranks at hand, so ties (mean ranks)
    need no correction. Zeros are ranked and then dropped (Pratt 1959, doi:10.1080/01621459.1959.10501526), since
    leaving them out first can make a result more significant by adding evidence against it. scipy does this for ties
    or zeros by listing every sign, which ends at about 20 pairs. Above 500, the normal approximation without
    correction for continuity.
    """
    statistic = "wilcoxon"
    scaled = Numbers.of(differences).whole
    if len(differences) < 2 or not scaled.any():
        why = "all differences are zero" if len(differences) > 1 else f"n is {len(differences)}"
        return Result(statistic=statistic, warnings=(f"Not evaluable: {why}.",))
    import numpy as np

    _, place, count = np.unique(np.abs(scaled), return_inverse=True, return_counts=True)
    doubled = (2 * np.cumsum(count) - count + 1)[place]  # twice the mean rank, so that it is whole
    ranks, positive = doubled[scaled != 0], scaled[scaled != 0] > 0
    observed = int(ranks[positive].sum())
    if len(differences) <= EXACT_UP_TO:
        chance = _chances(ranks)
        p = min(1.0, 2 * min(float(chance[: observed + 1].sum()), float(chance[observed:].sum())))
        method = "Wilcoxon signed-rank test, exact with ties, zeros by Pratt"
    else:
        import scipy
        from scipy import special

        # Over all signs, each equally likely, the sum has mean sum(r)/2 and variance sum(r squared)/4.
        spread = float(np.sqrt(np.square(ranks.astype(float)).sum()) / 2)
        p = 2 * float(special.ndtr(-abs(observed - float(ranks.sum()) / 2) / spread))
        method = f"Wilcoxon signed-rank test, normal approximation, zeros by Pratt (scipy {scipy.__version__})"
    return Result(statistic=statistic, estimate=Decimal(observed) / 2, p=p, sidedness="two-sided", method=method)


def hodges_lehmann(differences: Sequence[Decimal]) -> Result:
    """Median of the Walsh averages (d_i + d_j)/2, i <= j, with the interval that inverts the signed-rank test.

    Exact up to 500 pairs and conservative with ties (Hollander and Wolfe, Nonparametric Statistical Methods, 3.2 and
    3.3); below 6 pairs no interval reaches 0.95.
    """
    pairs = len(differences)
    method = "Hodges-Lehmann estimate, interval from the signed-rank distribution"
    if pairs < 2:
        return Result(statistic="hodges_lehmann", method=method, warnings=(f"Not evaluable: n is {pairs}.",))
    import numpy as np

    scaled, exponent = integers(differences)
    scaled = np.sort(scaled)
    walsh = pairs * (pairs + 1) // 2

    def averages(rank: int, other: int) -> Decimal:
        first = _pair_sum(scaled, rank)
        second = first if other == rank else _pair_sum(scaled, other)
        return Decimal(first + second).scaleb(exponent) / 4

    estimate = averages((walsh + 1) // 2, walsh // 2 + 1)
    tail, coverage = _lower_tail(pairs)
    if not tail:
        said = f"No interval: {pairs} pairs cannot reach the level {LEVEL}."
        return Result(statistic="hodges_lehmann", estimate=estimate, method=method, warnings=(said,))
    return Result(
        statistic="hodges_lehmann",
        estimate=estimate,
        low=averages(tail, tail),
        high=averages(walsh + 1 - tail, walsh + 1 - tail),
        level=LEVEL,
        sidedness="two-sided",
        method=f"{method}, {coverage}",
    )


def proportion(hits: int, of: int) -> Result:
    """Percent with the exact interval of Clopper and Pearson 1934 (doi:10.1093/biomet/26.4.404)."""
    if not of:
        return Result(statistic="percent", unit="%", warnings=("Not evaluable: n is 0.",))
    import scipy
    from scipy import special

    tail = (1 - LEVEL) / 2
    low = special.betaincinv(hits, of - hits + 1, tail) if hits else 0.0
    high = special.betaincinv(hits + 1, of - hits, 1 - tail) if hits < of else 1.0
    return Result(
        statistic="percent",
        estimate=Decimal(100 * hits) / of,
        unit="%",
        low=as_decimal(100 * low),
        high=as_decimal(100 * high),
        level=LEVEL,
        sidedness="two-sided",
        method=f"Clopper-Pearson interval (scipy {scipy.__version__})",
    )


def as_decimal(number: float) -> Decimal:
    """A computed number, to the digits that a float has."""
    return Decimal(repr(float(number)))


def between(result: Result, low: Decimal | float, high: Decimal | float) -> Result:
    """The result with a two-sided interval of LEVEL."""
    ends = [end if isinstance(end, Decimal) else as_decimal(end) for end in (low, high)]
    return replace(result, low=ends[0], high=ends[1], level=LEVEL, sidedness="two-sided")


def integers(numbers: Sequence[Decimal]) -> tuple[Any, int]:
    """The numbers as whole multiples of a power of ten, and that power: equal numbers stay equal, sums are exact."""
    every = Numbers.of(numbers)
    return every.whole, every.exponent


def _chances(ranks: Any) -> Any:
    """The probability of each sum 0, 1, 2 ... of the ranks that get a plus, all signs being equally likely."""
    import numpy as np

    chance = np.zeros(int(ranks.sum()) + 1)
    chance[0] = 1.0
    for rank in map(int, ranks):
        moved = np.zeros_like(chance)
        moved[rank:] = chance[: len(chance) - rank]
        chance = (chance + moved) / 2
    return chance


def _lower_tail(pairs: int) -> tuple[int, str]:
    """How many Walsh averages lie outside each end of the interval, plus one (0: none possible), and its coverage."""
    import numpy as np

    if pairs <= EXACT_UP_TO:
        below = np.cumsum(_chances(np.arange(1, pairs + 1)))
        tail = int(np.searchsorted(below, (1 - LEVEL) / 2, "right"))
        return tail, f"exact, coverage {1 - 2 * float(below[tail - 1]):.4f} without ties" if tail else ""
    from scipy import special

    spread = sqrt(pairs * (pairs + 1) * (2 * pairs + 1) / 24)
    tail = floor(pairs * (pairs + 1) / 4 + float(special.ndtri((1 - LEVEL) / 2)) * spread)
    return tail, "normal approximation"


def _pair_sum(ordered: Any, rank: int) -> int:
    """The rank-th smallest (from 1) of all sums x_i + x_j, i <= j, by halving: never n squared numbers in memory."""
    import numpy as np

    at = np.arange(len(ordered))
    low, high = 2 * int(ordered[0]), 2 * int(ordered[-1])
    while low < high:
        middle = (low + high) // 2
        below = np.searchsorted(ordered, middle - ordered, "right") - at
        low, high = (low, middle) if int(np.maximum(below, 0).sum()) >= rank else (middle + 1, high)
    return low
