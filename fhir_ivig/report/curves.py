"""How long the subjects of each arm were without an event, as the figure of survival draws it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_ivig.endpoints.arguments import arguments
from fhir_ivig.endpoints.arms import groups
from fhir_ivig.endpoints.kinds.time_to_event import follow, time_to_event
from fhir_ivig.endpoints.result import Result
from fhir_ivig.report import words
from fhir_ivig.report.figures.figure import source
from fhir_ivig.report.figures.survival import Curve, Ended, Survival
from fhir_ivig.report.material import Material


def curves(material: Material) -> Iterator[Survival]:
    """The endpoints of kind `time_to_event` that could be evaluated, with the curves of their arms."""
    for name, entry in material.endpoints().items():
        found = [result for result in material.results if result.endpoint == name]
        if entry.get("kind") == "time_to_event" and any(result.statistic == "events" for result in found):
            yield _survival(material, name, entry, found)


def _survival(material: Material, name: str, entry: Mapping[str, Any], found: list[Result]) -> Survival:
    given, _ = arguments(time_to_event, entry, name, material.definition)
    population, arms = given["population"], given.get("arms", ())
    followed = follow(
        material.tables, material.definition, population, given["event"], given["censored"], given.get("start")
    )
    split = []
    for arm in groups(population, arms):
        ended = {
            subject: Ended(followed.times[subject], source(followed.rows[subject]))
            for subject in sorted(arm.subjects & followed.times.keys(), key=lambda one: (followed.times[one], one))
        }
        split.append(
            Curve(arm.label, ended, _said([one for one in found if one.arm == (arm.label if arms else None)]))
        )
    test = next((one for one in found if one.statistic == "log_rank" and one.p is not None), None)
    return Survival(
        name,
        found[0].label,
        "the start that the endpoint names" if "start" in given else "first infusion",
        split,
        f"Log-rank test: p = {words.probability(test.p)}.".replace("= <", "< ") if test else "",
        len(followed.reasons),
    )


def _said(found: list[Result]) -> str:
    """The events and the median of an arm in words."""
    events, median = (next(one for one in found if one.statistic == name) for name in ("events", "median"))
    between = f" ({words.interval(median)})" if words.interval(median) else ""
    half = "not reached" if median.estimate is None else f"{words.estimate(median)} days{between}"
    return f"{words.estimate(events)} of {events.n or 0:,} had the event, median {half}"
