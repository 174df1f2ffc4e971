"""Percentages of all endpoints on one axis, each with its interval, arm by arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from fhir_ivig.report.figures import svg
from fhir_ivig.report.figures.figure import Figure
from fhir_ivig.report.figures.scale import Scale
from fhir_ivig.report.sheet import Sheet

WIDTH, LEFT, RIGHT, TOP, ROW, HEAD = 680, 300, 540, 14, 26, 26


@dataclass(frozen=True, slots=True)
class Percent:
    """A percentage with its interval: of which endpoint, which line of it (arm, statistic), and out of how many."""

    label: str
    line: str
    n: int
    estimate: float
    low: float
    high: float
    words: str


def percents(every: Sequence[Percent]) -> Figure | None:
    """The figure, None of fewer than two percentages; all between 0 and 100."""
    if len(every) < 2:
        return None
    across = Scale(0, 100, LEFT, RIGHT)
    y, pieces = float(TOP), list[str]()
    for label, group in groupby(every, key=lambda one: one.label):
        lines = list(group)
        pieces.append(svg.text((8, y + 17), svg.shortened(label, WIDTH - 20), "strong"))
        y += HEAD
        for one in lines:
            middle = y + ROW / 2
            tip = f"{label}, {one.line}: {one.words}, n = {one.n:,}"
            pieces.append(svg.text((20, middle + 4), svg.shortened(one.line, LEFT - 30), "text"))
            pieces.append(svg.line((across(one.low), middle), (across(one.high), middle), "interval", tip))
            for end in (one.low, one.high):
                pieces.append(svg.line((across(end), middle - 4), (across(end), middle + 4), "interval"))
            pieces.append(svg.diamond((across(one.estimate), middle), "mean-point", tip, 6))
            pieces.append(svg.text((WIDTH - 4, middle + 4), one.words, "text", "end", 12))
            y += ROW
    grid = []
    for tick in (0, 25, 50, 75, 100):
        grid.append(svg.line((across(tick), TOP + HEAD), (across(tick), y + 2), "grid"))
        grid.append(svg.text((across(tick), y + 18), f"{tick} %", "soft", "middle", 12))
    said = " ".join(f"{one.label}, {one.line}: {one.words}." for one in every)
    rows = [(o.label, o.line, f"{o.n}", f"{o.estimate:.4f}", f"{o.low:.4f}", f"{o.high:.4f}") for o in every]
    heads = ("Endpoint", "Line", "n", "Percent", "Low", "High")
    return Figure(
        "percents",
        "Percentages with 95 % intervals",
        said,
        svg.picture("percents", "Percentages with 95 % intervals", said, WIDTH, y + 30, [*grid, *pieces]),
        Sheet("Percentages with 95 % intervals", heads, rows, numbers=(2, 3, 4, 5)),
    )
