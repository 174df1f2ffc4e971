"""The page of a plan, opened in Chromium: it asks for nothing, can be read by all, and no text becomes markup."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from test_in_browser import DESK, EVIL, PHONE, passed_by_axe

from fhir_ivig.issue import Issue
from fhir_ivig.sync.page import LISTED, page
from fhir_ivig.sync.planned import Change, Planned

UNSEEN = "\x1b]0;title\x07\u202e\n"
LONG = "x" * 400


def planned(evil: str = "", updates: int = 1) -> Planned:
    """A plan with something of every state."""
    values: list[tuple[str, str | None, Any, Any]] = [
        ("Observation.valueQuantity.value", "value" + evil, Decimal("2410.50"), f"2140{evil}"),
        ("Observation.performer[0].reference" + evil, None, {"display": LONG + evil}, None),
    ]
    changes = [
        Change("Patient/one" + evil, "conflict", "subjects.csv", 3, values, "00"),
        Change("Patient/two", "conflict", "subjects.csv", 4, [], ""),
        *(Change(f"Observation/{n}", "update", "assessments.csv" + evil, n, values, "00") for n in range(updates)),
        Change("Observation/gone", "left", None, None, [], "00"),
    ]
    names = ("create", "update", "unchanged", "linked", "conflict", "left", "refused", "withheld")
    counts = {name: count for count, name in enumerate(names)}
    issues = [
        Issue("error", "value", f"`{evil or LONG}` is no number.", "assessments.csv" + evil, 3, "value"),
        Issue("warning", "value", "Something to look at."),
        *(Issue("error", "not-found", f"Nobody {evil}", f"{evil}.csv", row) for row in range(2, 12)),
    ]
    created = ["Observation/a", "Observation/b", "Condition/c" + evil]
    return Planned(
        "https://example.org/study" + evil,
        LONG + evil,
        "0",
        counts,
        changes,
        created,
        {"Patient/p": "Patient/h" + evil},
        issues,
    )


@pytest.mark.parametrize(("size", "scheme"), [(DESK, "light"), (PHONE, "dark")], ids=["desk, light", "phone, dark"])
def test_axe_finds_nothing(opened: Callable[..., Any], scheme: str, size: dict[str, int]) -> None:
    shown = opened(page(planned()), viewport=size, color_scheme=scheme, bypass_csp=True)
    rules = {"color-contrast", "landmark-one-main", "region", "th-has-data-cells", "scope-attr-valid"}
    assert passed_by_axe(shown) >= rules


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_nothing_is_wider_than_the_page(opened: Callable[..., Any], size: dict[str, int]) -> None:
    shown = opened(page(planned(EVIL)), viewport=size)
    assert shown.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_no_text_becomes_markup(opened: Callable[..., Any]) -> None:
    shown = opened(page(planned(EVIL)))  # any alert, request or complaint of the browser fails the test
    assert shown.locator("img, script").count() == 0
    assert shown.locator("h2").count() == 6
    assert shown.inner_text("body").count(EVIL) > 10
    assert shown.title().endswith(EVIL)


def test_it_says_what_was_and_what_will_be(opened: Callable[..., Any]) -> None:
    shown = opened(page(planned(UNSEEN)))
    cells = shown.locator(".fields .value").all_inner_texts()
    assert cells[:2] == ["2410.50", r"2140\x1b]0;title\x07\u202e\n"]
    assert shown.locator(".path").last.inner_text() == r"Observation.performer[0].reference\x1b]0;title\x07\u202e\n"
    assert shown.locator(".fields td.soft").first.inner_text() == "nothing"
    assert [item.inner_text() for item in shown.locator(".types li").all()][-1] == "2 Observation"


def test_a_page_ends() -> None:
    made = page(planned(updates=LISTED + 7))
    assert "and 7 more" in made
    assert f"Observation/{LISTED + 6}" not in made


def test_issues_that_say_the_same_are_one(opened: Callable[..., Any]) -> None:
    """Their places are folded; each place is there."""
    view = opened(page(planned()))
    [folded] = view.locator("details").all()
    assert folded.locator("summary").inner_text() == "in 10 places"
    height = folded.bounding_box()["height"]
    folded.locator("summary").click()
    assert folded.bounding_box()["height"] > height
    assert folded.inner_text().endswith("; ".join(f".csv:{row}" for row in range(2, 12)))
    assert view.locator("ul.issues > li").count() == 3


def test_where_a_server_has_it_that_chose_the_id() -> None:
    there = replace(planned(), changes=[Change("Patient/one", "update", None, None, [], "00", "Patient/17")])
    assert "Patient/one, there Patient/17" in page(there)
    assert ", there" not in page(planned())
