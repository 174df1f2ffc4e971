"""Differences between arms with their intervals: an axis for each unit, and each direction that is the better one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_ivig.report.figures import svg
from fhir_ivig.report.figures.axes import under
from fhir_ivig.report.figures.figure import Figure
from fhir_ivig.report.figures.intervals import LEFT, RIGHT, WIDTH, Estimate, rows, said
from fhir_ivig.report.figures.scale import Scale
from fhir_ivig.report.sheet import Sheet

TOP, AXIS, APART, TITLE = 8, 44, 20, "Differences between arms with 95 % intervals"
RIGHTWARDS, LEFTWARDS = "\N{RIGHTWARDS ARROW}", "\N{LEFTWARDS ARROW}"


@dataclass(frozen=True, slots=True)
class Panel:
    """Differences in one unit; `better` is the direction that is better for patients: higher, lower, None unknown."""

    unit: str
    better: str | None
    lines: Sequence[Estimate]


def differences(panels: Sequence[Panel], note: str) -> Figure | None:
    """The figure, None where there is no difference."""
    every = [line for panel in panels for line in panel.lines]
    if not every:
        return None
    top, pieces = float(TOP), list[str]()
    for panel in panels:
        drawn, bottom = _panel(panel, top)
        pieces += drawn
        top = bottom + AXIS + APART
    cells = [
        (o.label, o.line, panel.unit, f"{o.n}", f"{o.estimate:.4f}", f"{o.low:.4f}", f"{o.high:.4f}")
        for panel in panels
        for o in panel.lines
    ]
    heads = ("Endpoint", "Line", "Unit", "n", "Difference", "Low", "High")
    drawing = svg.picture("differences", TITLE, said(every), WIDTH, top - APART, pieces)
    return Figure("differences", TITLE, drawing, Sheet(TITLE, heads, cells, numbers=(3, 4, 5, 6)), note)


def _panel(panel: Panel, top: float) -> tuple[list[str], float]:
    """An axis that has 0 in it, its lines, and where it ends."""
    ends = [end for line in panel.lines for end in (line.low, line.high)]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    room = (high - low or 1.0) / 20
    across = Scale(low - room, high + room, LEFT, RIGHT)
    pieces, bottom = rows(panel.lines, across, top, across.ticks(5))
    pieces += under(across, bottom, across.ticks(5), f"difference, {panel.unit}")
    if panel.better == "higher":
        pieces.append(svg.text((RIGHT + 8, bottom + 17), f"better {RIGHTWARDS}", "soft", size=12))
    elif panel.better == "lower":
        pieces.append(svg.text((LEFT - 8, bottom + 17), f"{LEFTWARDS} better", "soft", "end", 12))
    return pieces, bottom
