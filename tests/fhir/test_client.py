"""The client against odd servers (client.yaml) and against a real one."""

from __future__ import annotations

import time
from itertools import starmap
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_ivig.fhir import retry
from fhir_ivig.fhir.bundle import Put, batch, head
from fhir_ivig.fhir.client import Client
from fhir_ivig.issue import IssueError

CASES = yaml.safe_load(Path(__file__).with_name("client.yaml").read_text())
REFS = ["Patient/a", "Patient/b"]


def outcome(client: Client, case: dict[str, Any]) -> dict[str, Any]:
    """What came of a case, in the words of client.yaml."""
    try:
        if case.get("ask") == "transact":
            told = client.transact(batch([Put(ref, b"{}") for ref in REFS]), REFS)
            return {"answers": [[issue.code for issue in said.issues] for said in told]}
        pages = list(client.search("Observation", case.get("params")))
    except IssueError as error:
        return {"codes": [issue.code for issue in error.issues], "said": str(error)}
    return {
        "matches": [head(line).id for page in pages for line in page.matches],
        "included": [head(line).id for page in pages for line in page.included],
        "said": " ".join(issue.text for page in pages for issue in page.issues),
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_odd_servers(case: dict[str, Any], scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "LONGEST", 0.1)  # what servers ask for is waited all the same
    server, expect = scripted(case["answers"]), case["expect"]
    started = time.monotonic()
    found = outcome(Client(server.base, token="secret-token"), case)
    for key in ("answers", "codes", "matches"):
        assert found.get(key) == expect.get(key)
    assert found.get("included", []) == expect.get("included", [])
    assert expect.get("says", "") in found.get("said", "")
    assert not any(secret in found.get("said", "") for secret in ("secret-token", "4711", "0815"))
    assert len(server.requests) == expect.get("requests", 1)
    assert time.monotonic() - started >= expect.get("waited", 0.0)


def test_nothing_of_a_patient_in_a_url(scripted: Any) -> None:
    server = scripted([{"body": '{"resourceType":"Bundle","type":"searchset"}'}])
    list(Client(server.base, "t", {"x-partner": "7"}).search("Observation", {"subject": ["Patient/1,Patient/2"]}))
    method, path, headers, body = server.requests[0]
    assert (method, path) == ("POST", "/fhir/Observation/_search")
    assert body == b"subject=Patient%2F1%2CPatient%2F2"
    assert headers["Prefer"] == "handling=strict"
    assert headers["Cache-Control"] == "no-cache"
    assert headers["Authorization"] == "Bearer t"
    assert headers["x-partner"] == "7"


def test_the_environment_is_not_asked(scripted: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server = scripted([{"body": '{"resourceType":"CapabilityStatement"}'}])
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login l password p")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert Client(server.base).capability() == {"resourceType": "CapabilityStatement"}
    assert "Authorization" not in server.requests[0][2]


def test_endless_pages_end(scripted: Any) -> None:
    bundle = '{"resourceType":"Bundle","type":"searchset","link":[{"relation":"next","url":"{base}?page=%d"}]}'
    server = scripted([{"body": bundle % number} for number in range(20)])
    with pytest.raises(IssueError, match="never end"):
        list(Client(server.base).search("Patient", page_limit=5))
    assert len(server.requests) == 5


@pytest.mark.parametrize("token", ["a\nb", "a b ", "é"])
def test_a_token_that_is_none_is_not_repeated(token: str) -> None:
    with pytest.raises(IssueError) as raised:
        Client("https://host.example/fhir", token)
    assert token not in str(raised.value)


def test_no_secret_in_the_representation() -> None:
    assert repr(Client("https://host.example/fhir/", "t0ken")) == "Client('https://host.example/fhir')"


def test_nothing_secret_in_logs(scripted: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    first = '{"resourceType":"Bundle","type":"searchset","link":[{"relation":"next","url":"{base}?mrn=canary-mrn"}]}'
    server = scripted([{"body": first}, {"status": 503}, {"body": '{"resourceType":"Bundle","type":"searchset"}'}])
    list(Client(server.base, "canary-token").search("Patient", {"identifier": "canary-mrn"}))
    assert len(server.requests) == 3
    assert "canary" not in caplog.text


def test_a_redirect_takes_no_token_elsewhere(scripted: Any) -> None:
    other = scripted([{"body": "{}"}])
    server = scripted([{"status": 302, "headers": {"Location": other.base}}])
    with pytest.raises(IssueError):
        Client(server.base, "canary-token").capability()
    assert other.requests == []


def test_a_type_that_is_none() -> None:
    with pytest.raises(IssueError, match="no FHIR resource type"):
        list(Client("https://host.example/fhir").search("../admin"))


def test_real_server(server: str) -> None:
    client = Client(server)
    assert client.capability()["fhirVersion"] == "4.0.1"
    resources = [
        (f"Patient/page{i}", b'{"resourceType":"Patient","id":"page%d","gender":"other"}' % i) for i in range(45)
    ]
    refs = [ref for ref, _ in resources]
    answers = client.transact(batch(starmap(Put, resources)), refs)
    assert [answer.issues for answer in answers] == [() for _ in refs]
    pages = list(client.search("Patient", {"gender": "other", "_count": "20"}))
    assert [len(page.matches) for page in pages] == [20, 20, 5]
    assert {head(line).ref for page in pages for line in page.matches} == set(refs)
    with pytest.raises(IssueError, match="subjct"):
        list(client.search("Observation", {"subjct": "Patient/1"}))


def test_an_address_below_which_there_is_no_fhir(scripted: Any) -> None:
    server = scripted([{"status": 404, "body": "<html>Not found</html>", "headers": {"Content-Type": "text/html"}}])
    with pytest.raises(IssueError, match=r"fatal: .*/metadata is not there: is this a FHIR address\?"):
        Client(server.base).capability()
