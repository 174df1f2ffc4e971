"""Bulk exports: as the search pull, from a real server; expired links, other origins, errors, from scripted ones."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from servers.smart import Smart
from ward import Hospital

from fhir_ivig.fhir import retry
from fhir_ivig.fhir.auth import Bearer
from fhir_ivig.fhir.client import Client
from fhir_ivig.fhir.gate import Gate
from fhir_ivig.fhir.server import server_settings
from fhir_ivig.fhir.transport import Transport
from fhir_ivig.fhir.wire import Wire
from fhir_ivig.issue import IssueError
from fhir_ivig.sync import incremental
from fhir_ivig.sync.bulk import Bulk, Export
from fhir_ivig.sync.download import Download
from fhir_ivig.sync.lease import held
from fhir_ivig.sync.pull_study import pull_study

Start = Callable[[list[dict[str, Any]]], Any]
QUICK = Bulk(poll_seconds=0.05)
SOME: dict[str, Any] = {"links": "mrn", "subjects": ["S-01", "S-02"]}


@pytest.fixture
def hospital(server: str, tmp_path: Path) -> Hospital:
    return filled(Hospital(server, tmp_path / "study"))


def filled(made: Hospital) -> Hospital:
    made.put(
        made.patient("a", "4711"),
        made.patient("b", "4712"),
        *(made.ck(f"r{place}", "ab"[place % 2], f"2024-0{3 + place // 2}-01", 1000 + place) for place in range(4)),
        made.infusion("i", "a", "2024-03-04"),
    )
    return made


def lines(folder: Path) -> dict[str, list[str]]:
    return {file.name: sorted(file.read_text().splitlines()) for file in (folder / "fhir").glob("*.ndjson")}


@pytest.mark.parametrize("level", ["system", "patient"])
def test_as_the_search_pull(level: str, hospital: Hospital, server: str, tmp_path: Path) -> None:
    pull_study(hospital.study, server, tmp_path / "search", **SOME)
    found = pull_study(hospital.study, server, tmp_path / "bulk", bulk=Bulk(level, poll_seconds=0.05), **SOME)
    assert found.complete, [str(issue) for issue in found.log.first]
    assert lines(tmp_path / "bulk") == lines(tmp_path / "search")
    for name in ("subjects", "assessments", "infusions"):
        file = f"{name}.csv"
        assert (tmp_path / "bulk" / file).read_text() == (tmp_path / "search" / file).read_text()
    manifest = json.loads((tmp_path / "bulk/manifest.json").read_text())
    assert (manifest["source"], bool(manifest["server_time"])) == (server, True)
    assert not (tmp_path / "bulk.bulk").exists()


def test_two_at_once(hospital: Hospital, server: str, tmp_path: Path) -> None:
    with held(tmp_path / "out.bulk", ""), pytest.raises(IssueError, match="under way"):
        pull_study(hospital.study, server, tmp_path / "out", bulk=QUICK, **SOME)
    assert pull_study(hospital.study, server, tmp_path / "out", bulk=QUICK, **SOME).complete
    assert {"out.bulk", "out.bulk.lease"}.isdisjoint(path.name for path in tmp_path.iterdir())


def test_of_a_group(hospital: Hospital, server: str, tmp_path: Path) -> None:
    members = [{"entity": {"reference": f"Patient/{hospital.id('a')}"}}]
    hospital.put(
        {"resourceType": "Group", "id": hospital.id("g"), "type": "person", "actual": True, "member": members}
    )
    bulk = Bulk(f"group/{hospital.id('g')}", poll_seconds=0.05)
    found = pull_study(hospital.study, server, tmp_path / "out", bulk=bulk, links="mrn", subjects=["S-01"])
    assert (found.complete, found.rows["assessments"]) == (True, 2)
    with pytest.raises(IssueError, match="bulk exports of"):
        pull_study(hospital.study, server, tmp_path / "out", bulk=Bulk("group/../x"))


@pytest.mark.parametrize("level", ["system", "patient", "group"])
def test_for_tokens_only(level: str, smart: Smart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything with a token, which ends within the run; nothing without one."""
    hospital = filled(Hospital(smart.client(), tmp_path / "study"))
    if level == "group":
        member = [{"entity": {"reference": f"Patient/{hospital.id(name)}"}} for name in "ab"]
        hospital.put(
            {"resourceType": "Group", "id": hospital.id("g"), "type": "person", "actual": True, "member": member}
        )
        level = f"group/{hospital.id('g')}"
    urls: list[str] = []
    once = Download.once

    def seen(self: Download, file: Any, *more: Any) -> None:
        assert requests.get(file.url, timeout=10).status_code == 401
        time.sleep(2.1 if not urls else 0)  # by then the token is due to be replaced
        urls.append(file.url)
        once(self, file, *more)

    monkeypatch.setattr(Download, "once", seen)
    settings = server_settings(smart.settings(scope="system/*.rs"))
    assert settings
    pull_study(hospital.study, settings, tmp_path / "search", **SOME)
    found = pull_study(hospital.study, settings, tmp_path / "bulk", bulk=Bulk(level, poll_seconds=0.05), **SOME)
    assert (found.complete, len(urls)) == (True, 3), [str(issue) for issue in found.log.first]
    assert lines(tmp_path / "bulk") == lines(tmp_path / "search")


