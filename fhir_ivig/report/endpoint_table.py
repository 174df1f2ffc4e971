"""The endpoints as a table: ours, and the paper's figure beside it where the study file names one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from fhir_ivig.endpoints.result import Result
from fhir_ivig.report import words

EQUAL, DIFFERS, OURS = "equal", "differs", "ours"


@dataclass(frozen=True, slots=True)
class Line:
    """One statistic: its cells as text, `mark` being equal, differs, ours or empty."""

    name: str
    time_point: str  # with the arm before it
    n: str
    missing: str
    ours: str
    unit: str
    interval: str
    p: str
    published: str
    mark: str
    why: str
    resources: int


@dataclass(frozen=True, slots=True)
class Group:
    """The statistics of one endpoint in one population, with the warnings that they share."""

    anchor: str
    label: str
    population: str
    lines: list[Line]
    warnings: list[str]


def groups(results: Iterable[Result]) -> list[Group]:
    """The results of all subjects by endpoint and population, in their order; evidence on one person is left out."""
    found = []
    shown = [result for result in results if result.subject is None]
    for number, ((_, label, population), run) in enumerate(
        groupby(shown, key=lambda result: (result.endpoint, result.label, result.population))
    ):
        together = list(run)
        compared = any(result.published is not None for result in shown)
        warnings = dict.fromkeys(warning for result in together for warning in result.warnings)
        lines = [_line(result, compared) for result in together]
        found.append(Group(f"endpoint-{number + 1}", label, population, lines, list(warnings)))
    return found


def _line(result: Result, compared: bool) -> Line:
    mark = {True: EQUAL, False: DIFFERS, None: OURS if compared and result.published is None else ""}[result.agrees]
    evaluable = result.estimate is not None
    return Line(
        name=words.statistic(result.statistic),
        time_point=", ".join(filter(None, (result.arm, result.time_point))),
        n="" if result.n is None else f"{result.n:,}",
        missing=f"{result.missing:,}" if result.missing else "",
        ours=words.estimate(result),
        unit=words.unit(result.unit, result.estimate == 1) if evaluable else "",
        interval=words.interval(result),
        p=words.probability(result.p),
        published=result.published or "",
        mark=mark,
        why=result.warnings[0] if not evaluable and result.warnings else "",
        resources=len(result.resources),
    )
