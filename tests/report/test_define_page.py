"""The description of data sets, opened in Chromium: it asks for nothing, all can read it, no text becomes markup."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from datasets.shapes import BUNDLES, sample
from test_in_browser import DESK, EVIL, PHONE, passed_by_axe

from fhir_ivig.datasets.define import describe, page
from fhir_ivig.study.study import Study

STANDARDS = ("sdtm", "adam")


def load() -> Study:
    return Study.load(BUNDLES / "hara2003/study.yaml")


@pytest.mark.parametrize("standard", STANDARDS)
def test_no_text_becomes_markup(opened: Callable[..., Any], standard: str) -> None:
    about = describe(load(), standard, "xpt", list(sample("hara2003", standard).values()))
    about |= {"title": EVIL, "study": EVIL}
    about["datasets"][0]["variables"][0] |= {"note": EVIL, "codes": [EVIL], "label": EVIL}
    shown = opened(page(about))  # any alert, request or complaint of the browser fails the test
    assert shown.locator("img, script").count() == 0
    assert shown.inner_text("body").count(EVIL) == 5


@pytest.mark.parametrize(("size", "scheme"), [(DESK, "light"), (PHONE, "dark")], ids=["desk, light", "phone, dark"])
def test_it_can_be_read_by_all(opened: Callable[..., Any], scheme: str, size: dict[str, int]) -> None:
    made = page(describe(load(), "sdtm", "xpt", list(sample("hara2003", "sdtm").values())))
    shown = opened(made, viewport=size, color_scheme=scheme, bypass_csp=True)
    assert "color-contrast" in passed_by_axe(shown)
    assert shown.evaluate("document.documentElement.scrollWidth") <= size["width"]
    href = shown.locator("table a").last.get_attribute("href")
    assert shown.locator(f"h2{href}").count() == 1