def test_since_last(hospital: Hospital, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incremental, "OVERLAP", incremental.timedelta(0))
    out = tmp_path / "out"
    pull_study(hospital.study, server, out, bulk=QUICK, links="mrn", subjects=["S-01"])
    hospital.put(hospital.ck("r0", "a", "2024-03-01", 7), hospital.ck("r2", "a", "2024-04-02", 9))
    hospital.client.transport.ask("DELETE", f"MedicationAdministration/{hospital.id('i')}")
    for subjects in (["S-01"], ["S-01", "S-02"]):  # then with a Patient of whom nothing is new
        again = pull_study(hospital.study, server, out, bulk=QUICK, since_last=True, links="mrn", subjects=subjects)
        pull_study(hospital.study, server, tmp_path / "whole", links="mrn", subjects=subjects)
        assert again.complete, [str(issue) for issue in again.log.first]
        assert (out / "assessments.csv").read_text() == (tmp_path / "whole/assessments.csv").read_text()
        assert again.rows["infusions"] == 0


def test_killed_and_gone_on_with(
    hospital: Hospital, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    once = Download.once

    def dies(self: Download, file: Any, *more: Any) -> None:
        if len(fetched) == 1:
            fetched.append("")
            raise KeyboardInterrupt
        fetched.append(file.url)
        once(self, file, *more)

    monkeypatch.setattr(Download, "once", dies)
    with pytest.raises(KeyboardInterrupt):
        pull_study(hospital.study, server, tmp_path / "out", bulk=QUICK, **SOME)
    assert (tmp_path / "out.bulk/state.json").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "out").exists()
    assert pull_study(hospital.study, server, tmp_path / "out", bulk=QUICK, **SOME).rows["assessments"] == 4
    urls = [url for url in fetched if url]
    assert len(urls) == len(set(urls))  # each file once
    assert len({url.rpartition("/")[0] for url in urls}) == 1  # all of one job


def accepted(place: str = "{base}/status/1") -> dict[str, Any]:
    return {"status": 202, "headers": {"Content-Location": place}}


def manifest(*output: dict[str, Any], token: bool = True, **more: Any) -> dict[str, Any]:
    told = {"transactionTime": "2024-01-01T00:00:00Z", "requiresAccessToken": token, "output": output, **more}
    return {"body": json.dumps(told), "headers": {"Expires": "0"}}


def file(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "Patient", "url": f"{{base}}/files/{name}", **more}


LINE = {"body": '{"resourceType":"Patient","id":"p"}\n'}
OUTCOME = {
    "body": json.dumps(
        {
            "resourceType": "OperationOutcome",
            "issue": [{"severity": "error", "code": "exception", "diagnostics": "out of order"}],
        }
    )
}
GONE = {"status": 404, "body": "{}"}
EXPORT = "$export?_outputFormat=application%2Ffhir%2Bndjson&_type=Patient"


def run(server: Any, folder: Path, **settings: Any) -> Any:
    return Export(Client(server.base, "token"), Bulk(poll_seconds=0.01, **settings), folder).run(["Patient"])


def test_a_job_that_is_left_is_cancelled(server: str, tmp_path: Path) -> None:
    jobs = []
    for kind in ("Patient", "Observation"):
        export = Export(Client(server), QUICK, tmp_path / "x")
        export.run([kind])
        jobs.append(export.state.status)
    assert [requests.get(job, timeout=10).status_code for job in jobs] == [404, 200]


