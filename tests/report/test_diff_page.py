"""The page of a comparison, opened in Chromium: it fetches nothing, filters, is read by all; no text is markup."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from test_in_browser import DESK, EVIL, PHONE, passed_by_axe

from fhir_ivig.issue import Issue
from fhir_ivig.verification.difference import Agreement, Difference, Verification
from fhir_ivig.verification.page import LISTED, page
from fhir_ivig.verification.verdict import KINDS, OUTCOMES


def difference(number: int, evil: str = "") -> Difference:
    kinds, outcomes = list(KINDS), list(OUTCOMES.values())
    return Difference(
        kind=kinds[number % len(kinds)],
        outcome=outcomes[number % len(outcomes)],
        table=("assessments", "adverse_events")[number % 2],
        subject=f"S-{number // 20:04}" if number != 7 else f"S-{number // 20:04}, S-0001",
        site=f"site {number // 20 % 3}",
        visit=f"week {number % 5}" + evil,
        measure="" if number % 2 else ("CK", "MMT", "CK, MMT")[number % 3],
        key="course 1" + evil,
        column="value" if number % 3 else None,
        study=None if number % 4 == 2 else "1998-06-05T08:05:00+09:00" + evil,
        record=None if number % 4 == 1 else "2410.5 U/L",
        study_file="assessments.csv",
        study_row=number + 2,
        study_column="value" + evil,
        record_file="assessments.csv",
        record_row=number + 2,
        resource="Observation/0e487565-6c2c-5396-9e86-47101a8d5652" + evil,
        certain=number % 6 != 0,
        rows=number % 3 + 1,
        why="The record's is 1000 times the study's." + evil,
    )


def verification(evil: str = "", count: int = 60) -> Verification:
    differences = [difference(number, evil) for number in range(count)]
    measures = [("assessments", "CK" + evil), ("assessments", "MMT"), ("dispositions", "")]
    agreement = [
        Agreement(table, measure, f"site {site}" + evil, 90 + site, 10 - site, site, 0, 0, 0)
        for table, measure in measures
        for site in range(3)
    ]
    issues = [
        Issue("error", "value", f"`{evil}` is no number.", "labs.csv", 3, "value"),
        Issue("warning", "value", "?"),
    ]
    rows = {"assessments": (300, 290)}
    left_out = [f"assessments.x{evil} (only in the study)"]
    return Verification(
        "s" + evil, "A study" + evil, "https://a.test" + evil, differences, agreement, rows, left_out, issues
    )


def chosen(shown: Any) -> int:
    return int(shown.locator("tr[data-kind]:visible").count())


@pytest.mark.parametrize(("size", "scheme"), [(DESK, "light"), (PHONE, "dark")], ids=["desk, light", "phone, dark"])
def test_axe_finds_nothing(opened: Callable[..., Any], scheme: str, size: dict[str, int]) -> None:
    shown = opened(page(verification()), viewport=size, color_scheme=scheme)
    rules = {"color-contrast", "landmark-one-main", "region", "th-has-data-cells", "select-name"}
    assert passed_by_axe(shown) >= rules


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("evil", ["", EVIL, "x" * 300], ids=["plain", "evil", "long"])
def test_nothing_is_wider_than_the_page(opened: Callable[..., Any], size: dict[str, int], evil: str) -> None:
    shown = opened(page(verification(evil)), viewport=size)
    assert shown.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_no_text_becomes_markup(opened: Callable[..., Any]) -> None:
    shown = opened(page(verification(EVIL)))  # any alert, request or complaint of the browser fails the test
    assert shown.locator("img").count() == 0
    assert shown.locator("script").count() == 1
    assert shown.inner_text("body").count(EVIL) > 100
    assert EVIL in shown.title()


def test_filters_show_what_is_asked_for(opened: Callable[..., Any]) -> None:
    found = verification()
    shown = opened(page(found))
    said = shown.locator("output")
    assert chosen(shown) == 60
    assert said.inner_text() == "60 of 60 shown"
    shown.select_option("select[name=subject]", "S-0001")
    assert chosen(shown) == 21  # one of them is about two subjects
    assert shown.locator(".differences tbody:visible").count() == 2
    shown.select_option("select[name=topic]", "CK")
    wanted = [one for one in found.differences if "S-0001" in one.subject and "CK" in one.measure]
    assert chosen(shown) == len(wanted) > 0
    assert said.inner_text() == f"{len(wanted)} of 60 shown"
    shown.select_option("select[name=subject]", "")
    shown.select_option("select[name=site]", "site 2")
    shown.select_option("select[name=kind]", "unit")
    assert chosen(shown) == sum(
        "CK" in one.measure and one.site == "site 2" and one.kind == "unit" for one in found.differences
    )
    shown.locator("button[type=reset]").click()
    shown.get_by_text("60 of 60 shown", exact=True).wait_for()
    assert chosen(shown) == 60


def test_it_is_read_without_scripts(opened: Callable[..., Any]) -> None:
    shown = opened(page(verification()), java_script_enabled=False)
    assert chosen(shown) == 60
    assert shown.locator("form").is_hidden()


def test_both_values_and_places_are_shown(opened: Callable[..., Any]) -> None:
    one = replace(difference(0), study="2410 U/L", record="241 U/L", certain=False, rows=1, kind="decimal shift")
    shown = opened(page(replace(verification(), differences=[one])))
    cells = shown.locator("tr[data-kind] td").all_inner_texts()
    assert cells[0].split("\n") == ["2410 U/L", "assessments.csv:2, column value"]
    assert cells[1].split("\n") == ["241 U/L", f"assessments.csv:2, {one.resource}"]
    assert "uncertain" in shown.locator("tr[data-kind] th").inner_text()


def test_equal_studies_have_a_page_too(opened: Callable[..., Any]) -> None:
    shown = opened(page(replace(verification(), differences=[], issues=[], left_out=[])))
    assert "0 differences" in shown.inner_text(".lead")
    assert shown.locator("script, form, .differences").count() == 0


def test_a_page_ends() -> None:
    assert "and 7 more, which are in differences.csv" in page(verification(count=LISTED + 7))


def test_it_holds_ten_thousand(opened: Callable[..., Any]) -> None:
    html = page(verification(count=10_000))
    assert len(html) < 12_000_000
    shown = opened(html)
    assert shown.locator("tr[data-kind]").count() == 10_000
    begun = time.perf_counter()
    shown.select_option("select[name=subject]", "S-0123")
    shown.get_by_text("20 of 10000 shown", exact=True).wait_for()
    assert time.perf_counter() - begun < 10
