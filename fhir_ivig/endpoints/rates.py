"""How often something happens: events for each course, patient or length of time, and the ratio of two rates.

Events are taken for independent, that is Poisson. Every function gives a Result as those of inference.py do.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from fhir_ivig.endpoints.inference import LEVEL, between
from fhir_ivig.endpoints.result import Result


class Events(NamedTuple):
    """So many events in so many courses, patients or years."""

    number: int
    of: Decimal


def rate(events: Events) -> Result:
    """Events by what they came in, with the exact Poisson interval (Garwood 1936, doi:10.1093/biomet/28.3-4.437)."""
    if events.of <= 0:
        return Result(statistic="rate", warnings=("Not evaluable: nothing to divide by.",))
    import scipy
    from scipy import stats

    tail, of = (1 - LEVEL) / 2, float(events.of)
    low = float(stats.chi2.ppf(tail, 2 * events.number)) / 2 if events.number else 0.0
    high = float(stats.chi2.isf(tail, 2 * events.number + 2)) / 2
    method = f"exact Poisson interval, Garwood (scipy {scipy.__version__})"
    return between(Result(statistic="rate", estimate=events.number / events.of, method=method), low / of, high / of)


def rate_ratio(one: Events, other: Events) -> Result:
    """One rate divided by the other (Przyborowski and Wilenski 1940, doi:10.1093/biomet/31.3-4.313).

    How many of all events the first has is binomial: interval of Clopper and Pearson, p the sum over counts no more
    likely.
    """
    statistic = "rate_ratio"
    if one.of <= 0 or other.of <= 0:
        return Result(statistic=statistic, warnings=("Not evaluable: nothing to divide by in an arm.",))
    both = one.number + other.number
    if not both:
        return Result(statistic=statistic, warnings=("Not evaluable: no events.",))
    import scipy
    from scipy import stats

    test = stats.binomtest(one.number, both, float(one.of / (one.of + other.of)))
    low, high = map(float, test.proportion_ci(LEVEL, "exact"))
    found = Result(
        statistic=statistic,
        unit="ratio",
        p=min(1.0, float(test.pvalue)),
        sidedness="two-sided",
        method=f"exact conditional binomial test and interval (scipy {scipy.__version__})",
    )
    if not other.number:
        return replace(found, warnings=("No estimate and no interval: the other arm has no events.",))
    scale = float(other.of / one.of)
    estimate = (one.number * other.of) / (other.number * one.of)
    return between(replace(found, estimate=estimate), low / (1 - low) * scale, high / (1 - high) * scale)
