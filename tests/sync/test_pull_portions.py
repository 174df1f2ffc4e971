"""What a pull keeps while it goes on: what is gone on with, what is begun anew, and what is asked for once more."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from ward import Hospital

from fhir_ivig.fhir.client import Client
from fhir_ivig.issue import IssueError
from fhir_ivig.sync import instants, manifest
from fhir_ivig.sync.portions import Portions, kept
from fhir_ivig.sync.pull import Search, pull
from fhir_ivig.sync.pull_study import pull_study
from fhir_ivig.sync.source import Origin

Start = Callable[[list[dict[str, Any]]], Any]
ABOUT = {"source": "https://one.example/fhir", "request": "4711"}
NOON, DATE = "2031-05-06T12:00:00+00:00", "Tue, 06 May 2031 12:00:00 GMT"
BUSY = {"status": 503, "headers": {"Retry-After": 9999}}
GONE = {"status": 410, "body": '{"resourceType":"OperationOutcome","issue":[]}'}


def page(*resources: str, total: int | None = None, follow: str | None = None) -> dict[str, Any]:
    entries = ",".join(f'{{"resource":{resource}}}' for resource in resources)
    link = "" if follow is None else f'"link":[{{"relation":"next","url":"{follow}"}}],'
    total = len(resources) if total is None else total
    return {"body": f'{{"resourceType":"Bundle","type":"searchset","total":{total},{link}"entry":[{entries}]}}'}


def resource(kind: str, name: str, **more: Any) -> str:
    return json.dumps({"resourceType": kind, "id": name, **more})


P1, P2 = resource("Patient", "p1"), resource("Patient", "p2")


@pytest.mark.parametrize(
    ("about", "now", "why"),
    [
        (ABOUT, NOON, ""),
        (ABOUT, "2031-05-07T11:59:00+00:00", ""),
        (ABOUT, "2031-05-07T12:00:01+00:00", "it began at 2031-05-06T12:00:00+00:00, and at the server it is"),
        (ABOUT, "2031-05-06T11:59:59+00:00", "it began at"),
        (ABOUT, None, "does not tell its time"),
        (
            {**ABOUT, "source": "https://two.example/fhir"},
            NOON,
            "its source is https://one.example/fhir, expected",
        ),
        ({**ABOUT, "request": "0815"}, NOON, "its request is 4711, expected 0815"),
        ({**ABOUT, "server": "HAPI 9"}, NOON, "its server is None, expected HAPI 9"),
    ],
)
def test_what_is_gone_on_with(about: dict[str, str], now: str | None, why: str, tmp_path: Path) -> None:
    with kept(tmp_path / "out.pull") as first:
        first.begin(ABOUT, NOON)
        with first.writing(1, "Patient", {}) as writing:
            writing.add(P1.encode())
    with kept(tmp_path / "out.pull") as again:
        again.begin(about, now)
        said = " ".join(issue.text for issue in again.issues)
        assert (why in said) if why else not said
        assert (again.find(1, "Patient", {}) is None) == bool(why)
        assert again.begun == (now if why else NOON)
        again.finish()
    assert not list(tmp_path.iterdir())


def test_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out.pull").mkdir()
    (tmp_path / "out.pull/thesis.docx").write_text("years of work")
    with pytest.raises(IssueError, match="Something else"), kept(tmp_path / "out.pull") as found:
        found.begin(ABOUT, NOON)
    assert (tmp_path / "out.pull/thesis.docx").read_text() == "years of work"


def test_a_portion_that_has_not_ended_is_none(tmp_path: Path) -> None:
    found = Portions(tmp_path)
    with suppress(KeyError), found.writing(1, "Patient", {}) as writing:
        writing.add(P1.encode())
        raise KeyError
    assert list(tmp_path.iterdir())
    assert found.find(1, "Patient", {}) is None


@pytest.mark.parametrize("left", ["", "i", "m", "whole", "cut", "end", "hole", "line"])
def test_of_a_torn_portion_nothing_is_believed(left: str, tmp_path: Path) -> None:
    """What a machine that lost its power may leave of a file, and all that came."""
    found = Portions(tmp_path)
    with found.writing(1, "Patient", {}) as writing:
        writing.add(P1.encode())
        writing.add(P2.encode(), included=True)
    [path] = tmp_path.iterdir()
    whole = path.read_bytes()
    torn = {
        "whole": whole,
        "cut": whole[:-9],
        "end": whole[: whole.rindex(b"\ne") + 1],
        "hole": whole.replace(P1.encode(), bytes(len(P1))),
        "line": whole[whole.index(b"\n") + 1 :],
    }
    path.write_bytes(torn.get(left, left.encode()))
    again = found.find(1, "Patient", {})
    assert [line for line, _ in again.lines()] == [P1.encode(), P2.encode()] if again else left != "whole"


def test_names_of_files_name_nobody(tmp_path: Path) -> None:
    found = Portions(tmp_path)
    with found.writing(1, "Patient", {"identifier": "urn:mrn|4711"}):
        pass
    assert not any("4711" in path.name for path in tmp_path.iterdir())
    assert found.find(1, "Patient", {"identifier": "urn:mrn|4711"})
    assert not found.find(1, "Patient", {"identifier": "urn:mrn|4712"})


def test_a_lost_server_leaves_what_came(scripted: Start, tmp_path: Path) -> None:
    """The next pull asks only for what is missing; its server time is the first one's."""
    server = scripted([page(P1), page(), BUSY, page(resource("Procedure", "c"))])
    searches = [Search("Patient"), Search("Observation", {}, "subject"), Search("Procedure", {}, "subject")]
    for asked, begun in ((3, NOON), (4, NOON)):
        with kept(tmp_path / "out.pull") as found:
            found.begin(ABOUT, NOON if asked == 3 else "2031-05-06T13:00:00+00:00")
            pulled = pull(Client(server.base), searches, tmp_path / "out", portions=found)
        assert len(server.requests) == asked
        assert (pulled.broken_off, pulled.complete) == (asked == 3, asked == 4)
        assert found.begun == begun
    assert (pulled.received, pulled.server_time) == ({"Patient": 1, "Procedure": 1}, "2031-05-06T12:00:00Z")


