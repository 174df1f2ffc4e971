"""What follows from what a server says, what is known of it and what a probe sees; on real servers, and odd ones."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from fhir_ivig.cli import main
from fhir_ivig.fhir.bundle import head
from fhir_ivig.fhir.capability import check_release, examine
from fhir_ivig.fhir.client import Client, Reply
from fhir_ivig.fhir.gate import Gate
from fhir_ivig.fhir.probe import SYSTEM, Seen, probe
from fhir_ivig.fhir.settings import ServerSettings, read_server
from fhir_ivig.fhir.transport import Transport
from fhir_ivig.fhir.wire import Wire
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.yamltext import load

CASES = yaml.safe_load(Path(__file__).with_name("capability.yaml").read_text())


def settings(text: str) -> ServerSettings:
    return read_server(load(f"base: https://host.example/fhir\n{text}"), Path("server.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_what_follows(case: dict[str, Any]) -> None:
    seen = {name: Seen(does, "") for name, does in case.get("seen", {}).items()}
    found = examine(case["statement"], settings(case.get("settings", "")), case.get("types", ()), seen)
    for name in ("strategy", "bundle", "preset", "page"):
        assert getattr(found.settings, name) == case.get(name, getattr(found.settings, name))
    assert {name: found.facts[name].says for name in case.get("says", {})} == case.get("says", {})
    assert case.get("why", "") in " / ".join(found.why.values())
    assert [issue.text for issue in found.issues if case.get("issue", "-") in issue.text] == [
        issue.text for issue in found.issues
    ]
    assert bool(found.issues) == ("issue" in case)
    json.dumps(found.as_dict())


@pytest.mark.parametrize(
    ("said", "version", "good"),
    [
        ("4.0.1", "R4", True),
        ("4.3.0", "R4B", True),
        ("5.0.0-ballot", "R5", True),
        (None, "R4", True),
        ("4.3.0", "R4", False),
        ("3.0.2", "R4", False),
        ("6.0.0", "R5", False),
        ("40", "R4", False),
        (4.0, "R4", True),
    ],
)
def test_the_version_of_a_study(said: Any, version: str, good: bool) -> None:
    with nullcontext() if good else pytest.raises(IssueError, match="--fhir-version"):
        check_release({"fhirVersion": said}, version, "https://host.example")


@pytest.mark.parametrize(
    ("url", "facts"),
    [
        (
            "sekmet_url",
            {"update_create": "yes", "conditional_create": "yes", "if_match": "yes", "transaction": "yes"},
        ),
        ("hapi_r4", {"update_create": "yes", "conditional_create": "yes", "if_match": "yes", "transaction": "yes"}),
        ("medplum_url", {"update_create": "yes", "conditional_create": "yes", "transaction": "no"}),
    ],
)
def test_probe_of_real_servers(url: str, facts: dict[str, str], request: pytest.FixtureRequest) -> None:
    client = Client(request.getfixturevalue(url))
    before = basics(client)
    found = probe(client)
    assert {name: found.seen[name].does for name in facts} == facts, found.seen
    assert found.issues == []
    assert basics(client) == before


class Lossy(Transport):
    """Loses the answer to one of its requests other than DELETE: the server has done what was asked."""

    def __init__(self, base: str, number: int) -> None:
        super().__init__(Gate.of(base), Wire())
        self.number, self.made = number, 0

    def ask(self, method: str, *given: Any, **more: Any) -> Reply:
        self.made += method != "DELETE"
        try:
            return super().ask(method, *given, **more)
        finally:
            if self.made == self.number and method != "DELETE":
                raise IssueError(Issue("fatal", "transient", "the answer is lost"))


def test_a_probe_that_breaks_off_leaves_nothing(sekmet_url: str) -> None:
    before = basics(Client(sekmet_url))
    for number in range(1, 11):
        with pytest.raises(IssueError, match="is lost"):
            probe(Client(Lossy(sekmet_url, number)))
        assert basics(Client(sekmet_url)) == before
    whole = Lossy(sekmet_url, 0)
    probe(Client(whole))
    assert whole.made == 11  # the last one searches for what is to be deleted


class Blind(Client):
    """Cannot search."""

    def search(self, *given: Any, **more: Any) -> Any:
        raise IssueError(Issue("error", "not-supported", "no search"))


def test_a_probe_without_search_names_what_may_be_left(sekmet_url: str) -> None:
    before = basics(Client(sekmet_url))
    for number in range(1, 11):
        with pytest.raises(IssueError, match="is lost") as raised:
            probe(Blind(Lossy(sekmet_url, number)))
        left = basics(Client(sekmet_url)) - before
        assert len(left) == (number == 1)
        assert ("may be left" in str(raised.value)) == (number in (1, 2))
        for ref in left:
            Client(sekmet_url).transport.ask("DELETE", ref)


def test_a_probe_says_what_it_could_not_delete(sekmet_url: str) -> None:
    client = Client(sekmet_url)
    before, ask = basics(client), client.transport.ask

    def kept(method: str, *given: Any, **more: Any) -> Reply:
        return Reply(405, {}, b"") if method == "DELETE" else ask(method, *given, **more)

    client.transport.ask = kept  # type: ignore[method-assign]
    found = probe(client)
    left = basics(Client(sekmet_url)) - before
    assert left
    assert all(any(ref in issue.text for issue in found.issues) for ref in left)
    for ref in left:
        ask("DELETE", ref)


def test_a_server_that_takes_nothing(scripted: Any) -> None:
    server = scripted([{"status": 405}])
    found = probe(Client(server.base))
    said = {name: seen.does for name, seen in found.seen.items()}
    unclear = {"if_match": "unclear", "transaction": "unclear"}
    assert said == {"conditional_create": "no", "update_create": "no", **unclear, "strict": "yes"}


def test_a_server_that_permits_nothing(scripted: Any) -> None:
    server = scripted([{"status": 403}])
    with pytest.raises(IssueError, match="HTTP 403"):
        probe(Client(server.base))


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["server", *words])


def test_command(sekmet_url: str) -> None:
    shown = run(sekmet_url)
    assert shown.exit_code == 0
    assert "preset    sekmet (told by the server's name)" in shown.stdout
    assert "strategy  client-id" in shown.stdout
    assert "Nothing was tried" in shown.stderr
    found = json.loads(run(sekmet_url, "--probe", "--json").stdout)
    assert found["facts"]["update_create"]["seen"]["does"] == "yes"
    assert "names no AdverseEvent" in found["issues"][0]["text"]


def test_command_with_a_file(sekmet_url: str, tmp_path: Path) -> None:
    file = tmp_path / "server.yaml"
    file.write_text(f"base: {sekmet_url}\nstrategy: search-create\n")
    assert "strategy  search-create (stated by you)" in run(str(file)).stdout
    file.write_text(f"base: {sekmet_url}\nstrategy: some\n")
    shown = run(str(file), "--json")
    assert shown.exit_code == 3
    assert json.loads(shown.stdout)["issue"][0]["diagnostics"] == "file=server.yaml;row=2"


def test_command_used_wrong(scripted: Any, tmp_path: Path) -> None:
    assert run(str(tmp_path)).exit_code == 2
    assert run("http://127.0.0.1/fhir", "--preset", "happy").exit_code == 3
    assert run("ftp://host.example").exit_code == 3
    assert run(str(tmp_path / "none.yaml")).exit_code == 3
    assert run(scripted([{"body": "<html>", "headers": {"Content-Type": "text/html"}}]).base).exit_code == 3
    other = '{"resourceType":"CapabilityStatement","fhirVersion":"3.0.2"}'
    assert run(scripted([{"body": other}]).base).exit_code == 1


def test_no_secret_is_shown(scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_IVIG_TOKEN", "canary-token")
    issue = {"severity": "error", "code": "login", "diagnostics": "canary-token"}
    server = scripted([{"status": 401, "body": json.dumps({"resourceType": "OperationOutcome", "issue": [issue]})}])
    for words in ([], ["--json"], ["--probe"]):
        shown = run(server.base, *words)
        assert shown.exit_code == 3
        assert "canary" not in shown.output
    assert server.requests[0][2]["Authorization"] == "Bearer canary-token"
    assert "canary" not in str([path for _, path, _, _ in server.requests])


def basics(client: Client) -> set[str]:
    """The Basic resources of any probe that a server holds."""
    found: set[str] = set()
    for page in client.search("Basic", {"_count": "1000"}):
        found |= {head(line).ref for line in page.matches if SYSTEM.encode() in line}
    return found
