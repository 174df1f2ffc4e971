"""A token, MRNs and a patient's data go to the one server, in bodies, and nowhere else, whatever goes wrong."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus
from uuid import uuid4

import pytest
from faults.fault import Fault, Kind
from faults.proxy import When
from sample_study import Row, edit

from fhir_ivig.fhir.server import connect, server_settings
from fhir_ivig.issue import IssueError
from fhir_ivig.study.study import Study
from fhir_ivig.sync.bulk import Bulk
from fhir_ivig.sync.pull_study import pull_study
from fhir_ivig.sync.push_study import plan_study, push_study, status_of
from reliability.runs import HealingProxy, SmallPages
from reliability.small import change_some, small_study

TOKEN = "t0ken-canary-5f3a9"
MRNS = ("88261-mrn-canary", "88262-mrn-canary")
SUBJECT, VALUE, BORN = "Zsuzsanna-Canary-1", "7391.25", "1931-02-03"
CANARIES = (TOKEN, *MRNS, SUBJECT, VALUE, BORN)
FAULTS: list[tuple[Kind, str]] = [
    ("redirect_elsewhere", "_search"),
    ("redirect_elsewhere", "metadata"),
    ("redirect_elsewhere", r"/fhir/?$"),
    ("redirect_elsewhere", "bulk-files"),
    ("next_elsewhere", "_search"),
    ("location_elsewhere", "export"),
    ("html", r"/fhir/?$"),
    ("bulk_expired", "_search"),
    ("cut_committed", r"/fhir/?$"),
    ("entries_reordered", r"/fhir/?$"),
    ("page_lost", "_search"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A study with canaries in it; its study.yaml. The system of its MRNs is its own: each is one Patient."""
    made = small_study(tmp_path / "study", "https://example.org/canaries")
    system = f"https://hospital.example.org/{uuid4()}"
    text = made.read_text("utf-8").replace("https://hospital.example.org/mrn", system)
    made.write_text(text, "utf-8")

    def renamed(rows: list[Row]) -> list[Row]:
        return [{**row, "subject": row["subject"].replace("HARA-02", SUBJECT)} for row in rows]

    for table in ("subjects", "courses", "infusions", "assessments"):
        edit(made.parent / f"{table}.csv", renamed)
    edit(
        made.parent / "subjects.csv",
        lambda rows: [{**row, "mrn": mrn, "birth_date": BORN} for row, mrn in zip(rows, MRNS, strict=True)],
    )
    set_last_ck(made.parent, VALUE)
    return made


def set_last_ck(folder: Path, value: str) -> None:
    def changed(rows: list[Row]) -> list[Row]:
        [row for row in rows if row["measure"] == "CK"][-1]["value"] = value
        return rows

    edit(folder / "assessments.csv", changed)


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """The path of a server.yaml for an address, with a token."""
    monkeypatch.setenv("FHIR_IVIG_TOKEN", TOKEN)

    def made(url: str) -> str:
        settings = {"base": url, "auth": {"bearer": {"env": "FHIR_IVIG_TOKEN"}}, "limits": {"deadline_seconds": 4}}
        (tmp_path / "server.yaml").write_text(json.dumps(settings), "utf-8")  # JSON is YAML
        return str(tmp_path / "server.yaml")

    return made


def tried(*commands: Callable[[], Any]) -> str:
    """The texts of all that the commands raise and of the Issues that they give."""
    said = []
    for command in commands:
        try:
            found = command()
            said += [str(issue) for issue in (found.log.first if hasattr(found, "log") else found.issues)]
        except IssueError as error:
            said.append("".join(traceback.format_exception(error)))
    return "\n".join(said)


def shown(text: str, canaries: Iterable[str] = CANARIES) -> list[str]:
    return [canary for canary in canaries if canary in unquote_plus(text)]


