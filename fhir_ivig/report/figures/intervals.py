"""Estimates with their intervals, a line each under the heading that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from fhir_ivig.report.figures import svg
from fhir_ivig.report.figures.axes import grid
from fhir_ivig.report.figures.scale import Scale

WIDTH, LEFT, RIGHT, ROW, HEAD = 680, 300, 540, 26, 26


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate with its interval: the heading it stands under, its own line, and out of how many."""

    label: str
    line: str
    n: int
    estimate: float
    low: float
    high: float
    words: str


def mark(across: Scale, y: float, ends: tuple[float, float] | None, estimate: float, tip: str) -> list[str]:
    """A diamond at the estimate, and a line with closed ends over the interval where there is one."""
    pieces = []
    if ends:
        pieces.append(svg.line((across(ends[0]), y), (across(ends[1]), y), "interval", tip))
        pieces += [svg.line((across(end), y - 5), (across(end), y + 5), "interval") for end in ends]
    return [*pieces, svg.diamond((across(estimate), y), "mean-point", tip, 6)]


def rows(every: Sequence[Estimate], across: Scale, top: float, ticks: Sequence[float]) -> tuple[list[str], float]:
    """The lines from `top` down over a grid that leaves out the headings, and where they end."""
    y, pieces = top, list[str]()
    for label, group in groupby(every, key=lambda one: one.label):
        lines = list(group)
        pieces.append(svg.text((8, y + 17), svg.shortened(label, WIDTH - 20), "strong"))
        y += HEAD
        pieces += grid(across, y, y + ROW * len(lines), ticks)
        for one in lines:
            middle = y + ROW / 2
            tip = f"{label}, {one.line}: {one.words}, n = {one.n:,}"
            pieces.append(svg.text((20, middle + 4), svg.shortened(one.line, LEFT - 30), "text"))
            pieces += mark(across, middle, (one.low, one.high), one.estimate, tip)
            pieces.append(svg.text((WIDTH - 4, middle + 4), one.words, "text", "end", 12))
            y += ROW
    return pieces, y


def said(every: Sequence[Estimate]) -> str:
    """The lines in words."""
    return " ".join(f"{one.label}, {one.line}: {one.words}." for one in every)
