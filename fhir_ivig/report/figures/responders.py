"""Who responded: each grade found as a bar, responders set apart, and their percent with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_ivig.report.figures import svg
from fhir_ivig.report.figures.axes import QUARTERS, grid, under
from fhir_ivig.report.figures.figure import Figure, named
from fhir_ivig.report.figures.intervals import mark
from fhir_ivig.report.figures.scale import Scale
from fhir_ivig.report.sheet import Sheet

WIDTH, LEFT, RIGHT, TOP, ROW = 680, 190, 620, 20, 32


@dataclass(frozen=True, slots=True)
class Grade:
    """A word of an assessment, how many have it, and whether it counts as a response."""

    word: str
    count: int
    response: bool


@dataclass(frozen=True, slots=True)
class Response:
    """Responders at a visit: their percent with its interval, out of `of`, and the grades found."""

    endpoint: str
    label: str
    time_point: str
    of: int
    percent: float
    ends: tuple[float, float] | None
    words: str
    grades: Sequence[Grade]


def responders(found: Response) -> Figure:
    """The figure of one endpoint."""
    across = Scale(0, 100, LEFT, RIGHT)
    bottom = TOP + ROW * (len(found.grades) + 1) + 8
    pieces = [*grid(across, TOP, bottom, QUARTERS), *under(across, bottom, QUARTERS, unit=" %")]
    for place, grade in enumerate(found.grades):
        y = TOP + ROW * place
        share = 100 * grade.count / found.of if found.of else 0.0
        said = f"{grade.count:,} of {found.of:,} {grade.word}"
        pieces.append(svg.text((LEFT - 10, y + 20), svg.shortened(grade.word, LEFT - 16), "text", "end"))
        part = "good" if grade.response else "none"
        pieces.append(svg.rectangle(LEFT, y + 5, across(share) - LEFT, 21, part, said))
        pieces.append(svg.text((across(share) + 7, y + 20), f"{grade.count:,}", "strong"))
    y = TOP + ROW * len(found.grades) + 22
    pieces.append(svg.text((LEFT - 10, y + 4), "responders", "mean-text", "end"))
    pieces += mark(across, y, found.ends, found.percent, found.words)
    said = (
        f"{found.words} of {found.of:,}. "
        + ", ".join(f"{grade.word} {grade.count:,}" for grade in found.grades)
        + "."
    )
    name = named("responders", found.endpoint)
    rows = [(grade.word, f"{grade.count}", "yes" if grade.response else "no") for grade in found.grades]
    title = f"{found.label}, {found.time_point}".rstrip(", ")
    return Figure(
        name,
        title,
        svg.picture(name, title, said, WIDTH, bottom + 28, pieces),
        Sheet(title, ("Grade", "Subjects", "Counts as response"), rows, numbers=(1,)),
        f"{found.words}, n = {found.of:,}. Dark bars count as response.",
    )
