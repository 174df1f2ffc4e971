"""Pulling from odd servers: what they leave out, repeat or never end is seen and said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fhir_ivig.fhir.client import Client
from fhir_ivig.sync.pull import Search, pull

Start = Callable[[list[dict[str, Any]]], Any]


def page(*resources: str, total: int | None = None, mode: str = "match", follow: str | None = None) -> dict[str, str]:
    """A page; its total is the number of its resources that match, unless said otherwise (-1: none)."""
    entries = ",".join(f'{{"resource":{resource},"search":{{"mode":"{mode}"}}}}' for resource in resources)
    total = (len(resources) if mode == "match" else 0) if total is None else total
    said = "" if total < 0 else f'"total":{total},'
    said += "" if follow is None else f'"link":[{{"relation":"next","url":"{follow}"}}],'
    return {"body": f'{{"resourceType":"Bundle","type":"searchset",{said}"entry":[{entries}]}}'}


P1, P2 = (f'{{"resourceType":"Patient","id":"p{number}","value":10.50}}' for number in (1, 2))


def test_fewer_than_the_total_is_not_complete(scripted: Start, tmp_path: Path) -> None:
    pulled = pull(scripted([page(P1, P1, total=2)]).base, [Search("Patient")], tmp_path / "out")
    assert (pulled.received, pulled.expected, pulled.duplicates) == ({"Patient": 1}, {"Patient": 2}, 1)
    assert [issue.code for issue in pulled.issues] == ["incomplete"]
    assert pulled.failed == ["Patient"]
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert (manifest["complete"], manifest["expected"], manifest["failed"]) == (False, {"Patient": 2}, ["Patient"])


def test_as_received(scripted: Start, tmp_path: Path) -> None:
    spread = P2.replace(",", " ,\n ")
    pulled = pull(scripted([page(P1, spread)]).base, [Search("Patient")], tmp_path / "out")
    assert pulled.complete
    assert (tmp_path / "out" / "Patient.ndjson").read_text() == f"{P1}\n{P2}\n"


def test_equal_ids_with_other_content_are_kept(scripted: Start, tmp_path: Path) -> None:
    other = P1.replace("10.50", "10.5")
    pulled = pull(scripted([page(P1, other, P1, total=2)]).base, [Search("Patient")], tmp_path / "out")
    assert pulled.complete
    assert (pulled.received["Patient"], pulled.duplicates) == (2, 1)
    assert [(issue.code, issue.file, issue.row) for issue in pulled.issues] == [("duplicate", "Patient.ndjson", 2)]


def test_included_resources_are_not_the_cohort(scripted: Start, tmp_path: Path) -> None:
    body = page(P1)["body"].replace("]}", f',{{"resource":{P2},"search":{{"mode":"include"}}}}]}}')
    server = scripted([{"body": body}, page()])
    pulled = pull(server.base, [Search("Observation", {}, "subject"), Search("Patient")], tmp_path / "out")
    assert pulled.received == {"Patient": 2}
    assert server.requests[1][3].endswith(b"subject=Patient%2Fp1")


def test_the_cohort_may_come_by_way_of_research_subjects(scripted: Start, tmp_path: Path) -> None:
    server = scripted([page(P1, mode="include"), page()])
    searches = [
        Search("ResearchSubject", {"_include": "ResearchSubject:individual"}),
        Search("Observation", {}, "patient"),
    ]
    assert pull(server.base, searches, tmp_path / "out").complete
    assert server.requests[1][3].endswith(b"patient=Patient%2Fp1")


def test_names_from_a_server_do_not_name_files(scripted: Start, tmp_path: Path) -> None:
    strange = '{"resourceType":"../../x","id":"1"}'
    device = '{"resourceType":"Device","id":"1"}'
    pulled = pull(scripted([page(strange, device)]).base, [Search("Patient")], tmp_path / "out")
    assert not pulled.complete
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"manifest.json"}


def test_a_lost_server_ends_the_pull(scripted: Start, tmp_path: Path) -> None:
    busy = {"status": 503, "headers": {"Retry-After": 9999}}
    server = scripted([page(P1), busy])
    searches = [Search("Patient"), Search("Observation", {}, "subject"), Search("Procedure", {}, "subject")]
    pulled = pull(Client(server.base), searches, tmp_path / "out")
    assert not pulled.complete
    assert len(server.requests) == 2
    assert pulled.received == {"Patient": 1}


def test_patients_are_given_in_groups(scripted: Start, tmp_path: Path) -> None:
    server = scripted([page(*(P1.replace("p1", f"n{number}") for number in range(120))), page()])
    pull(server.base, [Search("Patient"), Search("Observation", {}, "subject")], tmp_path / "out")
    assert [body.count(b"Patient%2Fn") for _, _, _, body in server.requests] == [0, 50, 50, 20]


def said(pulled: Any) -> list[tuple[str, str]]:
    return [(issue.severity, issue.code) for issue in pulled.issues]


def refused() -> dict[str, Any]:
    return {"status": 400, "body": '{"resourceType":"OperationOutcome","issue":[]}'}


def test_a_server_that_refuses_to_count_is_asked_without(scripted: Start, tmp_path: Path) -> None:
    server = scripted([refused(), page(P1, total=-1), page(total=1), page(P2, total=-1), page(total=1)])
    pulled = pull(server.base, [Search("Patient"), Search("Patient", {"x": "y"})], tmp_path / "out")
    bodies = [body for _, _, _, body in server.requests]
    assert [(b"_total=accurate" in body, b"_summary=count" in body) for body in bodies] == [
        (True, False), (False, False), (False, True), (False, False), (False, True),
    ]  # fmt: skip
    assert pulled.expected == {"Patient": 2}
    assert said(pulled) == []


def test_the_count_is_asked_for_where_no_total_is_said(scripted: Start, tmp_path: Path) -> None:
    pulled = pull(scripted([page(P1, total=-1), page(total=2)]).base, [Search("Patient")], tmp_path / "out")
    assert said(pulled) == [("error", "incomplete")]
    assert "said 2 Patient and gave 1" in pulled.issues[0].text


@pytest.mark.parametrize("count", [refused(), page(P1, total=-1)], ids=["refused", "no-total"])
def test_neither_total_nor_count_is_said_once(count: dict[str, Any], scripted: Start, tmp_path: Path) -> None:
    server = scripted([page(P1, total=-1), count, page(P2, total=-1)])
    pulled = pull(server.base, [Search("Patient"), Search("Patient")], tmp_path / "out")
    assert (said(pulled), pulled.expected) == ([("warning", "incomplete")], {})
    assert len(server.requests) == 3


def test_no_next_link_though_there_is_more(scripted: Start, tmp_path: Path) -> None:
    """As a server that cannot page does: the Patients are asked for in halves, and what is short then is said."""
    patients = [P1.replace("p1", name) for name in "abcd"]
    rows = [P1.replace("Patient", "Observation").replace("p1", name) for name in "rstuv"]
    server = scripted(
        [
            page(*patients),
            page(*rows[:2], total=5),
            page(*rows[:2]),
            page(rows[2], total=3),
            page(rows[2]),
            page(rows[3], total=2),
        ]
    )
    pulled = pull(server.base, [Search("Patient"), Search("Observation", {}, "subject")], tmp_path / "out")
    asked = [body.partition(b"subject=")[2].count(b"Patient") for _, _, _, body in server.requests]
    assert asked == [0, 4, 2, 2, 1, 1]
    assert (pulled.received["Observation"], pulled.expected["Observation"]) == (4, 5)
    assert said(pulled) == [("error", "incomplete")]


@pytest.mark.parametrize(
    ("total", "why"), [(-1, "without bringing anything new"), (1, "beyond the 1 that it promised")]
)
def test_pages_without_end(total: int, why: str, scripted: Start, tmp_path: Path) -> None:
    again = [
        page(P1 if total < 0 else P1.replace("p1", f"n{n}"), total=total, follow=f"{{base}}?p={n}") for n in range(9)
    ]
    server = scripted(again)
    pulled = pull(server.base, [Search("Patient")], tmp_path / "out")
    assert said(pulled) == [("error", "incomplete")]
    assert why in pulled.issues[0].text
    assert len(server.requests) == 2


def test_a_repeated_last_page_is_no_harm(scripted: Start, tmp_path: Path) -> None:
    server = scripted([page(P1, total=-1, follow="{base}?p=1"), page(P1, total=-1), page(total=1)])
    pulled = pull(server.base, [Search("Patient")], tmp_path / "out")
    assert (said(pulled), pulled.received["Patient"], pulled.duplicates) == ([], 1, 1)


def test_no_patient_is_said_once(scripted: Start, tmp_path: Path) -> None:
    searches = [Search("Patient"), Search("Observation", {}, "subject"), Search("Procedure", {}, "subject")]
    pulled = pull(scripted([page()]).base, searches, tmp_path / "out")
    assert said(pulled) == [("error", "not-found")]
    assert "Observation, Procedure were not asked for" in pulled.issues[0].text


@pytest.mark.parametrize("element", ["individual", "subject"])
def test_patients_that_research_subjects_lead_to(element: str, scripted: Start, tmp_path: Path) -> None:
    member = f'{{"resourceType":"ResearchSubject","id":"r","{element}":{{"reference":"https://h/fhir/Patient/p1/_history/2"}}}}'
    server = scripted([page(member), page(P1), page()])
    searches = [Search("ResearchSubject", {"identifier": "urn:s|"}), Search("Observation", {}, "subject")]
    pulled = pull(server.base, searches, tmp_path / "out")
    assert [path for _, path, _, _ in server.requests][1:] == ["/fhir/Patient/_search", "/fhir/Observation/_search"]
    assert server.requests[1][3].endswith(b"_id=p1")
    assert pulled.complete


def test_the_manifest_names_nobody(scripted: Start, tmp_path: Path) -> None:
    searches = [
        Search("Patient", {"identifier": "urn:mrn|4711,urn:mrn|4712"}),
        Search("Patient", any_of="_id", values=["0815"]),
    ]
    pull(scripted([page(P1)]).base, searches, tmp_path / "out")
    text = (tmp_path / "out/manifest.json").read_text()
    assert not any(secret in text for secret in ("4711", "4712", "0815"))
    assert json.loads(text)["asked"][0]["parameters"] == {"identifier": "urn:mrn|"}
