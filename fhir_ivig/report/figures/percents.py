"""Percentages of all endpoints on one axis, each with its interval, arm by arm."""

from __future__ import annotations

from collections.abc import Sequence

from fhir_ivig.report.figures import svg
from fhir_ivig.report.figures.axes import QUARTERS, under
from fhir_ivig.report.figures.figure import Figure
from fhir_ivig.report.figures.intervals import LEFT, RIGHT, WIDTH, Estimate, rows, said
from fhir_ivig.report.figures.scale import Scale
from fhir_ivig.report.sheet import Sheet

TOP, TITLE = 14, "Percentages with 95 % intervals"


def percents(every: Sequence[Estimate]) -> Figure | None:
    """The figure, None of fewer than two percentages; all between 0 and 100."""
    if len(every) < 2:
        return None
    across = Scale(0, 100, LEFT, RIGHT)
    pieces, bottom = rows(every, across, TOP, QUARTERS)
    pieces += under(across, bottom, QUARTERS, unit=" %")
    cells = [(o.label, o.line, f"{o.n}", f"{o.estimate:.4f}", f"{o.low:.4f}", f"{o.high:.4f}") for o in every]
    heads = ("Endpoint", "Line", "n", "Percent", "Low", "High")
    drawing = svg.picture("percents", TITLE, said(every), WIDTH, bottom + 30, pieces)
    return Figure("percents", TITLE, drawing, Sheet(TITLE, heads, cells, numbers=(2, 3, 4, 5)))
