"""A browser to open reports in, and a study to change before it is reported on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from many import SAMPLE
from sample_study import copied

from fhir_ivig.report.page import Report
from fhir_ivig.reporting import make_report


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A copy of the sample's tables and study.yaml, to be changed."""
    return copied(tmp_path / "study")


@pytest.fixture(scope="session")
def made() -> Report:
    """The sample's report."""
    return make_report(SAMPLE)[0]


@pytest.fixture(scope="session")
def trial() -> Report:
    """The report on a trial of two arms, with a time to an event."""
    return make_report(SAMPLE.parent / "after_proderm2022")[0]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium, headless; the test is skipped with what is missing."""
    program = shutil.which("chromium")
    missing = [name for name in ("playwright", "axe_playwright_python") if not find_spec(name)]
    missing += [] if program else ["the program chromium"]
    if missing:
        pytest.skip(f"missing: {', '.join(missing)}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens a page; at the end of the test it must have asked for nothing and complained of nothing."""
    contexts, asked, said = [], [], []

    def open_page(html: str, **context: Any) -> Any:
        file = tmp_path / "report.html"
        file.write_text(html, "utf-8")
        contexts.append(browser.new_context(**context))
        page = contexts[-1].new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.endswith("/report.html")] == []
    assert said == []
