"""What the tests of REDCap share."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from sample_bundles.redcap import FOLDER


@pytest.fixture
def spoilt() -> Callable[[str, list[list[str]]], str]:
    """A file of the sample's project with other text: [pattern, replacement], once each, or every time."""

    def edited(name: str, edits: list[list[str]]) -> str:
        text = (FOLDER / name).read_text("utf-8")
        for pattern, replacement, *every in edits:
            text, times = re.subn(pattern, replacement, text, count=0 if every else 1)
            assert times, pattern
        return text

    return edited
