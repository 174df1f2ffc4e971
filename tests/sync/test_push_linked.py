"""Subjects that are the hospital's own Patients: pointed at, never written, never doubled."""

from __future__ import annotations

import csv
import json
import sqlite3
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from sample_study import Row, copied, edit, rows

from fhir_ivig.fhir.client import Client
from fhir_ivig.fhir.transport import FHIR_JSON
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.study.study import Study
from fhir_ivig.sync.journal import Entry, Journal, journal_path
from fhir_ivig.sync.planned import read_planned
from fhir_ivig.sync.pull_study import pull_study
from fhir_ivig.sync.push_study import PushedStudy, plan_study, push_study

CASES = yaml.safe_load(Path(__file__).with_name("linked.yaml").read_text("utf-8"))
SUBJECTS, WHO = ("HARA-06", "HARA-07"), {"HARA-06": "a", "HARA-07": "b"}


class Ward:
    """Two subjects of the sample, and the hospital's Patients on a server, with ids and MRNs of their own."""

    def __init__(self, server: str, folder: Path) -> None:
        self.server, self.client, self.name = server, Client(server), uuid.uuid4().hex[:12]
        self.folder = copied(folder)
        self.system = f"https://hospital.example.org/{self.name}"
        text = yaml.safe_load((folder / "study.yaml").read_text("utf-8"))
        text |= {"base": f"https://example.org/{self.name}", "parameters": {"mrn_system": self.system}}
        (folder / "study.yaml").write_text(yaml.safe_dump(text), "utf-8")
        for path in folder.glob("*.csv"):
            self.edit(path.stem, lambda rows: [row for row in rows if row["subject"] in SUBJECTS])
        self.subjects = {row["subject"]: row for row in self.rows("subjects")}
        self.study, self.target = Study.load(folder / "study.yaml"), server

    def rows(self, table: str) -> list[Row]:
        return rows(self.folder / f"{table}.csv")

    def edit(self, table: str, change: Callable[[list[Row]], list[Row]]) -> None:
        edit(self.folder / f"{table}.csv", change)

    def set(self, table: str, subject: str, **cells: str) -> None:
        self.edit(table, lambda rows: [{**row, **cells} if row["subject"] == subject else row for row in rows])

    def id(self, name: str) -> str:
        return f"{name}-{self.name}"

    def patient(self, name: str, subject: str, **more: Any) -> dict[str, Any]:
        row = self.subjects[subject]
        return {
            "resourceType": "Patient",
            "id": self.id(name),
            "identifier": [{"system": self.system, "value": row["mrn"]}],
            "name": [{"family": "Canary"}],
            "gender": row["sex"],
            "birthDate": row["birth_date"],
            **more,
        }

    def put(self, *resources: dict[str, Any]) -> None:
        for each in resources:
            body = json.dumps({name: value for name, value in each.items() if value is not None}).encode()
            self.client.transport.ask(
                "PUT", f"{each['resourceType']}/{each['id']}", body, {"Content-Type": FHIR_JSON}
            )

    def all(self, kind: str, **search: str) -> list[dict[str, Any]]:
        pages = self.client.search(kind, {**search, "_count": "500"})
        return [json.loads(line) for page in pages for line in page.matches]

    def ours(self, kind: str) -> list[dict[str, Any]]:
        """What the server has of the study, whatever its id."""
        found = [each for each in self.all(kind) if self.study.base in json.dumps(each.get("identifier", ""))]
        return sorted(found, key=lambda each: str(each["id"]))

    def pointed(self) -> set[str]:
        """The Patients that the study's resources point at."""
        kinds = (
            "ResearchSubject",
            "Observation",
            "Condition",
            "Procedure",
            "MedicationAdministration",
            "AdverseEvent",
        )
        found = [each.get("subject") or each["individual"] for kind in kinds for each in self.ours(kind)]
        return {each["reference"].removeprefix(f"{self.server}/") for each in found}

    def push(self, **options: Any) -> PushedStudy:
        return push_study(self.study, self.target, **options)

    def choosing_ids(self) -> None:
        """From now on it is sent to as to a server that chooses the ids."""
        path = self.folder / "server.yaml"
        path.write_text(f"base: {self.server}\nstrategy: search-create\n", "utf-8")
        self.target = str(path)

    def our_id(self, subject: str) -> str:
        return f"Patient/{uuid.uuid5(uuid.NAMESPACE_URL, f'{self.study.base}/patient|{subject}')}"


@pytest.fixture
def ward(server: str, tmp_path: Path) -> Ward:
    return Ward(server, tmp_path / "study")


def both(ward: Ward) -> list[dict[str, Any]]:
    return [ward.patient(name, subject) for subject, name in WHO.items()]


