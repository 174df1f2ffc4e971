"""Sending twice is sending once: to a real server, to a folder, to odd servers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
from sent import send

from fhir_ivig.fhir.bundle import head
from fhir_ivig.fhir.client import Client
from fhir_ivig.issue import IssueError
from fhir_ivig.sync.sending import Pushed
from fhir_ivig.sync.waves import waves

STUDY = "https://example.org/studies/push"


def write(folder: Path, resource_type: str, lines: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{resource_type}.ndjson").write_text("".join(line + "\n" for line in lines))


def observation(key: str, patient: str, value: str, unit: str = "U/L") -> str:
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"{STUDY}/{patient}/{key}")
    return (
        f'{{"resourceType":"Observation","id":"{name}","identifier":[{{"system":"{STUDY}/ck","value":"{key}"}}],'
        f'"status":"final","code":{{"text":"CK é"}},"subject":{{"reference":"Patient/{patient}"}},'
        f'"effectiveDateTime":"2003-05","valueQuantity":{{"value":{value},"unit":"{unit}"}}}}'
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three Patients with forty Observations each, all ids new."""
    names = [str(uuid.uuid4()) for _ in range(3)]
    patients = [f'{{"resourceType":"Patient","id":"{name}","birthDate":"1957-03"}}' for name in names]
    write(tmp_path / "source", "Patient", patients)
    values = [observation(f"w{week}", name, f"{week}.25") for name in names for week in range(40)]
    write(tmp_path / "source", "Observation", values)
    return tmp_path / "source"


def counts(pushed: Pushed) -> tuple[int, ...]:
    return astuple(pushed)[:4]


def versions(server: str, source: Path) -> dict[str, str]:
    found = {}
    for file in source.glob("*.ndjson"):
        ids = [head(line).id or "" for line in file.read_bytes().splitlines()]
        for page in Client(server).search(file.stem, {"_id": ",".join(ids), "_count": "500"}):
            for line in page.matches:
                found[head(line).ref] = json.loads(line)["meta"]["versionId"]
    return found


def test_twice_is_once(server: str, source: Path) -> None:
    told: list[tuple[str, int, int]] = []
    first = send(source, server, progress=lambda *news: told.append(news))
    assert counts(first) == (123, 0, 0, 0)
    assert first.issues == []
    assert told == [
        ("Patient", 3, 123),
        ("Observation", 53, 123),
        ("Observation", 103, 123),
        ("Observation", 123, 123),
    ]
    before = versions(server, source)
    assert len(before) == 123
    assert set(before.values()) == {"1"}
    second = send(source, server)
    assert counts(second) == (0, 0, 123, 0)
    assert second.issues == []
    assert versions(server, source) == before


def test_only_what_changed_is_sent(server: str, source: Path) -> None:
    send(source, server)
    file = source / "Observation.ndjson"
    file.write_text(file.read_text().replace('"value":7.25', '"value":7.75', 1))
    assert counts(send(source, server)) == (0, 1, 122, 0)
    assert sorted(versions(server, source).values()) == ["1"] * 122 + ["2"]


def test_digits_that_the_server_forgets(server: str, source: Path) -> None:
    patient = head((source / "Patient.ndjson").read_bytes().splitlines()[0]).id or ""
    write(source, "Observation", [observation(f"d{n}", patient, "10.50") for n in range(3)])
    first = send(source, server)
    assert counts(first) == (6, 0, 0, 0)
    assert [(issue.severity, issue.code, issue.row) for issue in first.issues] == [("warning", "value", 1)]
    second = send(source, server)
    assert counts(second) == (0, 0, 6, 0)
    assert [(issue.severity, issue.code) for issue in second.issues] == [("warning", "value")]
    assert set(versions(server, source).values()) == {"1"}


def test_what_the_server_refuses_has_its_place_and_the_rest_goes_on(server: str, source: Path) -> None:
    patient = head((source / "Patient.ndjson").read_bytes().splitlines()[0]).id or ""
    lines = [observation("a", patient, "1"), observation("b", patient, '"much"'), observation("c", patient, "3")]
    write(source, "Observation", lines)
    pushed = send(source, server)
    assert counts(pushed) == (5, 0, 0, 1)
    (issue,) = pushed.issues
    assert (Path(issue.file or "").name, issue.row, issue.severity) == ("Observation.ndjson", 2, "error")
    assert "Decimal" in issue.text
    assert counts(send(source, server)) == (0, 0, 5, 1)


