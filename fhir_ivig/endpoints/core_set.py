"""The six core set measures of myositis activity (IMACS), as the study names them, and their values at two visits.

| Item            | Measure                                                                         | Better |
|-----------------|---------------------------------------------------------------------------------|--------|
| `physician`     | physician's global assessment of activity                                       | lower  |
| `patient`       | patient's (or parent's) global assessment of activity                           | lower  |
| `strength`      | manual muscle test                                                              | higher |
| `function`      | Health Assessment Questionnaire (or that of childhood)                          | lower  |
| `enzymes`       | muscle enzymes, each with its range as a multiple of the upper limit of normal  | lower  |
| `extramuscular` | physician's assessment of activity outside the muscles                          | lower  |

Source: https://www.niehs.nih.gov/research/resources/imacs/abouttools/ and the response criteria beside it. Every
measure but an enzyme must have a `scale_max`, which is its range: 10 cm and 100 mm give the same percent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

from fhir_ivig.endpoints.assessments import readings
from fhir_ivig.endpoints.definition import CoreSet, Definition, Measure, Population, Visit
from fhir_ivig.endpoints.quantities import decimal
from fhir_ivig.endpoints.readings import Readings
from fhir_ivig.endpoints.tables import Row, Tables
from fhir_ivig.issue import Issue

SCALES = {
    "physician": "lower",
    "patient": "lower",
    "strength": "higher",
    "function": "lower",
    "extramuscular": "lower",
}
ITEMS = ("physician", "patient", "strength", "function", "enzyme", "extramuscular")


def read_core_set(found: Definition, entry: Any) -> None:
    """Take up `core_set` of the study file, or note what is wrong with it; without one there is nothing to do."""
    if entry is None:
        return
    faults = len(found.issues)
    if not isinstance(entry, dict):
        found.refuse("structure", "core_set must be items with the names of measures.", "core_set")
        return
    for key in entry.keys() - SCALES.keys() - {"enzymes"}:
        found.refuse("not-supported", f"`{key}` is no item of the core set: take it out.", f"core_set.{key}")
    for item in [*SCALES, "enzymes"]:
        if item not in entry:
            found.refuse("required", f"The core set needs the measure of `{item}`: add it.", f"core_set.{item}")
    scales = {item: _scale(found, item, entry[item]) for item in SCALES if item in entry}
    enzymes = _enzymes(found, entry.get("enzymes", {}))
    if len(found.issues) == faults:
        found.core_set = CoreSet({item: measure for item, measure in scales.items() if measure}, enzymes)


def _scale(found: Definition, item: str, name: Any) -> Measure | None:
    path = f"core_set.{item}"
    measure = _known(found, name, path)
    if measure and not measure.scale_max:
        found.refuse("required", f"{measure.name} needs a scale_max greater than 0: add it.", path)
    if measure and measure.better not in (None, SCALES[item]):
        found.refuse("conflict", f"{measure.name} must be better {SCALES[item]}, as {item} is.", path)
    return measure


def _enzymes(found: Definition, entry: Any) -> dict[Measure, Decimal]:
    if not isinstance(entry, dict) or not entry:
        said = "enzymes must be measures, each with a multiple of the upper limit of normal: {CK: '15'}."
        found.refuse("structure", said, "core_set.enzymes")
        return {}
    enzymes = {}
    for name, multiple in entry.items():
        path = f"core_set.enzymes.{name}"
        measure = _known(found, name, path)
        number = decimal(multiple) if isinstance(multiple, str) else None
        if number is None or number <= 0:
            found.refuse("value", f"`{multiple}` is not a number greater than 0, in quotes.", path)
        elif measure:
            enzymes[measure] = number
    return enzymes


def _known(found: Definition, name: Any, path: str) -> Measure | None:
    if isinstance(name, str) and name in found.measures:
        return found.measures[name]
    found.refuse("not-found", f"There is no measure `{name}`: there are {', '.join(found.measures)}.", path)
    return None


@dataclass(frozen=True, slots=True)
class Change:
    """One item of one subject: its measure, both values, the range, and the rows that they come from."""

    measure: Measure
    before: Decimal
    after: Decimal
    range: Decimal
    rows: tuple[Row, ...]

    @property
    def better(self) -> Decimal:
        """By how much it got better, below 0 where it got worse."""
        return self.after - self.before if self.measure.better == "higher" else self.before - self.after

    @property
    def percent(self) -> Fraction:
        """The absolute percent change: by how much it got better in percent of the range, exact."""
        return 100 * Fraction(self.better) / Fraction(self.range)

    def __str__(self) -> str:
        percent = Decimal(self.percent.numerator) / self.percent.denominator
        return f"{self.measure.name} {self.before} to {self.after}, range {self.range}: {percent:.4g} % better"


@dataclass(slots=True)
class Changes:
    """By subject the items known at both visits; for every other item the reason; doubts; and Issues."""

    items: dict[str, dict[str, Change]] = field(default_factory=dict)
    reasons: dict[str, dict[str, str]] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)


def changes(tables: Tables, population: Population, core_set: CoreSet, from_: Visit, to: Visit) -> Changes:
    """The six items of each subject of the population from one visit to another."""
    found = Changes({one: {} for one in population.subjects}, {one: {} for one in population.subjects})
    for item, measure in core_set.scales.items():
        before, after = (_read(found, tables, population, measure, visit) for visit in (from_, to))
        for subject in population.subjects:
            why = before.reasons.get(subject) or after.reasons.get(subject)
            if why:
                found.reasons[subject][item] = f"{measure.name}: {why}"
            else:
                _note(found, subject, item, measure, before, after, measure.scale_max or Decimal(1))
    _enzyme_changes(found, tables, population, core_set, from_, to)
    return found


def _read(found: Changes, tables: Tables, population: Population, measure: Measure, visit: Visit) -> Readings:
    read = readings(tables, population, measure, visit)
    found.issues += read.issues
    return read


def _note(
    found: Changes, subject: str, item: str, measure: Measure, before: Readings, after: Readings, range_: Decimal
) -> None:
    rows = (before.rows[subject], after.rows[subject])
    change = Change(measure, before.values[subject], after.values[subject], range_, rows)
    beyond = [value for value in (change.before, change.after) if not 0 <= value <= range_]
    if item != "enzyme" and beyond:
        found.reasons[subject][item] = f"{measure.name}: {beyond[0]} is outside of its scale, 0 to {range_}"
    else:
        found.items[subject][item] = change


def _enzyme_changes(
    found: Changes, tables: Tables, population: Population, core_set: CoreSet, from_: Visit, to: Visit
) -> None:
    """The enzyme most abnormal at baseline, by its multiple of the upper limit of normal; of equals the first."""
    read = {
        enzyme: tuple(_read(found, tables, population, enzyme, visit) for visit in (from_, to))
        for enzyme in core_set.enzymes
    }
    limits = {enzyme: upper_limits(tables, population, enzyme, from_) for enzyme in read}
    for subject in population.subjects:
        multiples, why = {}, []
        for enzyme, (before, _) in read.items():
            if subject in before.reasons:
                why.append(f"{enzyme.name}: {before.reasons[subject]}")
            elif subject not in limits[enzyme]:
                why.append(f"{enzyme.name}: no upper limit of normal at {from_.name}")
            else:
                multiples[enzyme] = Fraction(before.values[subject]) / Fraction(limits[enzyme][subject])
        if not multiples:
            found.reasons[subject]["enzyme"] = "; ".join(why)
            continue
        enzyme = max(multiples, key=lambda one: multiples[one])
        before, after = read[enzyme]
        if why:
            found.doubts[subject] = f"{enzyme.name} taken for the most abnormal enzyme, without {'; '.join(why)}"
        if subject in after.reasons:
            found.reasons[subject]["enzyme"] = f"{enzyme.name}: {after.reasons[subject]}"
        else:
            range_ = core_set.enzymes[enzyme] * limits[enzyme][subject]
            _note(found, subject, "enzyme", enzyme, before, after, range_)


def upper_limits(tables: Tables, population: Population, measure: Measure, visit: Visit) -> dict[str, Decimal]:
    """The laboratory's upper limit of normal of a measure at a visit, greater than 0, of those who have one."""
    where = {"measure": [measure.name], "visit": [visit.name]}
    rows = tables.rows("assessments", ("upper_limit",), where, population.subjects)
    read = {row.subject: decimal(row["upper_limit"] or "") for row in rows}
    return {subject: limit for subject, limit in read.items() if limit is not None and limit > 0}
