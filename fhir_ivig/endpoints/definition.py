"""What a study file says for its endpoints to stand on: visits, measures and populations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from fhir_ivig.endpoints.choosing import RULES
from fhir_ivig.endpoints.populations import Population as Population
from fhir_ivig.endpoints.populations import population
from fhir_ivig.endpoints.quantities import decimal
from fhir_ivig.endpoints.tables import Tables
from fhir_ivig.endpoints.terms import Measure as Measure
from fhir_ivig.endpoints.terms import Visit as Visit
from fhir_ivig.issue import Code, Issue

FILE = "study.yaml"


@dataclass(frozen=True, slots=True)
class CoreSet:
    """The core set measures of myositis activity: those on a scale by item, and the enzymes with the multiple of the
    upper limit of normal that is their range (core_set.py)."""

    scales: Mapping[str, Measure]
    enzymes: Mapping[Measure, Decimal]


@dataclass(slots=True)
class Definition:
    """Visits, measures and populations by name, which visit is the baseline, the core set where there is one, and
    what was wrong with them."""

    visits: dict[str, Visit] = field(default_factory=dict)
    measures: dict[str, Measure] = field(default_factory=dict)
    populations: dict[str, Population] = field(default_factory=dict)
    baseline: Visit | None = None
    core_set: CoreSet | None = None
    issues: list[Issue] = field(default_factory=list)

    def refuse(self, code: Code, text: str, path: str) -> None:
        """Note what is wrong at `path` of the study file."""
        self.issues.append(fault(code, text, path))

    def tables_of(self, population: Population) -> set[str]:
        """The tables that say who is in a population."""
        rule = population.rule
        names = ({population.of} if population.of else set()) | (rule.populations() if rule else set())
        return (rule.tables() if rule else set()).union(*(self.tables_of(self.populations[name]) for name in names))


def fault(code: Code, text: str, path: str) -> Issue:
    """What is wrong at `path` of the study file."""
    return Issue("error", code, text, FILE, path=path)


def define(study: Mapping[str, Any], tables: Tables) -> Definition:
    """The visits, measures and populations of a study file given as plain dicts, lists and texts.

    A population is a rule (rules.py) with a `label`; `of` keeps only those of a population that stands above it,
    `by: course` counts courses, and `reason: table.column` says where it stands why somebody is not in it.
    """
    found = Definition()
    _visits(found, study.get("visits", []))
    for name, entry in _mapping(found, study, "measures").items():
        path = f"measures.{name}"
        if known := _entry(found, entry, path, {"label", "unit", "better", "scale_max", "several"}):
            scale = known.get("scale_max")
            if scale is not None and decimal(scale) is None:
                found.refuse("value", f"`{scale}` is not a number.", f"{path}.scale_max")
                continue
            better = known.get("better")
            if better not in (None, "higher", "lower"):
                found.refuse("code-invalid", f"`{better}` is neither higher nor lower.", f"{path}.better")
                continue
            unit, several = known.get("unit"), _several(found, known, path)
            if several == "mean" and unit is None:
                found.refuse("value", "A measure graded in words has no mean: choose one.", f"{path}.several")
            limit = decimal(scale) if scale else None
            found.measures[name] = Measure(name, known.get("label", name), unit, better, limit, several)
    for name, entry in _mapping(found, study, "populations").items():
        found.populations[name], issues = population(name, entry, found.populations, tables, found.refuse)
        found.issues += issues
    return found


def _mapping(found: Definition, study: Mapping[str, Any], part: str) -> dict[str, Any]:
    value = study.get(part, {})
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return value
    found.refuse(
        "structure", f"{part} must be names, in quotes where they are numbers, with what they stand for.", part
    )
    return {}


def _entry(found: Definition, entry: Any, path: str, keys: set[str]) -> dict[str, str] | None:
    """The texts under some keys; other rooms may read others. None, with Issues, where they are not texts."""
    if not isinstance(entry, dict):
        found.refuse("structure", "This must be keys with values.", path)
        return None
    wrong = [key for key in entry if key in keys and not (isinstance(entry[key], str) and entry[key])]
    for key in wrong:
        found.refuse("value", f"`{entry[key]}` is no text: put it in quotes.", f"{path}.{key}")
    return None if wrong else {key: entry[key] for key in entry if key in keys}


def _several(found: Definition, known: Mapping[str, str], path: str) -> str | None:
    rule = known.get("several")
    if rule not in (None, *RULES):
        found.refuse("code-invalid", f"`{rule}` is none of {', '.join(RULES)}.", f"{path}.several")
        return None
    return rule


def _visits(found: Definition, entries: Any) -> None:
    if not isinstance(entries, list):
        found.refuse("structure", "visits must be a list.", "visits")
        return
    flagged = []
    for place, entry in enumerate(entries):
        path = f"visits[{place}]"
        if not isinstance(entry, dict) or not isinstance(entry.get("visit"), str):
            found.refuse("structure", "A visit must have its name under `visit`.", path)
            continue
        known = _entry(found, entry, path, {"visit", "several", "baseline"}) or {}
        day = _whole(found, entry.get("day"), f"{path}.day")
        window = _window(found, entry.get("window"), f"{path}.window")
        one = Visit(entry["visit"], day, window, _several(found, known, path))
        found.visits[one.name] = one
        if known.get("baseline", "no") not in ("yes", "no"):
            found.refuse("value", f"`{known['baseline']}` is neither yes nor no.", f"{path}.baseline")
        flagged += [one] if known.get("baseline") == "yes" else []
    if len(flagged) > 1:
        found.refuse("duplicate", "Just one visit is the baseline.", "visits")
    on_day_0 = [one for one in found.visits.values() if one.day == 0]
    found.baseline = next(iter([*flagged, *on_day_0]), None)


def _whole(found: Definition, text: Any, path: str) -> int | None:
    if text is None or re.fullmatch(r"[+-]?[0-9]{1,5}", str(text)):  # days of 270 years at most
        return None if text is None else int(str(text))
    found.refuse("value", f"`{text}` is not a whole number of days, of five digits at most.", path)
    return None


def _window(found: Definition, entry: Any, path: str) -> tuple[int, int] | None:
    if entry is None:
        return None
    days = [_whole(found, day, path) for day in entry] if isinstance(entry, list) else []
    if len(days) != 2 or None in days:
        found.refuse("structure", "A window is [first day, last day].", path)
        return None
    return days[0] or 0, days[1] or 0