def test_what_is_asked_and_waited_for(scripted: Start, tmp_path: Path) -> None:
    waiting = {"status": 202, "headers": {"Retry-After": 120}}
    server = scripted([accepted(), waiting, waiting, manifest(file("a", count=1)), LINE])
    found = run(server, tmp_path / "x")
    assert (found.lines, found.time, found.issues) == (1, "2024-01-01T00:00:00Z", [])
    _, path, headers, _ = server.requests[0]
    assert path == f"/fhir/{EXPORT}"
    assert headers["Prefer"] == "respond-async"
    assert headers["Authorization"] == "Bearer token"
    assert server.requests[4][2]["Accept"] == "application/fhir+ndjson"
    assert server.requests[4][2]["Authorization"] == "Bearer token"


def test_no_token_where_none_is_wanted(scripted: Start, tmp_path: Path) -> None:
    server = scripted([accepted(), manifest(file("a"), token=False), LINE])
    run(server, tmp_path / "x")
    assert "Authorization" not in server.requests[2][2]


def test_other_origins_only_if_allowed_and_never_with_a_token(scripted: Start, tmp_path: Path) -> None:
    store = scripted([LINE])
    answers = [accepted(), manifest({"type": "Patient", "url": f"{store.base}/a"})]
    with pytest.raises(IssueError, match="leads to"):
        run(scripted(answers), tmp_path / "x")
    assert not store.requests
    assert run(scripted(answers), tmp_path / "y", origins=[store.base.removesuffix("/fhir")]).lines == 1
    assert "Authorization" not in store.requests[0][2]


def test_a_job_elsewhere_is_not_asked_after(scripted: Start, tmp_path: Path) -> None:
    with pytest.raises(IssueError, match="leads to https://evil"):
        run(scripted([accepted("https://evil.example/status")]), tmp_path / "x")


def test_expired_links_are_asked_for_once_more(scripted: Start, tmp_path: Path) -> None:
    server = scripted([accepted(), manifest(file("old")), GONE, manifest(file("new")), LINE])
    assert run(server, tmp_path / "x").lines == 1
    assert [path.rpartition("/")[2] for _, path, _, _ in server.requests][2:] == ["old", "1", "new"]
    with pytest.raises(IssueError):
        run(scripted([accepted(), manifest(file("old")), GONE, manifest(file("new")), GONE]), tmp_path / "y")


def test_files_that_are_gone_are_exported_once_more(scripted: Start, tmp_path: Path) -> None:
    gone = [accepted(), manifest(file("old")), GONE, GONE]  # the file, then the job
    server = scripted([*gone, accepted(), manifest(file("new")), LINE])
    assert run(server, tmp_path / "x").lines == 1
    assert [path.rpartition("/")[2] for _, path, _, _ in server.requests][3:] == ["1", EXPORT, "1", "new"]
    again = scripted([*gone, *gone])
    with pytest.raises(IssueError, match="takes the files of its export away"):
        run(again, tmp_path / "y")
    assert len(again.requests) == 8


def test_files_that_are_forbidden_are_not_exported_again(scripted: Start, tmp_path: Path) -> None:
    forbidden = {"status": 403, "body": "{}"}
    server = scripted([accepted(), manifest(file("a")), forbidden, manifest(file("a")), forbidden])
    with pytest.raises(IssueError, match="403"):
        run(server, tmp_path / "x")
    assert len(server.requests) == 5


@pytest.mark.parametrize("status", [404, 410, 422, 500])
def test_a_job_that_failed_or_is_no_more_is_begun_anew(
    status: int, scripted: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "ATTEMPTS", 1)
    answers = [accepted(), {"status": status, "body": "{}"}]
    server = scripted([*answers, *answers[1:], accepted(), manifest(file("a")), LINE])
    with pytest.raises(IssueError):
        run(server, tmp_path / "x")
    assert run(server, tmp_path / "x").lines == 1
    assert len(server.requests) == 6


@pytest.mark.parametrize("status", [401, 403, 503])
def test_a_job_that_may_be_well_is_kept(
    status: int, scripted: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "ATTEMPTS", 1)
    answers = [accepted(), {"status": status, "body": "{}"}]
    server = scripted([*answers, *answers[1:], manifest(file("a")), LINE])
    for _ in range(2):
        with pytest.raises(IssueError):
            run(server, tmp_path / "x")
    assert run(server, tmp_path / "x").lines == 1


