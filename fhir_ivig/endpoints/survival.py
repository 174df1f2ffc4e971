"""Time to an event with censoring: Kaplan-Meier's estimate, its median, and the log-rank test.

Every function gives a Result as those of inference.py do. A subject is a `Time`: days, and whether the event came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import zip_longest
from math import exp, log, sqrt
from typing import Any, NamedTuple

from fhir_ivig.endpoints.inference import LEVEL, as_decimal, between
from fhir_ivig.endpoints.result import Result

GREENWOOD = "Kaplan-Meier, Greenwood's variance, log-log interval"
NEARLY = 1e-9  # two survivals that differ by less are one


class Time(NamedTuple):
    """Days until the event, or until it was last known not to have come."""

    days: int
    event: bool


@dataclass(frozen=True, slots=True)
class Step:
    """From this day on: the estimate of still being without the event, and its interval (None: none)."""

    day: int
    at_risk: int
    events: int
    survival: float
    low: float | None
    high: float | None


def kaplan_meier(times: Sequence[Time]) -> list[Step]:
    """The steps of the estimate, one for each day with an event (Kaplan and Meier 1958,
    doi:10.1080/01621459.1958.10501452); an event comes before a censoring of the same day.

    The interval is the normal one of log(-log S) with Greenwood's variance (Kalbfleisch and Prentice, The Statistical
    Analysis of Failure Time Data, 1.4); where nobody is left it has none.
    """
    from scipy import stats

    z = float(stats.norm.ppf((1 + LEVEL) / 2))
    steps: list[Step] = []
    survival, variance = 1.0, 0.0
    ordered = sorted(times)
    at_risk, place = len(ordered), 0
    while place < len(ordered):
        day, events, gone = ordered[place].days, 0, 0
        while place < len(ordered) and ordered[place].days == day:
            events, gone, place = events + ordered[place].event, gone + 1, place + 1
        if events:
            survival *= 1 - events / at_risk
            low = high = None
            if events < at_risk:
                variance += events / (at_risk * (at_risk - events))
                reach = z * sqrt(variance) / log(survival)
                low, high = survival ** exp(-reach), survival ** exp(reach)
            steps.append(Step(day, at_risk, events, survival if events < at_risk else 0.0, low, high))
        at_risk -= gone
    return steps


def median_time(times: Sequence[Time]) -> Result:
    """The day by which half have had the event, with the interval of Brookmeyer and Crowley 1982
    (doi:10.2307/2530286): the days at which the interval of the survival holds one half.

    Where the survival is one half from one event to the next (or the end), the middle of the two. An end that is
    not reached is missing, with a warning.
    """
    found = Result(statistic="median", unit="d", method=GREENWOOD)
    if not times:
        return replace(found, warnings=("Not evaluable: n is 0.",))
    steps, last = kaplan_meier(times), max(times).days
    found = replace(found, estimate=_half([(step.day, step.survival) for step in steps], last))
    low = _half([(step.day, step.low) for step in steps if step.low is not None], last)
    high = _half([(step.day, step.high) for step in steps if step.high is not None], last)
    said: tuple[str, ...] = () if found.estimate is not None else ("Not evaluable: fewer than half had the event.",)
    if low is None:
        return replace(found, warnings=(*said, "No interval: too few events."))
    if high is None:
        said += ("The interval has no upper end: too few events.",)
    return replace(found, low=low, high=high, level=LEVEL, sidedness="two-sided", warnings=said)


def survival_at(times: Sequence[Time], day: int) -> Result:
    """Percent still without the event after that day."""
    found = Result(statistic="survival", unit="%", method=GREENWOOD)
    if not times:
        return replace(found, warnings=("Not evaluable: n is 0.",))
    reached = [step for step in kaplan_meier(times) if step.day <= day]
    last = reached[-1] if reached else Step(0, len(times), 0, 1.0, None, None)
    if last.survival > 0 and day > max(time.days for time in times):
        return replace(found, warnings=(f"Not evaluable: nobody was followed to day {day}.",))
    estimate = as_decimal(100 * last.survival)
    if last.low is None or last.high is None:
        why = "no event came by then" if last.survival else "nobody is left"
        return replace(found, estimate=estimate, warnings=(f"No interval: {why}.",))
    return between(replace(found, estimate=estimate), 100 * last.low, 100 * last.high)


def log_rank(arms: Sequence[Sequence[Time]]) -> Result:
    """The log-rank test of two or more arms (Mantel 1966); the estimate is chi-squared.

    scipy.stats.logrank has two arms only. Events less those expected, with the hypergeometric covariance.
    """
    statistic = "log_rank"
    if min(map(len, arms)) == 0:
        return Result(statistic=statistic, warnings=("Not evaluable: an arm has no subjects.",))
    import numpy as np
    import scipy
    from scipy import stats

    off, covariance = np.zeros(len(arms)), np.zeros((len(arms), len(arms)))
    followed = [np.sort([time.days for time in arm]) for arm in arms]
    came = [Counter(time.days for time in arm if time.event) for arm in arms]
    for day in sorted(set().union(*came)):
        at_risk = np.array([len(arm) - np.searchsorted(arm, day) for arm in followed], float)
        events = np.array([arm[day] for arm in came], float)
        all_at_risk, all_events = at_risk.sum(), events.sum()
        share = at_risk / all_at_risk
        off += events - all_events * share
        if all_at_risk > 1:
            spread = all_events * (all_at_risk - all_events) / (all_at_risk - 1)
            covariance += spread * (np.diag(share) - np.outer(share, share))
    moving = np.flatnonzero(np.diag(covariance) > NEARLY)
    if len(moving) < 2:
        why = "no event came" if not off.any() and not covariance.any() else "no event tells the arms apart"
        return Result(statistic=statistic, warnings=(f"Not evaluable: {why}.",))
    chi = _quadratic(off[moving[:-1]], covariance[np.ix_(moving[:-1], moving[:-1])])
    return Result(
        statistic=statistic,
        estimate=as_decimal(chi),
        unit="chi-squared",
        p=float(stats.chi2.sf(chi, len(moving) - 1)),
        sidedness="two-sided",
        method=f"log-rank test, {len(moving) - 1} degrees of freedom (scipy {scipy.__version__})",
    )


def _quadratic(vector: Any, matrix: Any) -> float:
    import numpy as np

    return float(vector @ np.linalg.solve(matrix, vector))


def _half(curve: Sequence[tuple[int, float]], last: int) -> Decimal | None:
    """The day at which a falling curve, known to the `last` day, is below one half; None where it never is."""
    for (day, height), (following, _) in zip_longest(curve, curve[1:], fillvalue=(last, 0.0)):
        if abs(height - 0.5) < NEARLY:
            return Decimal(day + following) / 2
        if height < 0.5:
            return Decimal(day)
    return None
