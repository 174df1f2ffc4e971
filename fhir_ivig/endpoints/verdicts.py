"""Whether a subject meets something: yes, no, or that it cannot be told; and what is asked of a measure for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from fhir_ivig.endpoints.definition import Measure, Visit
from fhir_ivig.endpoints.readings import Readings
from fhir_ivig.endpoints.tables import Row

# Of a measure: value, value before, end of the scale (0: none) and the limit -> met or not; bounds are included but
# for above and below. A percent is of the value before; one of the scale is the absolute percent change.
Comparison = Callable[[Decimal, Decimal, Decimal, Decimal], bool]
COMPARISONS: dict[str, Comparison] = {
    "at_least": lambda value, before, scale, limit: value >= limit,
    "above": lambda value, before, scale, limit: value > limit,
    "at_most": lambda value, before, scale, limit: value <= limit,
    "below": lambda value, before, scale, limit: value < limit,
    "rises_by": lambda value, before, scale, limit: value - before >= limit,
    "falls_by": lambda value, before, scale, limit: before - value >= limit,
    "rises_by_percent": lambda value, before, scale, limit: 100 * (value - before) >= limit * before,
    "falls_by_percent": lambda value, before, scale, limit: 100 * (before - value) >= limit * before,
    "rises_by_percent_of_scale": lambda value, before, scale, limit: 100 * (value - before) >= limit * scale,
    "falls_by_percent_of_scale": lambda value, before, scale, limit: 100 * (before - value) >= limit * scale,
}
ALONE = ("at_least", "above", "at_most", "below")  # need no value before

# Definitions of worsening in the language of judge.py, items of the core set in place of measures. `proderm` is what
# ProDERM called deterioration, confirmed where it was there at two consecutive visits: physician's global worse by 2
# cm (of 10) or more and MMT-8 by 20 % or more, or extramuscular activity by 2 cm or more, or three of the five core
# set measures without enzymes by 30 % or more. Source: Arthritis Res Ther 2023, doi:10.1186/s13075-023-03232-2,
# figure 1. That these percents are of the baseline value is our reading.
WORSENING: dict[str, Any] = {
    "proderm": {
        "any": [
            {
                "all": [
                    {"measure": "physician", "rises_by_percent_of_scale": "20"},
                    {"measure": "strength", "falls_by_percent": "20"},
                ]
            },
            {"measure": "extramuscular", "rises_by_percent_of_scale": "20"},
            {
                "at_least": "3",
                "of": [
                    {"measure": "physician", "rises_by_percent": "30"},
                    {"measure": "patient", "rises_by_percent": "30"},
                    {"measure": "strength", "falls_by_percent": "30"},
                    {"measure": "function", "rises_by_percent": "30"},
                    {"measure": "extramuscular", "rises_by_percent": "30"},
                ],
            },
        ]
    }
}


class Verdict(NamedTuple):
    """Met, not met, or None where it cannot be told; why, in words; and the rows that say so."""

    met: bool | None
    why: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def said(self) -> str:
        """Why, as one text."""
        return "; ".join(self.why)


Verdicts = dict[str, Verdict]


def combined(verdicts: Sequence[Verdict], least: int) -> Verdict:
    """Whether `least` of the verdicts or more are met; the evidence is of those that decide, each said once."""
    met = sum(verdict.met is True for verdict in verdicts)
    unknown = sum(verdict.met is None for verdict in verdicts)
    answer = True if met >= least else False if met + unknown < least else None
    why = dict.fromkeys(text for verdict in verdicts if verdict.met is answer for text in verdict.why)
    return Verdict(answer, tuple(why), tuple(row for verdict in verdicts for row in verdict.rows))


def compared(
    measure: Measure, limits: Mapping[str, Decimal], before: Readings, after: Readings, visit: Visit
) -> Verdicts:
    """The verdict on every subject of the readings: whether the values after, held against those before, meet every
    comparison of `limits`. A subject with a reason on either side, or for whom a percent makes no sense, is unknown.
    """
    found = {}
    percent = any(key.endswith("percent") for key in limits)
    change = any(key not in ALONE for key in limits)
    for subject in after.values.keys() | after.reasons.keys():
        if why := before.reasons.get(subject) or after.reasons.get(subject):
            found[subject] = Verdict(None, (f"{measure.name}: {why}",), ())
            continue
        first, value = before.values[subject], after.values[subject]
        said = f"{measure.name} {f'{first} to ' if change else ''}{value} at {visit.name}"
        rows = (before.rows[subject], after.rows[subject]) if change else (after.rows[subject],)
        if percent and first <= 0:
            found[subject] = Verdict(None, (f"{said}: there is no percent of {first}",), rows)
            continue
        scale = measure.scale_max or Decimal(0)
        met = all(COMPARISONS[key](value, first, scale, limit) for key, limit in limits.items())
        found[subject] = Verdict(met, (said,), rows)
    return found
