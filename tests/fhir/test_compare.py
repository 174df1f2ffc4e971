"""When a server's resource is ours: compare.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_ivig.fhir.compare import compare, fingerprint

CASES = yaml.safe_load(Path(__file__).with_name("compare.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['ours']} {case['theirs']}")
def test_compare(case: dict[str, Any]) -> None:
    found = compare(case["ours"].encode(), case["theirs"].encode(), "https://h.example/fhir")
    assert sorted(found.content) == case.get("content", [])
    assert list(found.digits) == case.get("digits", [])
    assert found.exact == case.get("exact", False)


SAME = {
    ('{"s":{"reference":"Patient/1"}}', '{"s":{"reference":"https://h.example/fhir/Patient/1"}}'): True,
    ('{"s":[{"reference":"Patient/1"}]}', '{"s":[{"reference":"https://h.example/fhir/Patient/1"}]}'): True,
    ('{"s":{"reference":"Patient/1"}}', '{"s":{"reference":"https://x.example/fhir/Patient/1"}}'): False,
    ('{"s":{"reference":"Patient/1"}}', '{"s":{"reference":"https://h.example/fhirx/Patient/1"}}'): False,
    ('{"url":"Patient/1"}', '{"url":"https://h.example/fhir/Patient/1"}'): False,
    ('{"a":1.0}', '{"a":1}'): True,
    ('{"a":1}', '{"a":"1"}'): False,
}


@pytest.mark.parametrize(("pair", "same"), SAME.items(), ids=lambda value: str(value))
def test_fingerprints(pair: tuple[str, str], same: bool) -> None:
    """What is compared as equal has one hash, and what is not has two."""
    one, two = (fingerprint(each.encode(), "https://h.example/fhir") for each in pair)
    assert (one == two) == same
    assert same == (not compare(pair[0].encode(), pair[1].encode(), "https://h.example/fhir").content)


@pytest.mark.parametrize("theirs", [b"[]", b"{", b"\xff"])
def test_what_is_no_resource(theirs: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        compare(b"{}", theirs)
