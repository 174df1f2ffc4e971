"""When a server's resource is ours: compare.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_ivig.fhir.bundle import Answer, Put
from fhir_ivig.fhir.compare import UnreadableError, compare, fingerprint
from fhir_ivig.sync.journal import Entry
from fhir_ivig.sync.server import seen
from fhir_ivig.sync.steps import step_of, step_of_left

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


UNREADABLE = [b"[]", b"{", b"\xff", b'{"a":1E99999999999999999999}', b'{"a":' * 9999 + b"1" + b"}" * 9999]


@pytest.mark.parametrize("theirs", UNREADABLE, ids=lambda text: text[:10])
def test_what_is_no_resource(theirs: bytes) -> None:
    with pytest.raises(UnreadableError):
        compare(b"{}", theirs)
    with pytest.raises(UnreadableError):
        fingerprint(theirs)


@pytest.mark.parametrize("theirs", UNREADABLE, ids=lambda text: text[:10])
def test_what_cannot_be_read_is_a_conflict_and_never_what_was_sent(theirs: bytes) -> None:
    ours = b'{"resourceType":"Observation"}'
    assert step_of(ours, theirs, Entry("confirmed", b"", "1"), "", None).state == "conflict"
    left = step_of_left("Observation", theirs, Entry("confirmed", b"", "1"), "", "R4", None)
    assert left is not None
    assert left.state == "conflict"
    [issue] = seen(Put("Observation/1", ours), Answer(201), "", theirs).issues
    assert (issue.severity, issue.path) == ("error", "Observation")
