"""Contrast that axe-core cannot see, because it does not look into figures (WCAG 2.2, 1.4.3 and 1.4.11)."""

from __future__ import annotations

import pytest

from fhir_ivig.report.figures.palette import PAINTS

TEXT = ("text", "strong", "soft", "mean-text", "mean-2-text", "mean-3-text", "limit-text", "event-text")
LINES = ("axis", "mean", "mean-2", "mean-3", "worse", "limit-line", "event", "serious", "interval", "zero")
BACKS = (("#ffffff", "#14181d"), ("#f1f4f7", "#1f262e"))  # the page, a window


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("part", [*TEXT, *LINES])
def test_figures_have_contrast(part: str, scheme: int) -> None:
    paint = PAINTS[part]["fill" if part in TEXT else "stroke"]
    assert min(contrast(paint[scheme], back[scheme]) for back in BACKS) >= (4.5 if part in TEXT else 3)


def test_black_on_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