def counts(pushed: PushedStudy) -> dict[str, int]:
    return {name: count for name, count in pushed.as_dict().items() if name != "issues" and count}


def texts(issues: list[Issue]) -> list[str]:
    return [issue.text for issue in issues if issue.severity in ("error", "fatal")]


@pytest.mark.parametrize("choosing", [False, True], ids=["our ids", "ids of the server"])
def test_pushed_twice_pulled_edited_changed_withdrawn(ward: Ward, tmp_path: Path, choosing: bool) -> None:
    if choosing:
        ward.choosing_ids()
    ward.put(*both(ward))
    theirs = ward.all("Patient", identifier=f"{ward.system}|")
    first = ward.push(links="mrn")
    sent = first.created
    assert (first.complete, counts(first)) == (True, {"created": sent, "linked": 2})
    assert "managingOrganization (of 2)" in " ".join(issue.text for issue in first.issues)
    assert ward.ours("Patient") == []
    assert ward.pointed() == {f"Patient/{ward.id(name)}" for name in "ab"}
    assert ward.all("Patient", identifier=f"{ward.system}|") == theirs, "the hospital's Patients stay as they are"
    assert counts(ward.push(links="mrn")) == {"unchanged": sent, "linked": 2}
    assert counts(ward.push()) == {"unchanged": sent, "linked": 2}, "who is linked is remembered"

    pulled = pull_study(ward.study, ward.server, tmp_path / "out", links="mrn")
    assert pulled.complete, pulled.log.first
    for table in ward.study.tables:
        with (tmp_path / f"out/{table}.csv").open(newline="", encoding="utf-8") as file:
            got = sorted(csv.DictReader(file), key=lambda row: list(row.values()))
        wanted = [{**row, "site": ""} if table == "subjects" else row for row in ward.rows(table)]
        assert got == sorted(wanted, key=lambda row: list(row.values())), table

    ward.set("dispositions", "HARA-06", date="1999-01-01")
    [change] = plan_study(ward.study, ward.target).changes
    assert change.ref.startswith("ResearchSubject/")
    assert counts(ward.push()) == {"updated": 1, "unchanged": sent - 1, "linked": 2}

    [subject] = [
        each for each in ward.ours("ResearchSubject") if each["individual"]["reference"].endswith(ward.id("a"))
    ]
    ward.put({**subject, "individual": {"reference": f"Patient/{ward.id('b')}"}})
    conflict = ward.push()
    assert counts(conflict) == {"unchanged": sent - 1, "linked": 2, "conflicts": 1}
    [change] = plan_study(ward.study, ward.target).changes
    shown = {path: (theirs, ours) for path, _, theirs, ours in change.values}
    assert shown["ResearchSubject.individual.reference"] == (f"Patient/{ward.id('b')}", f"Patient/{ward.id('a')}")
    assert counts(ward.push(take={change.ref: "ours"})) == {"updated": 1, "unchanged": sent - 1, "linked": 2}

    ward.edit("dispositions", lambda rows: [row for row in rows if row["subject"] != "HARA-07"])
    ward.edit("medications", lambda rows: rows[1:])
    pushed = ward.push(withdraw=True)
    assert (pushed.withdrawn, pushed.conflicts, pushed.failed) == (2, 0, 0), "the analysis set, one prednisolone dose"
    assert ward.all("Patient", identifier=f"{ward.system}|") == theirs


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_link_that_cannot_be_right(ward: Ward, case: dict[str, Any]) -> None:
    """One subject is refused at its row, with all that is of it; the other is sent."""
    a, b = both(ward)
    twice = [ward.patient("c", "HARA-06")] if case.get("twice") else []
    ward.put(b, *([] if case.get("absent") else [{**a, **case.get("patient", {})}]), *twice)
    pushed = ward.push(links="mrn")
    assert ward.pointed() == {f"Patient/{ward.id('b')}"}
    assert ward.ours("Patient") == []
    assert (pushed.complete, pushed.linked) == (False, 1)
    [said] = [issue for issue in pushed.issues if case["says"] in issue.text]
    assert (said.file, said.row, said.column) == ("subjects.csv", 2, "mrn")
    assert ward.subjects["HARA-06"]["mrn"] not in json.dumps(pushed.as_dict())
    assert pushed.failed == len([issue for issue in pushed.issues if issue.row]), "each has its row"
    ward.put(a, *[{**each, "identifier": []} for each in twice])
    assert ward.push().complete, "corrected at the hospital, it goes on"


