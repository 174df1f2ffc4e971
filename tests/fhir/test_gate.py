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


ALLOWED = ["https://files.example", "http://plain.example"]


@pytest.mark.parametrize("link", CASES["files"]["followed"])
def test_files_followed(link: str) -> None:
    url = GATE.admit_file(link, ALLOWED)
    assert GATE.owns(url) == ("host.example" in url)


@pytest.mark.parametrize("link", CASES["files"]["refused"])
def test_files_refused(link: str) -> None:
    with pytest.raises(IssueError) as raised:
        GATE.admit_file(link, ALLOWED)
    assert raised.value.issues[0].code == "security"


@pytest.mark.parametrize("link", CASES["tokens"]["good"])
def test_token_endpoints(link: str) -> None:
    assert GATE.admit_token_endpoint(link, ["https://login.example"]) == link


@pytest.mark.parametrize("link", CASES["tokens"]["bad"])
def test_no_token_endpoints(link: str) -> None:
    with pytest.raises(IssueError):
        GATE.admit_token_endpoint(link, ["https://login.example"])