def test_what_cannot_be_sent(server: str, source: Path) -> None:
    patient = head((source / "Patient.ndjson").read_bytes().splitlines()[0]).id or ""
    twice = observation("a", patient, "1")
    lines = [twice, "{}", '{"resourceType":"Observation"}', "{", twice, observation("b", patient, "2"), twice]
    lines.append('{"resourceType":"Observation","id":"../Patient"}')
    write(source, "Observation", lines)
    pushed = send(source, server)
    assert counts(pushed) == (4, 0, 0, 7)
    found = sorted((issue.row, issue.code) for issue in pushed.issues)
    assert found == [
        (2, "structure"),
        (3, "structure"),
        (4, "structure"),
        (5, "duplicate"),
        (7, "duplicate"),
        (8, "structure"),
    ]


def test_an_empty_or_missing_source(tmp_path: Path) -> None:
    pushed = send(tmp_path / "none", tmp_path / "out")
    assert counts(pushed) == (0, 0, 0, 0)
    assert [issue.code for issue in pushed.issues] == ["not-found"]
    assert not (tmp_path / "out").exists()


def test_to_a_folder(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert counts(send(source, out)) == (123, 0, 0, 0)
    for name in ("Patient.ndjson", "Observation.ndjson"):
        assert (out / name).read_bytes() == (source / name).read_bytes()
        assert (out / name).stat().st_mode & 0o777 == 0o600
    assert out.stat().st_mode & 0o777 == 0o700
    inode = (out / "Observation.ndjson").stat().st_ino
    assert counts(send(source, out)) == (0, 0, 123, 0)
    assert (out / "Observation.ndjson").stat().st_ino == inode


def test_a_folder_is_merged_and_keeps_digits(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    send(source, out)
    lines = (source / "Observation.ndjson").read_text().splitlines()
    lines[3] = lines[3].replace('"value":3.25', '"value":3.250')
    patient = head((source / "Patient.ndjson").read_bytes().splitlines()[0]).id or ""
    write(source, "Observation", [observation("new", patient, "1.50"), lines[3], lines[50]])
    pushed = send(source, out)
    # Nothing in the folder shows a trailing zero, so 3.250 may be what the folder was told: it says so and leaves it.
    assert counts(pushed) == (1, 0, 5, 0)
    held = (out / "Observation.ndjson").read_text().splitlines()
    assert len(held) == 121
    assert held[120] == observation("new", patient, "1.50")
    # Now one does: the folder keeps digits, so the difference is a change.
    assert counts(send(source, out)) == (0, 1, 5, 0)
    assert (out / "Observation.ndjson").read_text().splitlines()[3] == lines[3]
    assert {file.name for file in out.iterdir()} == {"Patient.ndjson", "Observation.ndjson"}


def test_a_folder_that_cannot_be_written(source: Path) -> None:
    pushed = send(source, source / "Patient.ndjson" / "out")
    assert counts(pushed) == (0, 0, 0, 123)
    assert [issue.code for issue in pushed.issues] == ["no-store", "incomplete"]


def test_a_folder_that_is_broken_is_left_alone(source: Path, tmp_path: Path) -> None:
    write(tmp_path / "out", "Patient", ["not json"])
    with pytest.raises(IssueError, match="left as it is"):
        send(source, tmp_path / "out")
    assert (tmp_path / "out" / "Patient.ndjson").read_text() == "not json\n"


def searchset(*resources: str, total: bool = True) -> dict[str, str]:
    entries = ",".join(f'{{"resource":{resource}}}' for resource in resources)
    counted = f'"total":{len(resources)},' if total else ""
    return {"body": f'{{"resourceType":"Bundle","type":"searchset",{counted}"entry":[{entries}]}}'}


def answered(*statuses: str) -> dict[str, str]:
    entries = ",".join(f'{{"response":{{"status":"{status}"}}}}' for status in statuses)
    return {"body": f'{{"resourceType":"Bundle","type":"batch-response","entry":[{entries}]}}'}


REFUSED = {"status": 400, "body": '{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"value"}]}'}
A, B, C = (f'{{"resourceType":"Patient","id":"{name}","gender":"other"}}' for name in "abc")
Start = Callable[[list[dict[str, Any]]], Any]


@pytest.fixture
def abc(tmp_path: Path) -> Path:
    write(tmp_path / "source", "Patient", [A, B, C])
    return tmp_path / "source"


def test_a_batch_refused_whole_is_halved(scripted: Start, abc: Path) -> None:
    # a alone is stored; b and c together are refused, then b alone is, then c is stored.
    script = [searchset(), REFUSED, answered("201"), searchset(A), REFUSED, REFUSED, answered("201"), searchset(C)]
    pushed = send(abc, scripted(script).base)
    assert counts(pushed) == (2, 0, 0, 1)
    assert {issue.row for issue in pushed.issues} == {2}


def test_a_server_that_takes_no_total_is_asked_without(scripted: Start, abc: Path) -> None:
    server = scripted([REFUSED, searchset(), answered("201", "201", "201"), searchset(A, B, C)])
    assert counts(send(abc, server.base)) == (3, 0, 0, 0)
    searches = [body for _, path, _, body in server.requests if path.endswith("_search")]
    assert [b"_total=accurate" in body for body in searches] == [True, False, False]


def test_who_does_not_say_how_many_may_have_more(scripted: Start, abc: Path) -> None:
    # Asked for what it need not keep, it may give less than there is; then it is asked as everybody is.
    short, whole = searchset(A, total=False), searchset(A, B, C, total=False)
    server = scripted([short, whole])
    assert counts(send(abc, server.base)) == (0, 0, 3, 0)
    cached = [headers["Cache-Control"] for _, _, headers, _ in server.requests]
    assert cached == ["no-store, max-results=3", "no-cache"]


def test_an_answer_too_few_fails_the_batch_only(scripted: Start, abc: Path) -> None:
    pushed = send(abc, scripted([searchset(), answered("201"), answered("201"), searchset(C)]).base, entries=2)
    assert counts(pushed) == (1, 0, 0, 2)
    assert [(issue.code, issue.row) for issue in pushed.issues] == [("incomplete", 1), ("incomplete", 2)]


def test_stored_is_read_back(scripted: Start, abc: Path) -> None:
    script = [searchset(), answered("201", "201", "201"), searchset(A, B.replace("other", "male"))]
    pushed = send(abc, scripted(script).base)
    assert counts(pushed) == (1, 0, 0, 2)
    assert [(issue.code, issue.row, issue.path) for issue in pushed.issues] == [
        ("processing", 2, "Patient.gender"),
        ("incomplete", 3, None),
    ]


def test_a_server_lost_on_the_way(scripted: Start, abc: Path) -> None:
    script = [searchset(), answered("201"), searchset(A), {"status": 401}]
    pushed = send(abc, scripted(script).base, entries=1)
    assert counts(pushed) == (1, 0, 0, 2)
    assert [issue.code for issue in pushed.issues] == ["security", "incomplete"]


def test_batches_keep_their_size_and_the_bytes(scripted: Start, abc: Path) -> None:
    server = scripted(
        [searchset(), answered("201"), searchset(A), answered("201"), searchset(B), answered("201"), searchset(C)]
    )
    assert counts(send(abc, server.base, size=len(A))) == (3, 0, 0, 0)
    bodies = [body for method, path, _, body in server.requests if path == "/fhir"]
    assert [json.loads(body)["entry"][0]["request"]["url"] for body in bodies] == [
        "Patient/a",
        "Patient/b",
        "Patient/c",
    ]
    assert all(text.encode() in body for text, body in zip((A, B, C), bodies, strict=True))


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ({"Observation": {"Patient"}, "Patient": set(), "Basic": set()}, [["Patient", "Basic"], ["Observation"]]),
        ({"Observation": {"Observation", "Device"}}, [["Observation"]]),
        ({"A": {"B"}, "B": {"A"}, "C": {"B"}}, [["A"], ["B"], ["C"]]),
        (
            {"ResearchSubject": {"Patient", "ResearchStudy"}, "ResearchStudy": set(), "Patient": set(),
             "AdverseEvent": {"Procedure"}, "Procedure": {"Patient"}},
            [["ResearchStudy", "Patient"], ["ResearchSubject", "Procedure"], ["AdverseEvent"]],
        ),
        ({}, []),
    ],
)  # fmt: skip
def test_waves(needs: dict[str, set[str]], expected: list[list[str]]) -> None:
    assert waves(needs) == expected
