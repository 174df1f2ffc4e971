"""The estimates with intervals of all endpoints, as the figures draw them: percentages, differences between arms."""

from __future__ import annotations

from typing import NamedTuple

from fhir_ivig.endpoints.result import Result
from fhir_ivig.report import words
from fhir_ivig.report.figures.differences import Panel
from fhir_ivig.report.figures.intervals import Estimate
from fhir_ivig.report.material import Material


class Shown(NamedTuple):
    """A result with an interval, and the line of a figure that it makes."""

    result: Result
    line: Estimate


def percentages(material: Material) -> list[Estimate]:
    """Every percentage with an interval, in the order of the endpoints: of several intervals the first, and no
    differences of percentages."""
    found: dict[tuple[str, str], Estimate] = {}
    for one in material.results:
        before, percent, _ = one.statistic.partition("percent")
        shown = _shown(one, one.arm or one.population, before) if percent else None
        if (
            shown
            and min(shown.line.low, shown.line.estimate) >= 0
            and max(shown.line.high, shown.line.estimate) <= 100
        ):
            found.setdefault((shown.line.label, shown.line.line), shown.line)
    return list(found.values())


def differences(material: Material) -> list[Panel]:
    """Every difference between arms with an interval, and the effect of treatment of a crossover; of several
    intervals of one difference the first. Those of one unit and one better direction stand together."""
    found: dict[tuple[str, str], Shown] = {}
    for one in material.results:
        before, difference, _ = one.statistic.partition("difference")
        if one.statistic == "treatment":  # of a crossover
            shown = _shown(one, "effect of treatment", "")
        else:
            shown = _shown(one, one.arm, before) if difference and one.arm else None
        if shown:
            found.setdefault((shown.line.label, shown.line.line), shown)
    panels: dict[tuple[str, str | None], list[Estimate]] = {}
    for shown in found.values():
        panels.setdefault((_unit(shown.result), _better(material, shown.result)), []).append(shown.line)
    return [Panel(unit, better, lines) for (unit, better), lines in panels.items()]


def _shown(one: Result, who: str, before: str) -> Shown | None:
    """The line of a result on more than one person, None where it has no estimate or no interval."""
    if one.subject or one.estimate is None or one.low is None or one.high is None:
        return None
    label = ", ".join(filter(None, (one.label, one.time_point)))
    line = ", ".join(filter(None, (who.replace(" - ", f" {words.MINUS} "), before.replace("_", " ").strip())))
    said = f"{words.estimate(one)}{' %' if one.unit == '%' else ''} ({words.interval(one)})"
    ends = (float(one.low), float(one.high))
    return Shown(one, Estimate(label, line, one.n or 0, float(one.estimate), *ends, said))


def _unit(one: Result) -> str:
    return "percentage points" if one.unit == "%" else words.unit(one.unit)


def _better(material: Material, one: Result) -> str | None:
    """Which way is better: as the measure has it; of responses and improvement, higher."""
    entry = material.endpoints().get(one.endpoint, {})
    measure = material.definition.measures.get(str(entry.get("measure")))
    return measure.better if measure else None if "measure" in entry else "higher"
