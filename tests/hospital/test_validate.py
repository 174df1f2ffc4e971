"""What HAPI's own validator says of the sample: no error, and no warning that the docs do not name."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Literal

import pytest
from sample_study import SAMPLE
from sent_study import Plain, Resource, planned

from fhir_ivig.study.study import Study

Version = Literal["R4", "R5"]
DOCUMENT = Path(__file__).parents[2] / "docs/hospital.md"
ROW = re.compile(r"^\| `([^`]+)` \| (R4|R5|R4, R5) \| ([^|]+) \|$", re.MULTILINE)


def reasons(version: str) -> dict[str, str]:
    """How the warnings begin that stay in a version, and why they do, as docs/hospital.md says."""
    rows = ROW.findall(DOCUMENT.read_text("utf-8"))
    return {text: reason for text, versions, reason in rows if version in versions}


def said_of(server: Plain, resource: Resource) -> list[tuple[str, str]]:
    """Severity and text of what the validator says of a resource."""
    outcome = server.post(f"{resource['resourceType']}/$validate", resource).json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert outcome["issue"]
    return [(issue["severity"], issue["diagnostics"]) for issue in outcome["issue"]]


@pytest.fixture(params=["R4", "R5"])
def version(request: pytest.FixtureRequest) -> Version:
    return request.param


@pytest.fixture
def server(request: pytest.FixtureRequest, version: Version) -> Plain:
    return Plain(request.getfixturevalue(f"hapi_{version.lower()}"))


def test_every_resource_is_valid_and_every_warning_known(version: Version, server: Plain) -> None:
    said = defaultdict[str, dict[str, set[str]]](lambda: defaultdict(set))
    resources = planned(Study.load(SAMPLE / "study.yaml"), version)
    assert len(resources) == 559
    for ref, resource in resources.items():
        for severity, text in said_of(server, resource):
            said[severity][text].add(ref)
    assert {text: sorted(refs)[:3] for severity in ("fatal", "error") for text, refs in said[severity].items()} == {}
    known = tuple(reasons(version))
    assert [text for text in said["warning"] if not text.startswith(known)] == [], "not in docs/hospital.md"
    seen = {begin for begin in known if any(text.startswith(begin) for text in said["warning"])}
    assert seen == set(known), "in docs/hospital.md, but not said any more"


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [("Observation", {"status": "done"}), ("Patient", {"gender": "m"}), ("Condition", {"subject": {}})],
)
def test_the_validator_refuses_what_is_wrong(version: Version, server: Plain, kind: str, wrong: Resource) -> None:
    """Otherwise its silence would say nothing."""
    resources = planned(Study.load(SAMPLE / "study.yaml"), version)
    resource = next(resource for ref, resource in resources.items() if ref.startswith(f"{kind}/"))
    assert "error" in {severity for severity, _ in said_of(server, {**resource, **wrong})}
