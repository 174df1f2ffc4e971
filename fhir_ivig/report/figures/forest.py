"""Changes of several measures on one axis: each in standard deviations, the better direction to the right."""

from __future__ import annotations

from collections.abc import Sequence

from fhir_ivig.report.figures import svg
from fhir_ivig.report.figures.axes import grid, under
from fhir_ivig.report.figures.figure import Figure
from fhir_ivig.report.figures.intervals import Estimate, mark
from fhir_ivig.report.figures.scale import Scale
from fhir_ivig.report.sheet import Sheet

WIDTH, LEFT, RIGHT, TOP, ROW = 680, 262, 530, 40, 34


def forest(changes: Sequence[Estimate], how: str) -> Figure | None:
    """The figure, None of fewer than two changes: `label` names them, `words` say what was measured, better is
    positive. `how` says how they were standardised."""
    if len(changes) < 2:
        return None
    ends = [end for change in changes for end in (change.low, change.high, 0.0)]
    across = Scale(min(ends) - 0.1, max(ends) + 0.1, LEFT, RIGHT)
    bottom = TOP + ROW * len(changes)
    pieces = grid(across, TOP, bottom, across.ticks(6))
    pieces += under(across, bottom, across.ticks(6), "change in standard deviations, 95 % interval")
    pieces.append(svg.text((across(0) + 4, TOP - 8), "better \N{RIGHTWARDS ARROW}", "soft", size=12))
    pieces.append(svg.text((across(0) - 4, TOP - 8), "\N{LEFTWARDS ARROW} worse", "soft", "end", size=12))
    for place, change in enumerate(changes):
        y = TOP + ROW * place + ROW / 2
        tip = f"{change.label}: {_figures(change)}, n = {change.n}\n{change.words}"
        pieces.append(svg.text((8, y + 4), svg.shortened(change.label, LEFT - 16), "text"))
        pieces += mark(across, y, (change.low, change.high), change.estimate, tip)
        pieces.append(svg.text((WIDTH - 4, y + 4), _figures(change), "text", "end", 12))
    said = " ".join(f"{change.label}: {_figures(change)}." for change in changes)
    rows = [(c.label, str(c.n), f"{c.estimate:.4f}", f"{c.low:.4f}", f"{c.high:.4f}", c.words) for c in changes]
    heads = ("Endpoint", "n", "Standardised change", "Low", "High", "Change as measured")
    return Figure(
        "forest",
        "Standardised changes",
        svg.picture("forest", "Standardised changes", said, WIDTH, bottom + 44, pieces),
        Sheet("Standardised changes", heads, rows, numbers=(1, 2, 3, 4)),
        how,
    )


def _figures(change: Estimate) -> str:
    said = f"{change.estimate:.2f} ({change.low:.2f} to {change.high:.2f})"
    return said.replace("-", "\N{MINUS SIGN}")
