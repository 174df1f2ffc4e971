"""Pulling again: what changed since, and what an incomplete pull must not replace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ward import Hospital

from fhir_ivig.fhir.client import Client
from fhir_ivig.sync import incremental
from fhir_ivig.sync.incremental import deleted_since
from fhir_ivig.sync.pull import Known, Search, pull
from fhir_ivig.sync.pull_study import pull_study
from fhir_ivig.sync.tabulate import Tabulated

TABLES = ("subjects.csv", "assessments.csv", "infusions.csv", "courses.csv")


@pytest.fixture
def hospital(server: str, tmp_path: Path) -> Hospital:
    made = Hospital(server, tmp_path / "study")
    made.put(
        made.patient("a", "4711"),
        made.patient("b", "4712"),
        *(made.ck(f"r{place}", "ab"[place % 2], f"2024-0{3 + place // 2}-01", 1000 + place) for place in range(4)),
    )
    return made


def same_tables(one: Path, other: Path) -> None:
    for name in TABLES:
        assert (one / name).read_text() == (other / name).read_text()


def said(found: Tabulated) -> str:
    return "\n".join(map(str, found.log.first))


@pytest.mark.parametrize("overlap", [0, 300], ids=["exactly", "with-overlap"])
def test_since_last_is_as_a_whole_pull(
    overlap: int, hospital: Hospital, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incremental, "OVERLAP", incremental.timedelta(seconds=overlap))
    out, cohort = tmp_path / "out", {"links": "mrn", "subjects": ["S-01", "S-02"]}
    assert pull_study(hospital.study, server, out, **cohort).complete
    first = json.loads((out / "manifest.json").read_text())
    hospital.put(
        hospital.ck("r0", "a", "2024-03-01", 7),
        hospital.ck("r1", "b", "2024-03-01", 8, status="entered-in-error"),
        hospital.ck("r9", "a", "2024-03-25", 9),
    )
    hospital.client.transport.ask("DELETE", f"Observation/{hospital.id('r2')}")
    again = pull_study(hospital.study, server, out, since_last=True, **cohort)
    whole = pull_study(hospital.study, server, tmp_path / "whole", **cohort)
    assert again.complete, said(again)
    assert whole.complete
    same_tables(out, tmp_path / "whole")
    assert again.rows["assessments"] == 3
    second = json.loads((out / "manifest.json").read_text())
    assert second["server_time"] >= first["server_time"]
    assert "Everything was asked for" not in said(again)
    assert second["asked"] == first["asked"]
    nothing = pull_study(hospital.study, server, out, since_last=True, **cohort)
    assert nothing.complete
    same_tables(out, tmp_path / "whole")


def test_new_patients_are_asked_for_in_full(
    hospital: Hospital, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incremental, "OVERLAP", incremental.timedelta(days=-1))  # nothing is new enough
    out = tmp_path / "out"
    pull_study(hospital.study, server, out, links="mrn", subjects=["S-01"])
    found = pull_study(hospital.study, server, out, links="mrn", subjects=["S-01", "S-02"], since_last=True)
    assert found.rows["assessments"] == 4
    found = pull_study(hospital.study, server, out, links="mrn", subjects=["S-02"], since_last=True)
    assert (found.rows["assessments"], found.complete) == (2, True)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda manifest: manifest.update(complete=False), "no complete earlier pull"),
        (lambda manifest: manifest.update(source="https://another.example/fhir"), "from another server"),
        (lambda manifest: manifest.update(server_time=None), "does not know the server's time"),
        (lambda manifest: manifest["asked"].clear(), "asked for something else"),
    ],
)
def test_no_earlier_pull_to_build_on(change: Any, why: str, hospital: Hospital, server: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pull_study(hospital.study, server, out, links="mrn", subjects=["S-01"])
    manifest = json.loads((out / "fhir/manifest.json").read_text())
    change(manifest)
    (out / "fhir/manifest.json").write_text(json.dumps(manifest))
    found = pull_study(hospital.study, server, out, links="mrn", subjects=["S-01"], since_last=True)
    assert why in said(found)
    assert (found.rows["assessments"], found.complete) == (2, True)


def answer(kind: str = "searchset", entries: str = "", **more: Any) -> dict[str, Any]:
    head = json.dumps({"resourceType": "Bundle", "type": kind, "total": int(bool(entries)), **more})
    return {"body": f'{head[:-1]},"entry":[{entries}]}}'}


PATIENT = '{"resource":{"resourceType":"Patient","id":"p"}}'
SEEN = '{"resource":{"resourceType":"Observation","id":"o"}}'
REFUSED = {"status": 400, "body": '{"resourceType":"OperationOutcome","issue":[]}'}
KNOWN = Known("2024-01-01T00:00:00Z", "2024-01-01T00:05:00Z", frozenset({"Patient/p"}))


def test_a_server_that_cannot_tell_what_changed(scripted: Any, tmp_path: Path) -> None:
    server = scripted([answer(entries=PATIENT), REFUSED, REFUSED, answer(entries=SEEN)])
    pulled = pull(
        server.base, [Search("Patient"), Search("Observation", {}, "subject")], tmp_path / "out", known=KNOWN
    )
    assert [b"_lastUpdated=ge2024-01-01T00%3A00%3A00Z" in body for _, _, _, body in server.requests] == [
        False, True, True, False,
    ]  # fmt: skip
    assert (pulled.complete, pulled.changed_only, pulled.received) == (True, set(), {"Patient": 1, "Observation": 1})
    assert [issue.severity for issue in pulled.issues] == ["information"]


def test_a_server_that_passes_over_what_it_does_not_know(scripted: Any, tmp_path: Path) -> None:
    link = [{"relation": "self", "url": "https://h/fhir/Observation?subject=Patient/p"}]
    server = scripted([answer(entries=PATIENT), answer(entries=SEEN, link=link)])
    pulled = pull(
        server.base, [Search("Patient"), Search("Observation", {}, "subject")], tmp_path / "out", known=KNOWN
    )
    assert len(server.requests) == 3
    assert (pulled.complete, pulled.changed_only, pulled.received["Observation"]) == (True, set(), 1)


def test_what_history_tells(scripted: Any) -> None:
    def entry(method: str, name: str, time: str = "2024-02-01T00:00:00Z") -> str:
        request, response = {"method": method, "url": f"Observation/{name}"}, {"status": "200", "lastModified": time}
        return json.dumps({"request": request, "response": response})

    follow = [{"relation": "next", "url": "{base}/Observation/_history?page=2"}]
    first = ",".join([entry("DELETE", "a"), entry("PUT", "b"), entry("DELETE", "b")])
    server = scripted(
        [
            answer("history", first, link=follow),
            answer("history", entry("DELETE", "c", "2023-01-01T00:00:00Z"), link=follow),
            REFUSED,
        ]
    )
    gone = deleted_since(Client(server.base), ["Observation", "Procedure"], "2024-01-01T00:00:00Z")
    assert gone.refs == {"Observation/a", "Observation/c"}
    assert [issue.severity for issue in gone.issues] == ["warning"]
    assert [method for method, _, _, _ in server.requests] == ["GET"] * 3


def test_an_incomplete_pull_stands_beside_a_complete_one(hospital: Hospital, server: str, tmp_path: Path) -> None:
    out, beside = tmp_path / "out", tmp_path / "out.incomplete"
    some = {"links": "mrn", "subjects": ["S-01"]}
    bad = pull_study(hospital.study, server, out, links="mrn")  # S-03 and S-04 are nobody
    assert (bad.complete, bad.out, beside.exists()) == (False, None, False)
    assert pull_study(hospital.study, server, out, **some).complete
    before = (out / "manifest.json").read_text()
    for _ in range(2):
        bad = pull_study(hospital.study, server, out, links="mrn")
        assert (bad.complete, bad.out) == (False, beside)
        assert (out / "manifest.json").read_text() == before
        assert json.loads((beside / "manifest.json").read_text())["complete"] is False
    assert pull_study(hospital.study, server, out, **some).out is None
