"""How many of a population responded, and the difference between arms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Literal

from fhir_ivig.endpoints.arms import groups
from fhir_ivig.endpoints.comparison import compared
from fhir_ivig.endpoints.definition import Population
from fhir_ivig.endpoints.proportions import Share, percent
from fhir_ivig.endpoints.result import Result
from fhir_ivig.endpoints.tables import Tables

Interval = Literal["clopper-pearson", "wilson", "wald"]
Difference = Literal["newcombe", "miettinen-nurminen", "wald"]


def proportion(
    tables: Tables,
    population: Population,
    responders: Population,
    arms: tuple[Population, ...] = (),
    intervals: tuple[Interval, ...] = ("clopper-pearson", "wilson"),
) -> Iterator[Result]:
    """`responders` among all of the population (or of each arm), and `percent_…` with each interval asked for.

    Nobody is left out: who is not in the population `responders` did not respond.
    """
    for arm in groups(population, arms):
        hits = responders.subjects & arm.subjects
        share = Share(len(hits), len(arm.subjects))
        count = Result(statistic="responders", estimate=Decimal(share.hits), unit="subjects")
        for result in [count, *(percent(share, interval) for interval in intervals)]:
            yield replace(
                result,
                arm=arm.label if arms else None,
                n=share.of,
                missing=0,
                resources=_sources(population, responders, arm),
            )


def proportion_difference(
    tables: Tables,
    population: Population,
    arms: tuple[Population, ...],
    responders: Population,
    intervals: tuple[Difference, ...] = ("newcombe", "miettinen-nurminen", "wald"),
) -> Iterator[Result]:
    """What `proportion` says of each arm; then `difference_…` with each interval asked for, `fisher` and `barnard`.

    A difference is that of an arm minus the last one, the reference.
    """
    groups(population, arms, least=2)
    found = list(proportion(tables, population, responders, arms, ("clopper-pearson",)))
    yield from found
    yield from compared([result for result in found if result.statistic == "responders"], intervals)


def _sources(*populations: Population) -> tuple[str, ...]:
    return tuple(sorted({resource for population in populations for resource in population.resources}))
