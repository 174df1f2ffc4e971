"""Two independent groups of numbers: difference of means, rank-sum test, shift, and the difference given a covariate.

Every function gives a Result as those of inference.py do; a difference is that of the first group minus the second.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from math import comb, floor, isfinite, sqrt
from typing import Any

from fhir_ivig.endpoints.inference import LEVEL, as_decimal, between, integers
from fhir_ivig.endpoints.quantities import average
from fhir_ivig.endpoints.result import Result

EXACT_UP_TO = 100  # subjects in both groups; the normal distribution is near by then, and the exact one takes seconds
MODELS = "Not evaluable: statsmodels is not installed (pip install 'fhir-ivig[models]')."


def mean_difference(one: Sequence[Decimal], other: Sequence[Decimal], equal_variances: bool) -> Result:
    """Difference of the means with Student's (`difference_t`) or Welch's (`difference_welch`) interval and test."""
    statistic = "difference_t" if equal_variances else "difference_welch"
    means = average(one), average(other)
    if means[0] is None or means[1] is None:
        return Result(statistic=statistic, warnings=(_no_group(one, other),))
    name = "Student's t, equal variances" if equal_variances else "Welch's t"
    found = Result(statistic=statistic, estimate=means[0] - means[1], method=f"difference of means, {name}")
    least = 1 if equal_variances else 2
    if min(len(one), len(other)) < least or len(one) + len(other) < 3:
        said = f"Not evaluable: interval and test, because the groups have {len(one)} and {len(other)} values."
        return replace(found, warnings=(said,))
    if len(set(one)) == len(set(other)) == 1:
        return replace(found, warnings=("Not evaluable: interval and test, because no group varies.",))
    import numpy as np
    import scipy
    from scipy import stats

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        test = stats.ttest_ind(_floats(one), _floats(other), equal_var=equal_variances)
        low, high = map(float, test.confidence_interval(LEVEL))
    p = float(test.pvalue)
    if not all(map(isfinite, (low, high, p))):
        return replace(
            found, warnings=("Not evaluable: interval and test, because the values are too nearly equal.",)
        )
    method = f"{found.method} (scipy {scipy.__version__})"
    return between(replace(found, p=p, method=method), low, high)


def ancova(
    one: Sequence[Decimal], other: Sequence[Decimal], before_one: Sequence[Decimal], before_other: Sequence[Decimal]
) -> Result:
    """Difference between the groups at equal values before: least squares on group and value before (statsmodels).

    It is the same whether the values or their changes from before are given, but for rounding.
    """
    statistic = "ancova"
    if not (one and other):
        return Result(statistic=statistic, warnings=(_no_group(one, other),))
    if len(one) + len(other) < 4:
        return Result(statistic=statistic, warnings=("Not evaluable: fewer than 4 subjects.",))
    try:
        import statsmodels
        from statsmodels.api import OLS
    except ImportError:
        return Result(statistic=statistic, warnings=(MODELS,))
    import numpy as np

    before = np.array(_floats([*before_one, *before_other]))
    group = np.array([1.0] * len(one) + [0.0] * len(other))
    outcome = np.array(_floats([*one, *other]))
    design = np.column_stack([np.ones_like(before), group, before - before.mean()])
    if np.linalg.matrix_rank(design) < 3:
        said = "Not evaluable: the values before do not vary, or tell the groups apart fully."
        return Result(statistic=statistic, warnings=(said,))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        fit = OLS(outcome, design).fit()
        (low, high), p = fit.conf_int(1 - LEVEL)[1], float(fit.pvalues[1])
    scale = float(np.abs(outcome).max())
    if not all(map(isfinite, (low, high, p))) or fit.mse_resid <= (1e-12 * scale) ** 2:
        return Result(statistic=statistic, warnings=("Not evaluable: the model leaves no variation.",))
    method = f"analysis of covariance, adjusted for the value before (statsmodels {statsmodels.__version__})"
    found = Result(statistic=statistic, estimate=as_decimal(fit.params[1]), p=p, method=method)
    return between(found, low, high)


def rank_sum(one: Sequence[Decimal], other: Sequence[Decimal]) -> Result:
    """Wilcoxon's rank-sum test; the estimate is the Mann-Whitney U: pairs in which the first is greater, ties half.

    Exact up to 100 subjects: the distribution of the rank sum over all divisions of the ranks at hand into groups of
    these sizes, so ties (mean ranks) need no correction; p is the chance of a sum as far from its mean. scipy has no
    exact test with ties. Above, scipy's normal approximation with correction for ties.
    """
    statistic = "rank_sum"
    if not (one and other):
        return Result(statistic=statistic, warnings=(_no_group(one, other),))
    import numpy as np

    scaled = integers([*one, *other])[0]
    _, place, count = np.unique(scaled, return_inverse=True, return_counts=True)
    if len(count) == 1:
        return Result(statistic=statistic, warnings=("Not evaluable: all values are equal.",))
    doubled = (2 * np.cumsum(count) - count + 1)[place]  # twice the mean rank, so that it is whole
    observed, size = int(doubled[: len(one)].sum()), len(one) + len(other)
    estimate = Decimal(observed - len(one) * (len(one) + 1)) / 2
    if size <= EXACT_UP_TO:
        chance = _divisions(doubled, len(one))
        off = np.abs(np.arange(len(chance)) - len(one) * (size + 1))
        p = min(1.0, float(chance[off >= abs(observed - len(one) * (size + 1))].sum()))
        method = "Wilcoxon rank-sum test, exact with ties"
    else:
        import scipy
        from scipy import stats

        ranks = doubled.astype(float)
        test = stats.mannwhitneyu(ranks[: len(one)], ranks[len(one) :], use_continuity=False, method="asymptotic")
        p = float(test.pvalue)
        method = f"Wilcoxon rank-sum test, normal approximation (scipy {scipy.__version__})"
    return Result(statistic=statistic, estimate=estimate, unit="U", p=p, sidedness="two-sided", method=method)


def shift(one: Sequence[Decimal], other: Sequence[Decimal]) -> Result:
    """Hodges-Lehmann shift: median of all differences between the groups, with the interval that inverts the rank-sum
    test (Hollander and Wolfe, Nonparametric Statistical Methods, 4.2 and 4.3); conservative with ties."""
    statistic, method = "hodges_lehmann", "Hodges-Lehmann shift, interval from the rank-sum distribution"
    if not (one and other):
        return Result(statistic=statistic, warnings=(_no_group(one, other),))
    import numpy as np

    scaled, exponent = integers([*one, *other])
    first, second = np.sort(scaled[: len(one)]), np.sort(scaled[len(one) :])
    pairs = len(one) * len(other)

    def difference(rank: int) -> Decimal:
        return Decimal(_pair_difference(first, second, rank)).scaleb(exponent)

    estimate = (difference((pairs + 1) // 2) + difference(pairs // 2 + 1)) / 2
    found = Result(statistic=statistic, estimate=estimate, method=method)
    tail, coverage = _lower_tail(len(one), len(other))
    if not tail:
        said = f"No interval: groups of {len(one)} and {len(other)} cannot reach the level {LEVEL}."
        return replace(found, warnings=(said,))
    return between(replace(found, method=f"{method}, {coverage}"), difference(tail), difference(pairs + 1 - tail))


def _no_group(one: Sequence[Decimal], other: Sequence[Decimal]) -> str:
    return f"Not evaluable: the groups have {len(one)} and {len(other)} values."


def _floats(numbers: Sequence[Decimal]) -> list[float]:
    return [float(number) for number in numbers]


def _divisions(ranks: Any, size: int) -> Any:
    """The probability of each sum 0, 1, 2 ... of `size` of the ranks, all choices being equally likely."""
    import numpy as np

    ways = np.zeros((size + 1, int(np.sort(ranks)[-size:].sum()) + 1))
    ways[0, 0] = 1.0
    for rank in map(int, ranks):
        ways[1:, rank:] += ways[:-1, : ways.shape[1] - rank]  # the right side is read whole before it is written
    return ways[size] / comb(len(ranks), size)


def _lower_tail(one: int, other: int) -> tuple[int, str]:
    """How many differences lie outside each end of the interval, plus one (0: none possible), and its coverage."""
    import numpy as np

    if one + other <= EXACT_UP_TO:
        size = min(one, other)
        least = size * (size + 1) // 2
        below = np.cumsum(_divisions(np.arange(1, one + other + 1), size)[least:])
        tail = int(np.searchsorted(below, (1 - LEVEL) / 2, "right"))
        return tail, f"exact, coverage {1 - 2 * float(below[tail - 1]):.4f} without ties" if tail else ""
    from scipy import stats

    spread = sqrt(one * other * (one + other + 1) / 12)
    tail = floor(one * other / 2 + float(stats.norm.ppf((1 - LEVEL) / 2)) * spread)
    return max(tail, 0), "normal approximation"


def _pair_difference(first: Any, second: Any, rank: int) -> int:
    """The rank-th smallest (from 1) of all differences, by halving: never all of them in memory."""
    import numpy as np

    low, high = int(first[0]) - int(second[-1]), int(first[-1]) - int(second[0])
    while low < high:
        middle = (low + high) // 2
        below = int(np.searchsorted(first, second + middle, "right").sum())
        low, high = (low, middle) if below >= rank else (middle + 1, high)
    return low
