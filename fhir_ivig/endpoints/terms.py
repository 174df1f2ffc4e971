"""Visits and measures as the study file says them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from fhir_ivig.endpoints.result import NotEvaluableError


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit and its target day, day 0 being the first day of the first course (None: the study names none).

    `window` are the first and the last day that belong to it; `several` says which value counts where a subject has
    more than one (choosing.py; None: as the measure says).
    """

    name: str
    day: int | None
    window: tuple[int, int] | None = None
    several: str | None = None

    @property
    def end(self) -> int | None:
        """The last day that belongs to it, as far as is said."""
        return self.window[1] if self.window else self.day


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured, its unit, which direction is better (higher or lower), and the greatest score possible.

    `several` says which value counts where a subject has more than one at a visit (choosing.py).
    """

    name: str
    label: str
    unit: str | None
    better: str | None
    scale_max: Decimal | None
    several: str | None = None


@dataclass(slots=True)
class Plan:
    """How one endpoint reads values: the study's visits and which is the baseline, the rule for missing values, and
    the seed and number of a multiple imputation.

    As the endpoint goes along, `notes` becomes what the rules changed, `tables` which tables were read, `read` what
    was read from them, where that is `traced`, and `asked` whether the rule for missing values was asked for at all.
    """

    visits: tuple[Visit, ...] = ()
    baseline: Visit | None = None
    missing: str = "complete"
    seed: int = 0
    imputations: int = 0
    notes: list[str] = field(default_factory=list)
    tables: set[str] = field(default_factory=set)
    traced: bool = False
    read: list[Any] = field(default_factory=list)
    asked: bool = False

    def before(self, visit: Visit) -> list[Visit]:
        """The visits from the baseline on that come before, the latest first."""
        start = self.baseline.day if self.baseline else None
        if start is None:
            raise NotEvaluableError("no visit is the baseline to carry from: write `baseline: yes` at one with a day")
        found = [(one.day, one) for one in self.visits if one.day is not None and visit.day is not None]
        return [one for day, one in sorted(found, key=lambda at: -at[0]) if start <= day < (visit.day or 0)]
