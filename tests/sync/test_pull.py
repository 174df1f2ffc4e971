"""Pulling a cohort: from a real server, from a folder, from odd servers."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from sent import send

from fhir_ivig.issue import IssueError
from fhir_ivig.sync.pull import Search, pull

PATIENTS = 60  # more than one search takes


@pytest.fixture
def study(tmp_path: Path) -> tuple[Path, str]:
    """Patients with two Observations and an AdverseEvent each, under identifiers of their own; and a stranger."""
    base = f"https://example.org/studies/{uuid.uuid4()}"
    folder = tmp_path / "study"
    folder.mkdir()
    files: dict[str, list[str]] = {"Patient": [], "Observation": [], "AdverseEvent": []}
    for number in range(PATIENTS):
        patient, owner = str(uuid.uuid4()), base if number else "https://example.org/another"
        subject = f'"subject":{{"reference":"Patient/{patient}"}}'

        def identifier(kind: str, owner: str = owner, number: int = number) -> str:
            return f'{{"system":"{owner}/{kind}","value":"S{number}"}}'

        files["Patient"].append(
            f'{{"resourceType":"Patient","id":"{patient}","identifier":[{identifier("subject")}]}}'
        )
        files["Observation"] += [
            f'{{"resourceType":"Observation","id":"{uuid.uuid4()}","identifier":[{identifier(kind)}],"status":"final",'
            f'"code":{{"coding":[{{"system":"http://loinc.org","code":"2157-6"}}]}},{subject},'
            f'"valueQuantity":{{"value":{number}.25}}}}'
            for kind in ("ck", "mmt")
        ]
        files["AdverseEvent"].append(
            f'{{"resourceType":"AdverseEvent","id":"{uuid.uuid4()}","identifier":{identifier("ae")},'
            f'"actuality":"actual",{subject}}}'
        )
    for kind, lines in files.items():
        (folder / f"{kind}.ndjson").write_text("".join(line + "\n" for line in lines))
    return folder, base


def cohort(base: str) -> list[Search]:
    return [
        Search("Observation", {"identifier": f"{base}/ck|", "code": "http://loinc.org|2157-6"}, "subject"),
        Search("Patient", {"identifier": f"{base}/subject|"}),
        Search("AdverseEvent", {}, "subject"),
    ]


def test_from_a_server_and_from_a_folder(server: str, study: tuple[Path, str], tmp_path: Path) -> None:
    folder, base = study
    assert send(folder, server).created == 4 * PATIENTS
    for source, out in ((server, tmp_path / "a"), (folder, tmp_path / "b")):
        pulled = pull(source, cohort(base), out, filter_here=True)
        assert pulled.complete
        assert pulled.received == {"Patient": PATIENTS - 1, "Observation": PATIENTS - 1, "AdverseEvent": PATIENTS - 1}
        assert pulled.duplicates == 0
        assert out.stat().st_mode & 0o777 == 0o700
        assert {file.name: file.stat().st_mode & 0o777 for file in out.iterdir()} == dict.fromkeys(
            ["Patient.ndjson", "Observation.ndjson", "AdverseEvent.ndjson", "manifest.json"], 0o600
        )
        manifest = json.loads((out / "manifest.json").read_text())
        assert manifest["complete"] is True
        assert manifest["received"] == pulled.received
    assert manifest["expected"] == {}
    ids = [{json.loads(line)["id"] for line in (tmp_path / out / "AdverseEvent.ndjson").open()} for out in "ab"]
    assert ids[0] == ids[1]
    assert (tmp_path / "b" / "Patient.ndjson").read_text() == "".join(
        (folder / "Patient.ndjson").read_text().splitlines(keepends=True)[1:]
    )


def test_a_search_the_server_does_not_know(server: str, study: tuple[Path, str], tmp_path: Path) -> None:
    folder, base = study
    send(folder, server)
    pulled = pull(server, cohort(base), tmp_path / "out")
    assert not pulled.complete
    assert "AdverseEvent" not in pulled.received
    assert pulled.received["Observation"] == pulled.expected["Observation"] == PATIENTS - 1
    assert "Unknown search parameter 'subject' for AdverseEvent" in str(IssueError(*pulled.issues))


def test_nobody_found(server: str, tmp_path: Path) -> None:
    pulled = pull(server, cohort("https://example.org/nobody"), tmp_path / "out")
    assert not pulled.complete
    assert {issue.code for issue in pulled.issues} == {"not-found"}
    assert json.loads((tmp_path / "out/manifest.json").read_text())["complete"] is False


def test_an_earlier_pull_is_replaced_whole(study: tuple[Path, str], tmp_path: Path) -> None:
    folder, base = study
    pull(folder, cohort(base), tmp_path / "out")
    pull(folder, cohort(base)[1:2], tmp_path / "out")
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"Patient.ndjson", "manifest.json"}
    assert not list(tmp_path.glob(".*"))


def test_something_else_is_not_overwritten(study: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.docx").write_text("years of work")
    with pytest.raises(IssueError, match="omething else"):
        pull(study[0], cohort(study[1]), tmp_path / "out")
    assert (tmp_path / "out" / "thesis.docx").read_text() == "years of work"


def test_a_folder_that_cannot_be_written(study: tuple[Path, str]) -> None:
    with pytest.raises(IssueError, match="annot write"):
        pull(study[0], cohort(study[1]), study[0] / "Patient.ndjson" / "out")


def test_a_folder_cannot_be_searched_by_everything(study: tuple[Path, str], tmp_path: Path) -> None:
    pulled = pull(study[0], [Search("Patient", {"name": "Smith"})], tmp_path / "out")
    assert not pulled.complete
    assert "name" in pulled.issues[0].text


def test_bad_lines_of_a_folder_are_said_once(study: tuple[Path, str], tmp_path: Path) -> None:
    (study[0] / "Zoo.ndjson").write_text('{"resourceType":"Zoo"}\n{"a":\n')
    pulled = pull(study[0], cohort(study[1]), tmp_path / "out")
    assert [(Path(issue.file or "").name, issue.row) for issue in pulled.issues] == [("Zoo.ndjson", 2)]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"_id": "o1"}, "o1"),
        ({"_id": "o1,o2"}, "o1 o2"),
        ({"code": "http://loinc.org|2157-6"}, "o1 o2"),
        ({"code": "2157-6"}, "o1 o2"),
        ({"code": "http://snomed.info/sct|2157-6"}, ""),
        ({"code": "http://loinc.org|"}, "o1 o2"),
        ({"code": "|local"}, "o3"),
        ({"code": "local,2157-6"}, "o1 o2 o3"),
        ({"identifier": "urn:s|a,urn:s|b"}, "o1 o2"),
        ({"identifier": "urn:s|"}, "o1 o2"),
        ({"identifier": r"urn:t|x\,y\|z"}, "o3"),
        ({"category": "laboratory"}, "o1"),
        ({"code": ["2157-6", "http://loinc.org|"], "_count": "5"}, "o1 o2"),
        ({"status": "final", "subject": "Patient/p2,Patient/p3"}, "o2 o3"),
        ({"patient": "Patient/p1"}, "o1"),
    ],
)
def test_filters_of_a_folder(params: dict[str, Any], found: str, tmp_path: Path) -> None:
    lines = [
        '{"resourceType":"Observation","id":"o1","status":"final","identifier":[{"system":"urn:s","value":"a"}],'
        '"category":[{"coding":[{"code":"laboratory"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"2157-6"}]},'
        '"subject":{"reference":"Patient/p1"}}',
        '{"resourceType":"Observation","id":"o2","status":"final","identifier":[{"system":"urn:s","value":"b"}],'
        '"code":{"coding":[{"system":"x","code":"y"},{"system":"http://loinc.org","code":"2157-6"}]},'
        '"subject":{"reference":"https://h.example/fhir/Patient/p2"}}',
        '{"resourceType":"Observation","id":"o3","status":"final","identifier":[{"system":"urn:t","value":"x,y|z"}],'
        '"code":{"coding":[{"code":"local"}]},"subject":{"reference":"Patient/p3"}}',
        '{"resourceType":"Observation","id":"o4","code":5,"identifier":"odd","subject":"Patient/p4"}',
        '{"resourceType":"Observation","id":"o5","code":{"coding":[{"system":["http://loinc.org"],"code":{"a":1}}]}}',
    ]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "Observation.ndjson").write_text("\n".join(lines))
    pulled = pull(tmp_path / "in", [Search("Observation", params)], tmp_path / "out")
    assert pulled.issues == []
    file = tmp_path / "out" / "Observation.ndjson"
    assert [json.loads(line)["id"] for line in file.open()] if found else not file.exists()
    assert not found or [json.loads(line)["id"] for line in file.open()] == found.split()