def test_two_subjects_with_one_mrn(ward: Ward) -> None:
    ward.put(*both(ward))
    ward.set("subjects", "HARA-07", mrn=ward.subjects["HARA-06"]["mrn"])
    pushed = ward.push(links="mrn")
    said = [(issue.file, issue.row) for issue in pushed.issues if "Another subject is linked" in issue.text]
    assert said == [("subjects.csv", 2), ("subjects.csv", 3)]
    assert ward.pointed() == set()


def test_links_in_a_file(ward: Ward, tmp_path: Path) -> None:
    """Whom it does not name is sent as a Patient of the study; a row that is lost later is asked for."""
    ward.put(*both(ward))
    links = ward.folder / "links.csv"
    row = f"HARA-06,{ward.system},{ward.subjects['HARA-06']['mrn']}"
    links.write_text(f"subject,system,value\n{row}\n")
    pushed = ward.push(links=str(links))
    assert (pushed.complete, pushed.linked) == (True, 1)
    assert ward.pointed() == {f"Patient/{ward.id('a')}", ward.our_id("HARA-07")}
    links.write_text(f"subject,system,value\nHARA-07,{ward.system},{ward.subjects['HARA-07']['mrn']}\n")
    pushed = ward.push()
    [said] = [text for text in texts(pushed.issues) if "has no link now" in text]
    assert [each["id"] for each in ward.ours("Patient")] == [ward.our_id("HARA-07").partition("/")[2]]
    assert ward.pointed() == {f"Patient/{ward.id('a')}", f"Patient/{ward.id('b')}"}
    assert not ward.push().complete, "it is asked for until it is said"
    assert f"--take ours={ward.our_id('HARA-06')}" in said
    assert ward.push(take={ward.our_id("HARA-06"): "ours"}).complete
    assert ward.pointed() == {ward.our_id("HARA-06"), f"Patient/{ward.id('b')}"}
    assert ward.push().complete
    links.unlink()
    with pytest.raises(IssueError, match="links cannot be read"):
        ward.push()


def test_a_link_of_a_misspelt_subject(ward: Ward) -> None:
    """Nothing is sent: whoever was meant has no link, and would be a new Patient."""
    ward.put(*both(ward))
    links = ward.folder / "links.csv"
    rows = [f"{subject},{ward.system},{row['mrn']}\n" for subject, row in ward.subjects.items()]
    links.write_text("subject,system,value\n" + "".join(rows).replace("HARA-07", "HARA-O7"))
    for act in (plan_study, push_study):
        with pytest.raises(IssueError) as stopped:
            act(ward.study, ward.target, links=str(links))
        [said] = stopped.value.issues
        assert (said.severity, said.file, said.row, said.column) == ("error", str(links), 3, "subject")
    assert (ward.ours("Patient"), ward.ours("Observation")) == ([], [])


def test_a_link_of_a_subject_whose_row_is_withheld(ward: Ward) -> None:
    """It is no stranger: its row is reported, and the others are sent."""
    ward.put(*both(ward))
    links = ward.folder / "links.csv"
    rows = [f"{subject},{ward.system},{row['mrn']}\n" for subject, row in ward.subjects.items()]
    links.write_text("subject,system,value\n" + "".join(rows))
    ward.set("subjects", "HARA-07", birth_date="last spring")
    pushed = ward.push(links=str(links))
    assert [(issue.severity, issue.row) for issue in pushed.issues if "was not needed" in issue.text] == [
        ("warning", 3)
    ]
    assert (pushed.linked, pushed.withheld > 0) == (1, True)


def test_a_link_that_leads_to_somebody_else_now(ward: Ward) -> None:
    ward.put(*both(ward))
    sent = ward.push(links="mrn").created
    ward.put({**both(ward)[0], "identifier": []}, ward.patient("moved", "HARA-06"))
    pushed = ward.push()
    assert not pushed.updated
    assert any("another Patient than before" in text for text in texts(pushed.issues))
    pushed = ward.push(take={ward.our_id("HARA-06"): "ours"})
    assert pushed.complete
    assert pushed.updated
    assert ward.pointed() == {f"Patient/{ward.id('moved')}", f"Patient/{ward.id('b')}"}
    assert counts(ward.push()) == {"unchanged": sent, "linked": 2}


def test_linked_after_they_were_sent_as_the_studys_own(ward: Ward) -> None:
    """Everything moves to the hospital's Patients; the study's own have left, and are marked if that is wanted."""
    sent = ward.push().created
    ward.put(*both(ward))
    theirs = [each for each in ward.all("Patient", identifier=f"{ward.system}|") if each["id"].endswith(ward.name)]
    pushed = ward.push(links="mrn", withdraw=True)
    assert pushed.complete, pushed.issues
    assert (pushed.withdrawn, pushed.created) == (2, 0)
    assert ward.pointed() == {f"Patient/{ward.id(name)}" for name in "ab"}
    assert [each["active"] for each in ward.ours("Patient")] == [False, False]
    again = [each for each in ward.all("Patient", identifier=f"{ward.system}|") if each["id"].endswith(ward.name)]
    assert again == theirs
    assert counts(ward.push(withdraw=True)) == {"unchanged": sent - 2, "linked": 2}


