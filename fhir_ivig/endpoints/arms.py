"""A population split by the arms of a study, each arm being a population itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fhir_ivig.endpoints.definition import Population
from fhir_ivig.endpoints.result import NotEvaluableError, named


def within(population: Population, arms: Sequence[Population]) -> Iterator[tuple[str | None, frozenset[str]]]:
    """The label of each arm with its subjects who are in the population; without arms, None with everybody in it.

    Raises NotEvaluableError where a subject is in two arms, or in none.
    """
    if not arms:
        yield None, population.subjects
        return
    seen: set[str] = set()
    for arm in arms:
        group = arm.subjects & population.subjects
        if group & seen:
            raise NotEvaluableError(f"in two arms: {named(group & seen)}")
        seen |= group
    if population.subjects - seen:
        raise NotEvaluableError(f"in no arm: {named(population.subjects - seen)}")
    for arm in arms:
        yield arm.label, arm.subjects & population.subjects


def groups(population: Population, arms: Sequence[Population], least: int = 0) -> list[Population]:
    """Each arm with only its subjects who are in the population; without arms, the population.

    Raises NotEvaluableError as `within` does, or where there are fewer arms than the `least`.
    """
    if len(arms) < least:
        raise NotEvaluableError(f"{least} arms are needed, {len(arms)} given")
    split = list(within(population, arms))
    return [replace(arm, subjects=group) for arm, (_, group) in zip(arms or [population], split, strict=True)]


def against_last(arms: Sequence[Population]) -> Iterator[tuple[int, str]]:
    """The place of each arm but the last, which is the reference, and the label of the comparison with it."""
    for place, arm in enumerate(arms[:-1]):
        yield place, f"{arm.label} - {arms[-1].label}"
