"""The report opened in Chromium: it is drawn, answers to pointer and keys, asks for nothing, can be read by all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_ivig.report.page import Report

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
EVIL = "</style></script></title>--><img src=x onerror=alert(1)>\"'&{{7*7}}"  # put into texts, it must stay a text
# axe-core's rules for what the report promises; all others are run too.
RULES = ("color-contrast", "landmark-one-main", "region", "svg-img-alt", "th-has-data-cells", "scope-attr-valid")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing(opened: Callable[..., Any], made: Report, scheme: str, size: dict[str, int]) -> None:
    page = opened(made.html, viewport=size, color_scheme=scheme)
    assert passed_by_axe(page) >= set(RULES)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_a_trial_of_two_arms(opened: Callable[..., Any], trial: Report, scheme: str) -> None:
    page = opened(trial.html, viewport=DESK, color_scheme=scheme)
    assert passed_by_axe(page) >= set(RULES)


def passed_by_axe(page: Any) -> set[str]:
    """The rules that a page passes, all of it unfolded; it must break none."""
    from axe_playwright_python.sync_playwright import Axe

    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    # The rows of a table are alike, and axe takes minutes for all of a trial's.
    page.evaluate("document.querySelectorAll('tbody tr:nth-child(n+21)').forEach(row => { row.remove() })")
    found = Axe().run(page)
    assert [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in found.response["violations"]] == []
    return {rule["id"] for rule in found.response["passes"]}


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("name", ["made", "trial"])
def test_every_figure_is_drawn_and_nothing_is_wider_than_the_page(
    opened: Callable[..., Any], request: pytest.FixtureRequest, name: str, size: dict[str, int]
) -> None:
    report: Report = request.getfixturevalue(name)
    page = opened(report.html, viewport=size)
    for figure in report.figures:
        drawn = page.locator(f"#figure-{figure.name} svg")
        box = drawn.bounding_box()
        assert box["width"] > 250
        assert box["height"] > 100
        assert drawn.locator("[data-tip]").count() > 0
        inside = drawn.evaluate(
            "svg => { const a = svg.getBoundingClientRect(), b = svg.getBBox(), v = svg.viewBox.baseVal;"
            " return [b.x, b.y, v.width - b.x - b.width, v.height - b.y - b.height] }"
        )
        assert min(inside) > -1, f"{figure.name} is cut off: {inside}"
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_pointing_at_a_curve_says_how_many_and_who(opened: Callable[..., Any], trial: Report) -> None:
    page = opened(trial.html, viewport=DESK)
    mark = page.locator("#figure-survival-time_to_mild circle[data-tip^='IVIG, day 84']")
    mark.scroll_into_view_if_needed()
    mark.hover()
    said = page.locator("#tip").inner_text().splitlines()
    assert said[0] == "IVIG, day 84: 45 at risk, 2 events, 95.6 % (83.4 to 98.9) without it after"
    assert said[1] == "D019: assessments.csv, row 858"


def test_pointing_says_the_value_and_where_it_came_from(opened: Callable[..., Any], made: Report) -> None:
    page = opened(made.html, viewport=DESK)
    mark = page.locator("#figure-lines-CK circle[data-tip^='HARA-01, week 0']")
    mark.scroll_into_view_if_needed()
    mark.hover()
    tip = page.locator("#tip")
    assert tip.is_visible()
    assert tip.inner_text() == "HARA-01, week 0 (day -3): 2410 U/L\nassessments.csv, row 3"
    page.keyboard.press("Escape")
    assert tip.is_hidden()


def test_keys_step_through_the_values(opened: Callable[..., Any], made: Report) -> None:
    page = opened(made.html, viewport=DESK)
    plot = page.locator("#figure-swimmer .plot")
    plot.focus()
    page.keyboard.press("ArrowRight")
    first = page.locator("#tip").inner_text()
    page.keyboard.press("ArrowRight")
    second = page.locator("#tip").inner_text()
    assert first.startswith("HARA-01, course 1")
    assert second != first
    assert page.locator("#spoken").text_content() == second


def test_touch_says_the_value(opened: Callable[..., Any], made: Report) -> None:
    page = opened(made.html, viewport=PHONE, has_touch=True, is_mobile=True)
    mark = page.locator("#figure-slopes-mmt circle[data-tip]").first
    mark.scroll_into_view_if_needed()
    mark.tap(force=True)
    assert "week 0" in page.locator("#tip").inner_text()


def test_what_is_wider_than_a_phone_fades_until_its_end(opened: Callable[..., Any], made: Report) -> None:
    page = opened(made.html, viewport=PHONE)
    plot = page.locator("#figure-forest .plot")
    plot.scroll_into_view_if_needed()
    page.locator("#figure-forest .plot.more").wait_for()
    plot.evaluate("plot => { plot.scrollLeft = plot.scrollWidth }")
    page.locator("#figure-forest .plot:not(.more)").wait_for()
    assert page.locator("#figure-slopes-mmt .plot.more").count() == 0  # it fits