def test_a_forgotten_next_link_is_asked_for_once_more(scripted: Start, tmp_path: Path) -> None:
    server = scripted([page(P1, total=2, follow="{base}?p=1"), GONE, page(P1, P2)])
    pulled = pull(server.base, [Search("Patient")], tmp_path / "out")
    assert (pulled.complete, pulled.received, pulled.duplicates) == (True, {"Patient": 2}, 0)
    assert [path for _, path, _, _ in server.requests] == [
        "/fhir/Patient/_search",
        "/fhir?p=1",
        "/fhir/Patient/_search",
    ]


def test_links_forgotten_again_and_again(scripted: Start, tmp_path: Path) -> None:
    """Then fewer Patients are asked for at a time; at last it is said."""
    first = [page(P1, total=2, follow="{base}?p=1"), GONE]
    pulled = pull(scripted(first * 2).base, [Search("Patient")], tmp_path / "out")
    assert [issue.code for issue in pulled.issues] == ["incomplete"]
    assert "next links of Patient no more" in pulled.issues[0].text
    rows = [resource("Observation", name) for name in "rs"]
    lost = [page(rows[0], total=2, follow="{base}?p=1"), GONE]
    server = scripted([page(P1, P2), *lost, *lost, page(rows[0]), page(rows[1])])
    pulled = pull(server.base, [Search("Patient"), Search("Observation", {}, "subject")], tmp_path / "halves")
    assert (pulled.complete, pulled.received["Observation"], pulled.duplicates) == (True, 2, 1)


