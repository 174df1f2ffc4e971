"""Which links are followed: gate.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from fhir_ivig.fhir.gate import Gate
from fhir_ivig.issue import IssueError

CASES = yaml.safe_load(Path(__file__).with_name("gate.yaml").read_text())
GATE = Gate.of("https://host.example/fhir/r4/")


@pytest.mark.parametrize("link", CASES["followed"])
def test_followed(link: str) -> None:
    url = GATE.admit(link)
    assert url.lower().startswith(("https://host.example/fhir/r4", "https://host.example:443/fhir/r4"))


@pytest.mark.parametrize("link", CASES["refused"])
def test_refused(link: str) -> None:
    with pytest.raises(IssueError) as raised:
        GATE.admit(link)
    assert raised.value.issues[0].code == "security"
    assert "word" not in str(raised.value)


@pytest.mark.parametrize("base", CASES["bases"]["good"])
def test_good_base(base: str) -> None:
    assert Gate.of(base).base == base.rstrip("/")


@pytest.mark.parametrize("base", CASES["bases"]["bad"])
def test_bad_base(base: str) -> None:
    with pytest.raises(IssueError):
        Gate.of(base)


def test_http_on_purpose() -> None:
    assert Gate.of("http://host.example/fhir", insecure_http=True).base == "http://host.example/fhir"
