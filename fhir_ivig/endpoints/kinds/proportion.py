"""How many of a population responded, and the difference between arms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Literal

from fhir_ivig.endpoints.arms import against_last, groups
from fhir_ivig.endpoints.definition import Population
from fhir_ivig.endpoints.proportions import Share, barnard, fisher, percent, percent_difference
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
    split = groups(population, arms, least=2)
    yield from proportion(tables, population, responders, arms, ("clopper-pearson",))
    shares = [Share(len(responders.subjects & arm.subjects), len(arm.subjects)) for arm in split]
    for place, label in against_last(split):
        pair = shares[place], shares[-1]
        differences = [percent_difference(*pair, interval) for interval in intervals]
        for result in [*differences, fisher(*pair), barnard(*pair)]:
            yield replace(
                result,
                arm=label,
                n=pair[0].of + pair[1].of,
                missing=0,
                resources=_sources(population, responders, split[place], split[-1]),
            )


def _sources(*populations: Population) -> tuple[str, ...]:
    return tuple(sorted({resource for population in populations for resource in population.resources}))
