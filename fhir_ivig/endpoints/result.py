"""One tidy record per number: what it is about, how it was reached, how sure it is, and what stands behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any


class NotEvaluableError(Exception):
    """Why an endpoint cannot be had from these tables; `compute` turns it into a Result that says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One statistic of one endpoint in one population.

    `estimate`, `low` and `high` are in `unit`; `level` is that of the interval low..high (0.95) and `p` a p-value
    with its `sidedness`. `n` subjects (or courses, or infusions, as the kind says) went in, `missing` were left
    out, and `warnings` name them with the reason. `published` is the figure as printed elsewhere; `agrees` tells
    whether the estimate, rounded half up to as many decimals as are printed, is that figure (None: nothing to
    compare). What could not be computed is None with a warning that says why, never NaN. `arm` is the label of the
    arm that the record is about, or `one - other` of a difference; `subject` is set where it is evidence on one
    person. `resources` are references such as `Observation/6d0c…`; `inputs` are the tables that the endpoint read,
    each with the SHA-256 of its cells (`assessments sha256:…`).
    """

    endpoint: str = ""
    label: str = ""
    population: str = ""
    arm: str | None = None
    subject: str | None = None
    time_point: str | None = None
    n: int | None = None
    missing: int | None = None
    statistic: str
    estimate: Decimal | None = None
    unit: str | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    level: float | None = None
    p: float | None = None
    sidedness: str | None = None
    method: str = ""
    published: str | None = None
    agrees: bool | None = None
    warnings: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()


def as_dict(result: Result) -> dict[str, Any]:
    """The record with plain JSON values: numbers as float, lists as list."""
    return {field.name: _plain(getattr(result, field.name)) for field in fields(result)}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return list(value) if isinstance(value, tuple) else value


def to_frame(results: Iterable[Result]) -> Any:
    """A pandas.DataFrame, one row a result, columns in the order of the record's fields."""
    import pandas as pd

    return pd.DataFrame(map(as_dict, results), columns=[field.name for field in fields(Result)])


def left_out(reasons: Mapping[str, str]) -> tuple[str, ...]:
    """One warning for each reason, naming who was left out for it; `reasons` is name -> reason."""
    grouped: dict[str, list[str]] = {}
    for name, reason in sorted(reasons.items()):
        grouped.setdefault(reason, []).append(name)
    return tuple(f"Left out, {reason}: {named(names)}." for reason, names in grouped.items())


def named(names: Iterable[str]) -> str:
    """The names in order, the first ten of them where there are more."""
    every = sorted(names)
    return ", ".join(every[:10]) + (f" and {len(every) - 10} more" if len(every) > 10 else "")