def test_a_plan_made_before_the_link_changed(ward: Ward, tmp_path: Path) -> None:
    ward.put(*both(ward))
    planned = plan_study(ward.study, ward.target, links="mrn")
    assert (planned.counts["linked"], planned.complete) == (2, True)
    (tmp_path / "plan.json").write_text(json.dumps(planned.as_dict()))
    ward.put({**both(ward)[0], "identifier": []}, ward.patient("moved", "HARA-06"))
    with pytest.raises(IssueError, match="plan again"):
        ward.push(links="mrn", planned=read_planned(tmp_path / "plan.json"))
    assert ward.pointed() == set()
    assert ward.push(links="mrn", planned=plan_study(ward.study, ward.target, links="mrn")).complete


def test_to_a_folder_with_the_hospitals_patients(ward: Ward, tmp_path: Path) -> None:
    """They are looked for in the folder, as a bulk export lays it out."""
    out = tmp_path / "outbox"
    out.mkdir()
    lines = "".join(json.dumps(each) + "\n" for each in both(ward)[:1])
    (out / "Patient.ndjson").write_text(lines)
    pushed = push_study(ward.study, str(out), links="mrn")
    assert [issue.row for issue in pushed.issues if "No Patient has this identifier" in issue.text] == [3]
    assert (out / "Patient.ndjson").read_text() == lines
    told = [
        json.loads(line)["subject"]["reference"] for line in (out / "Observation.ndjson").read_text().splitlines()
    ]
    assert set(told) == {f"Patient/{ward.id('a')}"}
    again = push_study(ward.study, str(out))
    assert (again.unchanged, again.created) == (pushed.created, 0)
    nobody = push_study(ward.study, str(tmp_path / "empty"), links="mrn")
    assert (nobody.linked, nobody.created) == (0, 1), "only the ResearchStudy is nobody's"


def test_the_journal_knows_no_mrn(ward: Ward) -> None:
    ward.put(*both(ward))
    ward.push(links="mrn")
    with sqlite3.connect(journal_path(ward.folder, ward.server)) as db:
        text = "\n".join(db.iterdump())
    assert f"Patient/{ward.id('a')}" in text
    assert not any(row["mrn"] in text for row in ward.subjects.values())


def test_an_earlier_journal_is_taken_over_and_a_later_one_refused(tmp_path: Path) -> None:
    about = {"study": "s", "target": "t", "version": "R4"}
    path = tmp_path / "journal"
    with sqlite3.connect(path) as db:
        db.executescript(
            "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
            "CREATE TABLE resource (ref TEXT PRIMARY KEY, state TEXT NOT NULL, hash BLOB, intended BLOB,"
            " version TEXT, code TEXT) WITHOUT ROWID;"
            "INSERT INTO resource VALUES ('A/1', 'confirmed', x'00', NULL, '3', NULL);"
        )
        db.executemany("INSERT INTO about VALUES (?, ?)", [*about.items(), ("format", "1")])
    journal = Journal.open(path, about)
    assert journal.counts() == {"confirmed": 1}
    journal.settle("study", {"A/1": "A/17"})
    journal.close()
    assert Journal.open(path, about).homes("study") == {"A/1": "A/17"}
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT value FROM about WHERE name = 'format'").fetchone() == ("2",)
        db.execute("UPDATE about SET value = '3' WHERE name = 'format'")
    before = path.read_bytes()
    for write in (True, False):
        with pytest.raises(IssueError, match=r"A later version .* wrote this journal .* install that version"):
            Journal.open(path, about, write=write)
    assert path.read_bytes() == before


def test_an_earlier_journal_is_read_as_it_is(tmp_path: Path) -> None:
    about = {"study": "s", "target": "t", "version": "R4"}
    path = tmp_path / "journal"
    journal = Journal.open(path, about)
    journal.write({"A/1": Entry("confirmed", b"h", "3")})
    journal.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE about SET value = '1' WHERE name = 'format'")
        db.execute("DROP TABLE home")
    db.close()
    before = path.read_bytes()
    journal = Journal.open(path, about, write=False)
    assert (journal.homes("study"), journal.counts()) == ({}, {"confirmed": 1})
    journal.close()
    assert (path.read_bytes(), sorted(tmp_path.iterdir())) == (before, [path])
