"""A hospital's own results become rows of the study: subjects through links, visits and courses by days."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ward import Hospital

from fhir_ivig.fhir.lines import Block
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.sync import receiving
from fhir_ivig.sync.links import read_links
from fhir_ivig.sync.pull_study import pull_study
from fhir_ivig.sync.tabulate import Tabulating


@pytest.fixture
def hospital(server: str, tmp_path: Path) -> Hospital:
    return Hospital(server, tmp_path / "study")


def rows(out: Path, table: str, *columns: str) -> list[tuple[str, ...]]:
    with (out / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return [tuple(row[name] for name in columns) for row in csv.DictReader(file)]


def errors(issues: list[Issue]) -> list[str]:
    return [issue.text for issue in issues if issue.severity in ("error", "fatal")]


def test_results_of_linked_patients(hospital: Hospital, server: str, tmp_path: Path) -> None:
    hospital.put(
        hospital.patient("a", "4711"),
        hospital.patient("b", "4712"),
        hospital.patient("c", "4713"),
        hospital.patient("stranger", "4799"),
        hospital.ck("r1", "a", "2024-03-01T08:30:00+09:00", 1200),
        hospital.ck("r2", "a", "2024-04-01T08:30:00+09:00", 300),
        hospital.ck("r3", "a", "2024-03-11", 900),  # between the windows
        hospital.ck("r4", "b", "2024-03-02", 1000),
        hospital.ck("r5", "b", "2024-03-03", 1100),  # the same window again
        hospital.ck("r6", "c", "2024-03-03", 1300),  # no course to count days from
        hospital.ck("r7", "stranger", "2024-03-01", 1),
        hospital.infusion("i1", "a", "2024-03-04T10:00:00+09:00"),
        hospital.infusion("i2", "a", "2024-03-05T10:00:00+09:00"),
        hospital.infusion("i3", "a", "2024-06-03T10:00:00+09:00"),
        hospital.infusion("i4", "a", "2024-05-01T10:00:00+09:00"),  # in no course
    )
    found = pull_study(hospital.study, server, tmp_path / "out", links="mrn")
    assert sorted(rows(tmp_path / "out", "assessments", "subject", "visit", "date", "value")) == [
        ("S-01", "", "2024-03-11", "900"),
        ("S-01", "week 0", "2024-03-01T08:30:00+09:00", "1200"),
        ("S-01", "week 4", "2024-04-01T08:30:00+09:00", "300"),
        ("S-02", "week 0", "2024-03-02", "1000"),
        ("S-02", "week 0", "2024-03-03", "1100"),
        ("S-03", "", "2024-03-03", "1300"),
    ]
    assert rows(tmp_path / "out", "infusions", "subject", "course", "day", "start") == [
        ("S-01", "1", "1", "2024-03-04T10:00:00+09:00"),
        ("S-01", "1", "2", "2024-03-05T10:00:00+09:00"),
        ("S-01", "2", "1", "2024-06-03T10:00:00+09:00"),
        ("S-01", "", "", "2024-05-01T10:00:00+09:00"),
    ]
    assert rows(tmp_path / "out", "subjects", "subject", "sex", "mrn") == [
        ("S-01", "female", "4711"), ("S-02", "female", "4712"), ("S-03", "female", "4713"),
    ]  # fmt: skip
    said = " ".join(issue.text for issue in found.log.first)
    assert "Day 7 is in no visit's window" in said
    assert "The subject has no course to count days from" in said
    assert "Its day lies in none of the subject's courses" in said
    wrong = errors(found.log.first)
    assert len(wrong) == 2
    assert "No Patient has this identifier: S-04 is left out." in wrong
    assert any("have one key and different cells" in text for text in wrong)
    assert not found.complete
    assert "4714" not in "".join(str(issue) for issue in found.log.first)
    text = (tmp_path / "out/manifest.json").read_text()
    assert not any(mrn in text for mrn in ("4711", "4712", "4713", "4714"))


def test_two_patients_with_one_mrn_are_nobody(hospital: Hospital, server: str, tmp_path: Path) -> None:
    hospital.put(
        hospital.patient("a", "4711"),
        hospital.patient("b", "4712"),
        hospital.patient("c", "4712"),
        hospital.ck("r1", "a", "2024-03-01", 1200),
        hospital.ck("r2", "b", "2024-03-01", 1000),
    )
    found = pull_study(hospital.study, server, tmp_path / "out", links="mrn", subjects=["S-01", "S-02"])
    assert rows(tmp_path / "out", "assessments", "subject", "value") == [("S-01", "1200")]
    assert errors(found.log.first) == [
        "2 Patients have this identifier, where one is due: S-02 is left out.",
        "The subject S-02 was asked for and not found.",
    ]
    kept = [json.loads(line)["id"] for line in (tmp_path / "out/fhir/Patient.ndjson").open()]
    assert kept == [hospital.id("a")]


@pytest.mark.parametrize("held", ["files", "server"])
def test_a_patient_of_the_same_id_at_another_server(
    hospital: Hospital, server: str, tmp_path: Path, held: str
) -> None:
    """A reference to it is an error at its line; one to this server's address is understood."""
    subject = {"reference": f"{server}/Patient/{hospital.id('a')}"}
    stranger = {"reference": f"https://elsewhere.example.org/fhir/Patient/{hospital.id('a')}"}
    folder = tmp_path / "cohort"
    folder.mkdir()
    lines = [
        hospital.patient("a", "4711"),
        hospital.ck("r1", "a", "2024-03-01", 1200, subject=subject),
        hospital.ck("r2", "a", "2024-04-01", 300, subject=stranger),
    ]
    (folder / "all.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    hospital.put(*lines)
    source = folder if held == "files" else server
    found = pull_study(hospital.study, source, tmp_path / "out", links="mrn", subjects=["S-01"])
    assert rows(tmp_path / "out", "assessments", "subject", "value") == [("S-01", "1200")]
    [said] = [issue for issue in found.log.first if issue.severity == "error"]
    assert (said.code, said.row, stranger["reference"] in said.text) == ("not-found", 2, True)
    assert not found.complete


@pytest.mark.parametrize("listed", [True, False], ids=["subjects listed", "no subjects listed"])
def test_a_link_of_a_subject_that_the_study_has_not(
    hospital: Hospital, server: str, tmp_path: Path, listed: bool
) -> None:
    """Its rows come, for a pull need not know the subjects; where it does, a misspelt name is doubted."""
    hospital.put(hospital.patient("a", "4711"), hospital.ck("r1", "a", "2024-03-01", 1200))
    links = tmp_path / "links.csv"
    links.write_text(f"subject,system,value\nS-O1,{hospital.study.parameters['mrn_system']},4711\n")
    if not listed:
        (hospital.study.folder / "subjects.csv").unlink()
    found = pull_study(hospital.study, server, tmp_path / "out", links=links)
    assert rows(tmp_path / "out", "assessments", "subject", "value") == [("S-O1", "1200")]
    said = [(i.severity, i.file, i.row, i.column) for i in found.log.first if "Is it spelt right" in i.text]
    assert said == ([("warning", str(links), 2, "subject")] if listed else [])


def test_the_study_s_own_patient_needs_no_link(hospital: Hospital, server: str, tmp_path: Path) -> None:
    own = hospital.patient("own", "4711")
    own["identifier"].append({"system": f"{hospital.study.base}/patient", "value": "S-01"})
    hospital.put(own, hospital.ck("r1", "own", "2024-03-01", 1200))
    found = pull_study(hospital.study, server, tmp_path / "out", links="mrn", subjects=["S-01"])
    assert found.complete, found.log.first
    assert rows(tmp_path / "out", "assessments", "subject", "value") == [("S-01", "1200")]


def test_beside_the_study_s_own_patient_the_hospital_s_is_linked(
    hospital: Hospital, server: str, tmp_path: Path
) -> None:
    own = hospital.patient("own", "4711")
    own["identifier"].append({"system": f"{hospital.study.base}/patient", "value": "S-01"})
    hospital.put(own, hospital.patient("a", "4711"), hospital.ck("r1", "a", "2024-03-01", 1200))
    found = pull_study(hospital.study, server, tmp_path / "out", links="mrn", subjects=["S-01"])
    assert found.complete, found.log.first
    assert rows(tmp_path / "out", "assessments", "subject", "value") == [("S-01", "1200")]
    assert rows(tmp_path / "out", "subjects", "subject", "mrn") == [("S-01", "4711")]


def test_research_subjects_tell_who_a_hospital_s_patient_is(hospital: Hospital, server: str, tmp_path: Path) -> None:
    member = {
        "resourceType": "ResearchSubject",
        "id": hospital.id("m"),
        "identifier": [{"system": f"{hospital.study.base}/research_subject", "value": "S-07"}],
        "status": "on-study",
        "study": {"identifier": {"system": f"{hospital.study.base}/research_study", "value": "ward"}},
        "individual": {"reference": f"Patient/{hospital.id('a')}"},
    }
    hospital.put(hospital.patient("a", "4711"), member, hospital.ck("r1", "a", "2024-03-01", 1200))
    pull_study(hospital.study, server, tmp_path / "out", subjects=["S-07"])
    assert rows(tmp_path / "out", "assessments", "subject", "value") == [("S-07", "1200")]


def test_only_some_mrns_and_codes(hospital: Hospital, server: str, tmp_path: Path) -> None:
    hospital.put(
        hospital.patient("a", "4711"),
        hospital.patient("b", "4712"),
        hospital.ck("r1", "a", "2024-03-01", 1200),
        hospital.ck("r2", "b", "2024-03-01", 1000),
        hospital.infusion("i1", "b", "2024-03-04"),
    )
    loinc = "http://loinc.org|2157-6"
    pull_study(hospital.study, server, tmp_path / "out", mrns=["4712"], links="mrn", codes=[loinc])
    assert rows(tmp_path / "out", "assessments", "subject", "value") == [("S-02", "1000")]
    assert rows(tmp_path / "out", "infusions", "subject") == []
    with pytest.raises(IssueError, match="No mapping of the study reads"):
        pull_study(hospital.study, server, tmp_path / "out", codes=["http://loinc.org|1"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("subject,system,value\nS-01,,4711\n\n,urn:x,4712\n", [(2, "system"), (4, "subject")]),
        ("subject,mrn\nS-01,4711\nS-02,4712\n", [(1, None)]),
        ("S-01,urn:x,4711\nS-02,urn:x,4712\n", [(1, None)]),
        ("subject;system;value\nS-01;urn:x;4711\nS-02;urn:x;4712\n", [(1, None)]),
        ("", [(1, None)]),
        ("subject,system,value\nS-01,urn:x,4711,\n", [(2, None)]),
        ("subject,system,value\n", [(None, None)]),
    ],
)
def test_links_that_are_none(text: str, said: list[Any], tmp_path: Path) -> None:
    (tmp_path / "links.csv").write_text(text)
    with pytest.raises(IssueError) as raised:
        read_links(tmp_path / "links.csv")
    assert [(issue.row, issue.column) for issue in raised.value.issues] == said
    assert all("subject,system,value" in issue.text for issue in raised.value.issues if issue.row == 1)


def test_a_patient_of_two_subjects_is_neither_s(hospital: Hospital, server: str, tmp_path: Path) -> None:
    hospital.put(hospital.patient("a", "4711"), hospital.patient("b", "4712"), hospital.ck("r", "b", "2024-03-01", 5))
    system = hospital.study.parameters["mrn_system"]
    links = tmp_path / "links.csv"
    links.write_text(f"subject,system,value\nS-01,{system},4711\nS-02,{system},4711\nS-03,{system},4712\n")
    found = pull_study(hospital.study, server, tmp_path / "out", links=links)
    assert [(issue.row, issue.text) for issue in found.log.first if issue.severity == "error"] == [
        (2, "Another subject is linked to the same Patient: S-01 is left out."),
        (3, "Another subject is linked to the same Patient: S-02 is left out."),
    ]
    assert rows(tmp_path / "out", "assessments", "subject") == [("S-03",)]


def test_what_came_is_tabulated_while_more_is_to_come(
    hospital: Hospital, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Piece by piece, or all at the end: the same tables, and the same Issues at the same lines."""
    odd = {"valueQuantity": {"value": 5, "unit": "furlong"}}
    days = [f"2024-03-{11 + number}" for number in range(9)]
    hospital.put(
        hospital.patient("a", "4711"),
        hospital.patient("b", "4712"),
        *(hospital.ck(f"{name}{day}", name, day, 7) for name in "ab" for day in days),
        hospital.ck("odd", "b", "2024-03-08", 5, **odd),
    )
    found, blocks = {}, Counter[int]()
    take = Tabulating.take
    for size in (1, 1500, 1 << 22):

        def counted(tables: Tabulating, block: Block, final: bool = False, size: int = size) -> None:
            blocks[size] += 1
            take(tables, block, final)

        monkeypatch.setattr(Tabulating, "take", counted)
        monkeypatch.setattr(receiving, "BLOCK_BYTES", size)
        out = tmp_path / str(size)
        pulled = pull_study(hospital.study, server, out, links="mrn", subjects=["S-01", "S-02"])
        assert not pulled.complete
        issues = [(issue.text, issue.row, Path(issue.file or "").name) for issue in pulled.log.first]
        [line] = [row for text, row, name in issues if "furlong" in text and name == "Observation.ndjson"]
        names = [name for text, _, name in issues if name or text.startswith("There is no")]
        assert names[0] == "", "what is missing is said before what is wrong"
        assert hospital.id("odd") in (out / "fhir/Observation.ndjson").read_text().splitlines()[(line or 0) - 1]
        manifest = json.loads((out / "manifest.json").read_text())
        found[size] = (sorted(issues, key=str), manifest["resources"], {f: f.read_text() for f in out.glob("*.csv")})
        assert len(rows(out, "assessments", "value")) == 18
    assert blocks[1] == 21 > blocks[1500] > blocks[1 << 22]
    assert len({json.dumps([*each[:2], list(each[2].values())]) for each in found.values()}) == 1
