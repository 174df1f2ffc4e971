"""When a server's resource is ours: compare.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_ivig.fhir.compare import compare

CASES = yaml.safe_load(Path(__file__).with_name("compare.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['ours']} {case['theirs']}")
def test_compare(case: dict[str, Any]) -> None:
    found = compare(case["ours"].encode(), case["theirs"].encode(), "https://h.example/fhir")
    assert sorted(found.content) == case.get("content", [])
    assert list(found.digits) == case.get("digits", [])
    assert found.exact == case.get("exact", False)


@pytest.mark.parametrize("theirs", [b"[]", b"{", b"\xff"])
def test_what_is_no_resource(theirs: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        compare(b"{}", theirs)