@pytest.mark.parametrize(("kind", "path"), FAULTS)
def test_nothing_goes_elsewhere(
    kind: Kind,
    path: str,
    file: Path,
    at: Callable[[str], str],
    server: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with HealingProxy(server) as proxy:
        study, target = Study.load(file), at(proxy.url)
        settings = server_settings(target)
        assert settings
        client = SmallPages(connect(settings).transport)
        assert push_study(study, target).complete
        change_some(file.parent, 1)
        study = Study.load(file)
        proxy.inject(Fault(kind), When(path=path, times=None))
        said = tried(
            lambda: push_study(study, target),
            lambda: pull_study(study, client, tmp_path / "out"),
            lambda: pull_study(study, client, tmp_path / "linked", links="mrn"),
            lambda: pull_study(study, client, tmp_path / "bulk", bulk=Bulk("patient", poll_seconds=0.1)),
        )
        assert proxy.idle == []
        assert any(seen.request.headers.get("authorization") == f"Bearer {TOKEN}" for seen in proxy.log)
        assert proxy.elsewhere_log == []
        assert [seen.request.path for seen in proxy.log if shown(seen.request.path)] == []
    assert caplog.records
    assert shown(caplog.text) == []
    assert shown(said) == []
    assert shown(repr(client)) == []
    files = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert [each for each in files if TOKEN.encode() in each.read_bytes()] == []


def test_mrns_that_take_several_pages(
    file: Path, at: Callable[[str], str], server: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Servers put what was searched for into their next links, which are asked for with GET."""

    class OneAPage(SmallPages):
        def search(self, resource_type: str, params: Any = None, **more: Any) -> Any:
            return super(SmallPages, self).search(resource_type, {**(params or {}), "_count": "1"}, **more)

    caplog.set_level(logging.DEBUG)
    with HealingProxy(server) as proxy:
        study, target = Study.load(file), at(proxy.url)
        assert push_study(study, target).complete
        settings = server_settings(target)
        assert settings
        pull_study(study, OneAPage(connect(settings).transport), tmp_path / "out", links="mrn")
        assert [seen.request.path for seen in proxy.log if shown(seen.request.path)] == []
    assert shown(caplog.text) == []


def test_a_server_that_says_what_it_was_told(
    file: Path, at: Callable[[str], str], scripted: Any, tmp_path: Path
) -> None:
    statement = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}
    words = f"no: Bearer {TOKEN} asked for https://hospital.example.org/mrn|{MRNS[0]}, {MRNS[1]}"
    issue = {"severity": "error", "code": "invalid", "diagnostics": words}
    outcome = json.dumps({"resourceType": "OperationOutcome", "issue": [issue]})
    for status in (400, 401, 200):
        served = scripted([{"body": json.dumps(statement)}, {"status": status, "body": outcome}])
        target = at(served.base)
        said = tried(partial(pull_study, Study.load(file), target, tmp_path / "out", links="mrn"))
        assert len(served.requests) > 1
        assert shown(said) == []


def test_the_journal_and_a_plan(file: Path, at: Callable[[str], str], server: str) -> None:
    with HealingProxy(server) as proxy:
        target = at(proxy.url)
        assert push_study(Study.load(file), target).complete
        proxy.inject(Fault("cut_committed"), When("POST", r"/fhir/?$", times=None))
        set_last_ck(file.parent, "7392")
        edit(file.parent / "subjects.csv", lambda rows: [{**rows[0], "mrn": "88263-new"}, *rows[1:]])
        study = Study.load(file)
        plan = json.dumps(plan_study(study, target).as_dict(), ensure_ascii=False)
        tried(lambda: push_study(study, target))
        status = json.dumps(status_of(study, target).as_dict())
    assert set(shown(plan, (*CANARIES, "88263-new"))) == {MRNS[0], "88263-new", VALUE}  # the cells that change
    journal = b"".join(each.read_bytes() for each in (file.parent / ".fhir-ivig").iterdir())
    assert len(journal) > 1000
    assert shown(journal.decode("latin-1"), (*CANARIES, "88263-new")) == []
    assert shown(status) == []


@pytest.mark.parametrize("command", ["push", "pull"])
def test_the_command_line(command: str, file: Path, at: Callable[[str], str], server: str, tmp_path: Path) -> None:
    """What a run under a fault prints, and that its exit code is not 0."""
    with HealingProxy(server) as proxy:
        proxy.inject(Fault("html"), When(path="_search", nth=3, times=None))
        there = (
            ["--to", at(proxy.url)] if command == "push" else ["--from", at(proxy.url), "--out", str(tmp_path / "o")]
        )
        done = subprocess.run(
            [sys.executable, "-m", "fhir_ivig", command, str(file), *there, "--json"],
            capture_output=True,
            env={**os.environ, "FHIR_IVIG_TOKEN": TOKEN},
            text=True,
            check=False,
        )
        assert proxy.idle == []
    assert done.returncode in (1, 3), done.stderr
    assert shown(done.stdout + done.stderr) == []
    assert "Traceback" not in done.stderr
