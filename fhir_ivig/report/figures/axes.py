"""Axes, grids and the labels along them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fhir_ivig.report.figures import svg
from fhir_ivig.report.figures.scale import Scale, tick_text
from fhir_ivig.report.series import Series

QUARTERS = (0.0, 25.0, 50.0, 75.0, 100.0)  # of an axis of percents


def frame(series: Series, across: Scale, up: Scale, bottom: float) -> list[str]:
    """Windows of the visits, a grid, both axes, and under each visit its name and how many were seen."""
    top = min(up.start, up.end)
    pieces = []
    for visit in series.visits:
        window = series.windows.get(visit.name)
        if window:
            left, right = across(window[0]), across(window[1])
            said = f"window of {visit.name}: day {window[0]} to {window[1]}"
            pieces.append(svg.rectangle(left, top, right - left, bottom - top, "window", said))
    pieces += value_axis(up, across.start, across.end)
    pieces.append(svg.line((across.start, bottom), (across.end, bottom), "axis"))
    rows = [-1e9, -1e9]
    for visit in series.visits:
        at, half = across(visit.day or 0), svg.width_of(visit.name, 12) / 2 + 4
        row = 0 if at - half > rows[0] else 1
        rows[row] = at + half
        counts = "/".join(f"{len(series.at(visit, group)):,}" for group in series.groups)
        pieces.append(svg.line((at, bottom), (at, bottom + 5 + 14 * row), "axis"))
        pieces.append(svg.text((at, bottom + 18 + 14 * row), visit.name, "text", "middle", 12))
        pieces.append(svg.text((at, bottom + 49), counts, "soft", "middle", 12))
    pieces.append(svg.text((across.start - 8, bottom + 49), "n", "soft", "end", 12))
    pieces.append(
        svg.text(
            ((across.start + across.end) / 2, bottom + 70), "day from first infusion, by visit", "soft", "middle", 12
        )
    )
    return pieces


def value_axis(up: Scale, left: float, right: float) -> list[str]:
    """Grid lines and round values at their left."""
    pieces = []
    for tick in up.ticks():
        y = up(tick)
        pieces.append(svg.line((left, y), (right, y), "grid"))
        pieces.append(svg.text((left - 8, y + 4), tick_text(tick), "soft", "end", 12))
    return pieces


def grid(across: Scale, top: float, bottom: float, ticks: Iterable[float]) -> list[str]:
    """A line up and down at each of these values, that of 0 set apart."""
    return [svg.line((across(tick), top), (across(tick), bottom), "zero" if tick == 0 else "grid") for tick in ticks]


def under(across: Scale, bottom: float, ticks: Iterable[float], label: str = "", unit: str = "") -> list[str]:
    """What the lines of a grid are, written under them, and what the axis is."""
    middle = (across.start + across.end) / 2
    pieces = [svg.text((across(tick), bottom + 17), tick_text(tick) + unit, "soft", "middle", 12) for tick in ticks]
    return [*pieces, *([svg.text((middle, bottom + 36), label, "soft", "middle", 12)] if label else [])]


def day_axis(across: Scale, top: float, bottom: float, label: str = "day from first infusion") -> list[str]:
    """Grid lines and round days under them."""
    days = across.ticks(6)
    return [*grid(across, top, bottom, days), *under(across, bottom, days, label)]


def spread(places: Mapping[str, float], apart: float, top: float, bottom: float) -> dict[str, float]:
    """The places moved as little as keeps them apart and between top and bottom."""
    order = sorted(places, key=lambda name: places[name])
    found: dict[str, float] = {}
    floor = top
    for name in order:
        found[name] = floor = max(places[name], floor)
        floor += apart
    ceiling = bottom
    for name in reversed(order):
        found[name] = ceiling = min(found[name], ceiling)
        ceiling -= apart
    return found
