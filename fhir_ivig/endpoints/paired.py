"""Statistics of paired differences besides the t and the signed-rank test: median, sign test, effect size."""

from __future__ import annotations

from decimal import Decimal
from math import isclose, isfinite, sqrt

from fhir_ivig.endpoints.inference import LEVEL
from fhir_ivig.endpoints.numbers import Numbers
from fhir_ivig.endpoints.result import Result


def median_of(numbers: Numbers, statistic: str) -> Result:
    """The median, exact: the middle number, or the mean of the two in the middle."""
    method = "median"
    if not numbers:
        return Result(statistic=statistic, method=method, warnings=("Not evaluable: n is 0.",))
    import numpy as np

    middle = sorted({(len(numbers) - 1) // 2, len(numbers) // 2})
    ends = [int(number) for number in np.partition(numbers.whole, middle)[middle]]
    return Result(
        statistic=statistic, estimate=Decimal(ends[0] + ends[-1]).scaleb(numbers.exponent) / 2, method=method
    )


def sign_test(differences: Numbers) -> Result:
    """The sign test: how many differences are positive, against one half of those that are not zero.

    Exact and two-sided: twice the smaller tail of the binomial distribution, at most 1 (scipy.special.bdtr).
    """
    positive, apart = (int(chosen.sum()) for chosen in (differences.whole > 0, differences.whole != 0))
    if not apart:
        why = "all differences are zero" if differences else "n is 0"
        return Result(statistic="sign_test", warnings=(f"Not evaluable: {why}.",))
    import scipy
    from scipy import special

    p = min(1.0, 2 * float(special.bdtr(min(positive, apart - positive), apart, 0.5)))
    return Result(
        statistic="sign_test",
        estimate=Decimal(positive),
        unit="positive differences",
        p=p,
        sidedness="two-sided",
        method=f"sign test, exact binomial, {positive} of {apart} differences that are not zero "
        f"(scipy {scipy.__version__})",
    )


def effect_size(differences: Numbers) -> Result:
    """Mean of the differences over their standard deviation (n - 1): the standardised response mean, Cohen's d_z.

    The interval inverts the noncentral t distribution of sqrt(n) d_z (Hedges and Olkin 1985; Cumming and Finch 2001,
    doi:10.1177/0013164401614002). There is no correction for small samples.
    """
    method = "mean of the differences / their standard deviation (d_z), interval from the noncentral t distribution"
    pairs = len(differences)
    if pairs < 2 or differences.alike:
        why = "all differences are equal" if pairs > 1 else f"n is {pairs}"
        return Result(statistic="effect_size", unit="SD", method=method, warnings=(f"Not evaluable: {why}.",))
    import numpy as np
    import scipy
    from scipy import special

    numbers = differences.floats
    spread = float(numbers.std(ddof=1))
    size = float(numbers.mean()) / spread if spread else float("inf")
    if not isfinite(size):
        said = "Not evaluable: the differences are too nearly equal."
        return Result(statistic="effect_size", unit="SD", method=method, warnings=(said,))
    t, tails = size * sqrt(pairs), ((1 + LEVEL) / 2, (1 - LEVEL) / 2)
    with np.errstate(all="ignore"):
        ends = [float(special.nctdtrinc(pairs - 1, tail, t)) for tail in tails]
        again = [float(special.nctdtr(pairs - 1, end, t)) for end in ends]
    sure = all(isclose(tail, back, abs_tol=1e-6) for tail, back in zip(tails, again, strict=True))
    low, high = (Decimal(repr(end / sqrt(pairs))) if sure else None for end in ends)
    return Result(
        statistic="effect_size",
        estimate=Decimal(repr(size)),
        unit="SD",
        low=low,
        high=high,
        level=LEVEL if sure else None,
        method=f"{method} (scipy {scipy.__version__})",
        warnings=() if sure else ("No interval: the noncentral t distribution could not be inverted.",),
    )
