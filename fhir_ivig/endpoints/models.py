"""A measure over all visits: linear mixed model, fitted by statsmodels.

Random intercept by subject, visit as a factor, arm and arm by visit where there are arms; restricted maximum
likelihood. Every value counts, also of a subject who misses visits: unbiased where values are missing at random.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite
from typing import Any, NamedTuple

from fhir_ivig.endpoints.groups import MODELS
from fhir_ivig.endpoints.inference import LEVEL, as_decimal, between
from fhir_ivig.endpoints.result import NotEvaluableError, Result

WAYS = (
    ["powell"],
    ["bfgs", "lbfgs", "cg"],
    ["nm"],
)  # optimisers of statsmodels, tried until one converges; powell is exact at a variance of 0


class Value(NamedTuple):
    """A number of a subject, the places (from 0) of its arm and of its visit, and the number."""

    subject: str
    arm: int
    visit: int
    number: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """Fixed effects, by arm and visit, of a fit; `within` are the degrees of freedom within subjects."""

    arms: int
    visits: int
    effects: Any
    covariance: Any
    within: int
    method: str
    warnings: tuple[str, ...]

    def change(self, arm: int, visit: int) -> Any:
        """What the change of an arm from the first visit is of the fixed effects."""
        import numpy as np

        row = np.zeros(len(self.effects))
        row[_place(self, 0, visit)] = 1
        if arm:
            row[_place(self, arm, visit)] = 1
        return row


def fit(values: Sequence[Value], arms: int, visits: int) -> Fitted:
    """The model of these values of `arms` arms (1: no comparison) at `visits` visits.

    Raises NotEvaluableError where it cannot be fitted: too few values, no convergence, statsmodels not installed.
    """
    try:
        import statsmodels
        from statsmodels.regression.mixed_linear_model import MixedLM
    except ImportError:
        raise NotEvaluableError(MODELS.removeprefix("Not evaluable: ").rstrip(".")) from None
    import numpy as np

    if len({(value.arm, value.visit) for value in values}) < arms * visits:
        raise NotEvaluableError("no value of an arm at a visit")
    subjects = sorted({value.subject for value in values})
    within = len(values) - len(subjects) - (visits - 1) * arms
    if within < 1 or len(subjects) < arms + 1:
        raise NotEvaluableError(f"{len(values)} values of {len(subjects)} subjects are too few")
    outcome = np.array([value.number for value in values])
    design = np.array([_row(value, arms, visits) for value in values])
    groups = np.searchsorted(subjects, [value.subject for value in values])
    centre, scale = outcome.mean(), outcome.std()
    cells = np.linalg.lstsq(design, outcome, rcond=None)[0]
    if np.abs(outcome - design @ cells).max() <= 1e-9 * max(abs(centre), scale, 1e-300):
        raise NotEvaluableError("the values do not vary within arm and visit")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = _converged(MixedLM((outcome - centre) / scale, design, groups=groups))
    effects = np.array(found.fe_params) * scale
    ratio = float(found.cov_re[0, 0]) / float(found.scale)
    covariance = _covariance(design, groups, ratio) * float(found.scale) * scale**2
    if not (np.isfinite(covariance).all() and np.diag(covariance).min() > 0):
        raise NotEvaluableError("the model has no finite standard errors")
    said: tuple[str, ...] = ()
    if ratio < 1e-4:
        said = ("The random intercept has no variance: subjects differ by no more than their values do.",)
    method = f"linear mixed model, random intercept, REML (statsmodels {statsmodels.__version__})"
    return Fitted(arms, visits, effects, covariance, within, method, said)


def changes(model: Fitted) -> Iterator[tuple[int, int, Result]]:
    """Arm, visit and `change` from the first visit, with t interval and test, for every arm and later visit."""
    for arm in range(model.arms):
        for visit in range(1, model.visits):
            yield arm, visit, _estimate(model, "change", model.change(arm, visit))


def differences(model: Fitted) -> Iterator[tuple[int, Result]]:
    """Visit and `difference` of the change of the first arm minus that of the last."""
    for visit in range(1, model.visits):
        row = model.change(0, visit) - model.change(model.arms - 1, visit)
        yield visit, _estimate(model, "difference", row)


def visit_effect(model: Fitted) -> Result:
    """Whether the measure changes at all in any arm: F test that every change is 0."""
    rows = [model.change(arm, visit) for arm in range(model.arms) for visit in range(1, model.visits)]
    return _f_test(model, "visit_effect", rows)


def interaction(model: Fitted) -> Result:
    """Whether the arms change alike: F test that every arm by visit term is 0."""
    rows = [
        model.change(one, visit) - model.change(other, visit)
        for visit in range(1, model.visits)
        for one, other in pairwise(range(model.arms))
    ]
    return _f_test(model, "arm_by_visit", rows)


def _converged(model: Any) -> Any:
    import numpy as np

    for way in WAYS:
        try:
            found = model.fit(reml=True, method=way)
        except (np.linalg.LinAlgError, ValueError) as error:
            why = str(error)
            continue
        if found.converged and np.isfinite(found.fe_params).all():
            return found
        why = "no optimiser converged"
    raise NotEvaluableError(f"the model could not be fitted: {why}")


def _covariance(design: Any, groups: Any, ratio: float) -> Any:
    """Of the fixed effects by generalised least squares, over the variance within subjects; `ratio` is that between
    subjects over it. (statsmodels gives the observed information, some per cent off where subjects miss visits.)"""
    import numpy as np

    information = design.T @ design
    for group in np.unique(groups):
        rows = design[groups == group]
        total = rows.sum(axis=0)
        information -= ratio / (1 + ratio * len(rows)) * np.outer(total, total)
    return np.linalg.inv(information)


def _place(model: Fitted, arm: int, visit: int) -> int:
    return arm * model.visits + visit


def _row(value: Value, arms: int, visits: int) -> list[float]:
    """One row of the design: for the first arm intercept and visits, for each other arm the same once more."""
    here = [1.0] + [float(value.visit == visit) for visit in range(1, visits)]
    return here + [cell * (value.arm == arm) for arm in range(1, arms) for cell in here]


def _estimate(model: Fitted, statistic: str, row: Any) -> Result:
    """One contrast with Student's t on the degrees of freedom within subjects (as nlme in R has them)."""
    from scipy import stats

    estimate, error = float(row @ model.effects), float(row @ model.covariance @ row) ** 0.5
    reach = float(stats.t.ppf((1 + LEVEL) / 2, model.within)) * error
    p = 2 * float(stats.t.sf(abs(estimate) / error, model.within))
    found = Result(statistic=statistic, estimate=as_decimal(estimate), method=model.method, warnings=model.warnings)
    if not isfinite(reach + p):
        return replace(found, warnings=(*found.warnings, "Not evaluable: interval and test."))
    method = f"{model.method}, t on {model.within} degrees of freedom"
    return between(replace(found, p=p, method=method), estimate - reach, estimate + reach)


def _f_test(model: Fitted, statistic: str, rows: Sequence[Any]) -> Result:
    import numpy as np
    from scipy import stats

    contrast = np.array(rows)
    seen = contrast @ model.effects
    f = float(seen @ np.linalg.solve(contrast @ model.covariance @ contrast.T, seen)) / len(rows)
    return Result(
        statistic=statistic,
        estimate=as_decimal(f),
        unit="F",
        p=float(stats.f.sf(f, len(rows), model.within)),
        sidedness="two-sided",
        method=f"{model.method}, F on {len(rows)} and {model.within} degrees of freedom",
        warnings=model.warnings,
    )