def test_files_of_two_exports_are_not_mixed(scripted: Start, tmp_path: Path) -> None:
    """The job's address tells of another export than before: what was fetched of the first is fetched again."""
    first = manifest(file("a"), file("b"))
    later = manifest(file("a"), file("b"), transactionTime="2024-02-02T00:00:00Z")
    server = scripted([accepted(), first, LINE, {"status": 400, "body": "{}"}, later, LINE, LINE])
    with pytest.raises(IssueError):
        run(server, tmp_path / "x")
    found = run(server, tmp_path / "x")
    assert (found.lines, found.time) == (2, "2024-02-02T00:00:00Z")
    assert len(server.requests) == 7


def test_a_token_that_ran_out_at_a_file(scripted: Start, tmp_path: Path) -> None:
    """Read again, as others may renew it; a job's own link may still know the old one."""
    tokens = iter(["old", "new", "newer"])
    server = scripted([accepted(), manifest(file("a")), {"status": 401, "body": "{}"}, LINE])
    client = Client(Transport(Gate.of(server.base), Wire(), Bearer(lambda: next(tokens))))
    assert Export(client, Bulk(poll_seconds=0.01), tmp_path / "x").run(["Patient"]).lines == 1
    assert [sent["Authorization"] for _, _, sent, _ in server.requests][2:] == ["Bearer old", "Bearer new"]


def test_errors_deletions_and_counts(scripted: Start, tmp_path: Path) -> None:
    issues = [
        {"severity": severity, "code": "processing", "diagnostics": severity} for severity in ("error", "information")
    ]
    outcome = json.dumps({"resourceType": "OperationOutcome", "issue": issues})
    bundle = json.dumps({"resourceType": "Bundle", "entry": [{"request": {"method": "DELETE", "url": "Patient/d"}}]})
    told = manifest(file("a", count=2), error=[file("e")], deleted=[file("d")])
    found = run(scripted([accepted(), told, LINE, {"body": bundle}, {"body": outcome}]), tmp_path / "x")
    assert [(issue.severity, issue.code) for issue in found.issues] == [
        ("error", "incomplete"), ("error", "processing"), ("information", "processing"),
    ]  # fmt: skip
    assert found.gone == {"Patient/d"}


def test_an_outcome_in_place_of_a_file(scripted: Start, tmp_path: Path) -> None:
    """With status 200, as some servers say what went wrong; the next call asks for that file again."""
    server = scripted(
        [accepted(), manifest(file("a"), file("b")), OUTCOME, LINE, manifest(file("a"), file("b")), LINE]
    )
    found = run(server, tmp_path / "x")
    assert [issue.text for issue in found.issues][1:] == ["out of order"]
    assert [issue.severity for issue in found.issues] == ["error", "error"]
    again = run(server, tmp_path / "x")
    assert (again.lines, again.issues, len(server.requests)) == (2, [], 6)


def test_nothing_to_export(scripted: Start, tmp_path: Path) -> None:
    """As HAPI says it."""
    told = {"body": '{"transactionTime":"2024-01-01T00:00:00Z","requiresAccessToken":true,"error":[]}'}
    found = run(scripted([accepted(), told]), tmp_path / "x")
    assert (found.lines, found.issues, found.time) == (0, [], "2024-01-01T00:00:00Z")


@pytest.mark.parametrize("answer", ["{}", "outcome"])
def test_a_job_that_ends_without_a_manifest(answer: str, scripted: Start, tmp_path: Path) -> None:
    """An empty export would mean that nothing is there, or nothing changed."""
    wrong = OUTCOME if answer == "outcome" else {"body": answer}
    server = scripted([accepted(), wrong, wrong, accepted(), manifest(file("a")), LINE])
    with pytest.raises(IssueError, match="no manifest") as raised:
        run(server, tmp_path / "x")
    assert ("out of order" in str(raised.value)) == (answer == "outcome")
    assert run(server, tmp_path / "x").lines == 1


@pytest.mark.parametrize("answers", [[{"body": "{}"}], [accepted(), {"body": '{"output":5}'}], [GONE]])
def test_a_server_without_bulk_export(answers: list[dict[str, Any]], scripted: Start, tmp_path: Path) -> None:
    with pytest.raises(IssueError):
        run(scripted(answers), tmp_path / "x")


def test_somebody_s_folder_is_not_taken(scripted: Start, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/thesis").write_text("years")
    with pytest.raises(IssueError, match="omething else"):
        run(scripted([accepted()]), tmp_path / "x")
    assert (tmp_path / "x/thesis").exists()