@pytest.mark.parametrize(("others", "asked"), [(0, False), (3, True)])
def test_codes_are_asked_for_where_there_are_others(
    others: int, asked: bool, scripted: Start, tmp_path: Path
) -> None:
    coded = resource("Observation", "o", code={"coding": [{"system": "s", "code": "c"}]})
    server = scripted([page(P1), page(total=others), page(coded, *([] if asked else [resource("Observation", "x")]))])
    pulled = pull(
        server.base, [Search("Patient"), Search("Observation", {"code": "s|c"}, "subject")], tmp_path / "out"
    )
    bodies = [body for _, _, _, body in server.requests]
    assert (b"code%3Anot=s%7Cc" in bodies[1], b"_summary=count" in bodies[1]) == (True, True)
    assert (b"code=s%7Cc" in bodies[2]) == asked
    assert (pulled.complete, pulled.received["Observation"], pulled.expected["Observation"]) == (True, 1, 1)


@pytest.mark.parametrize(
    ("many", "count", "groups"),
    [
        (10, 3000, [5] * 2),
        (10, 500, [7, 3]),
        (10, 0, []),
        (10, None, [5, 5]),
        (30, 500, [7, 7, 7, 7, 2]),
        (30, 0, [30]),  # the others may have what the first have not
    ],
)
def test_as_many_patients_as_fill_a_page(
    many: int, count: int | None, groups: list[int], scripted: Start, tmp_path: Path
) -> None:
    patients = page(*(resource("Patient", f"p{number}") for number in range(many)))
    told = GONE if count is None else page(total=count)
    server = scripted([patients, told, page()])
    searches = [Search("Patient"), Search("Observation", {}, "subject")]
    assert pull(Client(server.base), searches, tmp_path / "out", server=Origin(page=500, connections=2)).complete
    asked = [body.count(b"Patient%2Fp") for _, _, _, body in server.requests]
    assert (asked[1], sorted(asked[2:], reverse=True)) == (10, groups)  # over two connections


def test_files_do_not_depend_on_who_answers_first(server: str, tmp_path: Path) -> None:
    hospital = Hospital(server, tmp_path / "study")
    names = [f"p{number}" for number in range(23)]
    hospital.put(*(hospital.patient(name, name) for name in names))
    hospital.put(*(hospital.ck(f"{name}r{n}", name, "2024-03-01", n) for name in names for n in range(5)))
    system = hospital.study.parameters["mrn_system"]
    searches = [
        Search("Patient", {"identifier": ",".join(f"{system}|{name}" for name in names)}),
        Search("Observation", {}, "subject"),
    ]
    found = []
    for number in range(3):
        out = tmp_path / f"out{number}"
        assert pull(Client(server), searches, out, server=Origin(page=7, connections=4)).complete
        found.append({path.name: path.read_bytes() for path in out.glob("*.ndjson")})
    assert found[0] == found[1] == found[2]
    assert found[0]["Observation.ndjson"].count(b"\n") == 115


@pytest.mark.parametrize("years", [-30, 30])
def test_only_the_server_s_clock_counts(
    years: int, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours jumps by years between a pull and the next: what is asked for, and got, is the same."""
    hospital = Hospital(server, tmp_path / "study")
    hospital.put(hospital.patient("a", "4711"), hospital.ck("r", "a", "2024-03-01", 5))
    some: dict[str, Any] = {"links": "mrn", "subjects": ["S-01"]}
    assert pull_study(hospital.study, server, tmp_path / "out", **some).complete
    before = json.loads((tmp_path / "out/manifest.json").read_text())["server_time"]
    hospital.put(hospital.ck("s", "a", "2024-03-25", 6))

    class Jumped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            now = super().now(tz)
            return now.replace(year=now.year + years, day=1)

    for module in (instants, manifest):
        monkeypatch.setattr(module, "datetime", Jumped)
    again = pull_study(hospital.study, server, tmp_path / "out", since_last=True, **some)
    assert (again.complete, again.rows["assessments"]) == (True, 2)
    after = json.loads((tmp_path / "out/manifest.json").read_text())
    assert before <= after["server_time"]
    assert after["server_time"][:4] == before[:4] != after["time"][:4]
