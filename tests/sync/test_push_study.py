"""A study sent again and again: what is known, what is overwritten, what is not, and who is told."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pytest
import sample_study
from fhir.resources.R4B.provenance import Provenance
from sample_study import Row, own_study

from fhir_ivig.fhir.bundle import Put, batch
from fhir_ivig.fhir.client import Client
from fhir_ivig.fhir.folder import Folder
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.study.study import Study
from fhir_ivig.sync import journal
from fhir_ivig.sync.journal import Entry, Journal, held_journal, journal_path
from fhir_ivig.sync.planned import Change, read_planned, shown
from fhir_ivig.sync.push_study import PushedStudy, plan_study, push_study, status_of

ALL = 109  # resources of two subjects


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two subjects of the sample under a base of their own, so that a server holds nothing of it."""
    return own_study(tmp_path / "study", subjects=("HARA-01", "HARA-02")).folder


@pytest.fixture
def study(folder: Path) -> Study:
    return Study.load(folder)


def counts(pushed: PushedStudy) -> tuple[int, ...]:
    """created, updated, unchanged, failed, conflicts, withdrawn, left"""
    found = pushed.as_dict()
    return tuple(
        found[name] for name in ["created", "updated", "unchanged", "failed", "conflicts", "withdrawn", "left"]
    )


def edit(folder: Path, table: str, change: Callable[[list[Row]], None]) -> None:
    """Change a table's rows."""

    def changed(rows: list[Row]) -> list[Row]:
        change(rows)
        return rows

    sample_study.edit(folder / f"{table}.csv", changed)


def ck(rows: list[Row]) -> Iterator[Row]:
    return (row for row in rows if row["measure"] == "CK" and row["value"])


def set_ck(value: str, place: int = 0) -> Callable[[list[Row]], None]:
    def change(rows: list[Row]) -> None:
        list(ck(rows))[place]["value"] = value

    return change


def somebody_changes(server: str, ref: str, old: bytes, new: bytes) -> bytes:
    """Another client's change; the resource as it is then."""
    client = Client(server)
    kind, _, name = ref.partition("/")
    held = next(line for page in client.search(kind, {"_id": name}) for line in page.matches)
    assert old in held
    assert client.transact(batch([Put(ref, held.replace(old, new))]), [ref])[0].issues == ()
    return next(line for page in client.search(kind, {"_id": name}) for line in page.matches)


def first_update(study: Study, server: str) -> str:
    return next(change.ref for change in plan_study(study, server).changes if change.state == "update")


def test_three_edits_are_three_updates_and_a_lost_row_is_marked(folder: Path, study: Study, server: str) -> None:
    assert counts(push_study(study, server)) == (ALL, 0, 0, 0, 0, 0, 0)
    assert counts(push_study(study, server)) == (0, 0, ALL, 0, 0, 0, 0)

    def three(rows: list[Row]) -> None:
        for place, row in enumerate(list(ck(rows))[:3]):
            row["value"] = f"{71 + place}.5"

    edit(folder, "assessments", three)
    planned = plan_study(study, server)
    assert [(change.state, [column for _, column, _, _ in change.values]) for change in planned.changes] == [
        ("update", ["value"])
    ] * 3
    assert counts(push_study(study, server)) == (0, 3, ALL - 3, 0, 0, 0, 0)
    edit(folder, "assessments", lambda rows: rows.remove(next(ck(rows))))
    assert counts(push_study(study, server)) == (0, 0, ALL - 1, 0, 0, 0, 1)
    assert counts(push_study(study, server, withdraw=True)) == (0, 0, ALL - 1, 0, 0, 1, 0)
    assert counts(push_study(study, server, withdraw=True)) == (0, 0, ALL - 1, 0, 0, 0, 0)
    assert status_of(study, server).counts == {"confirmed": ALL - 1, "withdrawn": 1}


def test_a_row_that_comes_back_is_sent_again(folder: Path, study: Study, server: str) -> None:
    push_study(study, server)
    before = (folder / "assessments.csv").read_text("utf-8")
    edit(folder, "assessments", lambda rows: rows.remove(next(ck(rows))))
    assert counts(push_study(study, server, withdraw=True))[5] == 1
    (folder / "assessments.csv").write_text(before, "utf-8")
    assert counts(push_study(study, server)) == (0, 1, ALL - 1, 0, 0, 0, 0)


def test_nothing_is_marked_while_rows_are_withheld(folder: Path, study: Study, server: str) -> None:
    push_study(study, server)
    edit(folder, "assessments", set_ck("not a number"))
    pushed = push_study(study, server, withdraw=True)
    assert (pushed.withheld, counts(pushed)) == (1, (0, 0, ALL - 1, 0, 0, 0, 0))
    assert not pushed.complete


@pytest.mark.parametrize("found", ["", "subject;visit\n"])  # cut off, and in another shape
def test_nothing_is_marked_while_a_file_cannot_be_read(
    found: str, folder: Path, study: Study, tmp_path: Path
) -> None:
    target = str(tmp_path / "folder")
    push_study(study, target)
    (folder / "assessments.csv").write_text(found, "utf-8")
    pushed = push_study(study, target, withdraw=True)
    assert (pushed.withheld, counts(pushed)[5:], pushed.complete) == (0, (0, 0), False)
    assert any(issue.text.startswith("Not all rows were read") for issue in pushed.issues)


def test_what_somebody_changed_is_not_overwritten(folder: Path, study: Study, server: str) -> None:
    push_study(study, server)
    edit(folder, "assessments", set_ck("4711"))
    ref = first_update(study, server)
    theirs = somebody_changes(server, ref, b'"final"', b'"amended"')
    pushed = push_study(study, server)
    assert counts(pushed) == (0, 0, ALL - 1, 0, 1, 0, 0)
    [conflict] = [issue for issue in pushed.issues if issue.code == "conflict"]
    assert (conflict.file, conflict.severity) == ("assessments.csv", "error")
    assert ref in conflict.text
    [change] = plan_study(study, server).changes
    assert {(path, str(theirs), str(ours)) for path, _, theirs, ours in change.values} >= {
        ("Observation.status", "amended", "final")
    }
    kind, _, name = ref.partition("/")
    assert [line for page in Client(server).search(kind, {"_id": name}) for line in page.matches] == [theirs]
    assert (status_of(study, server).conflicts, status_of(study, server).complete) == (1, False)
    assert counts(push_study(study, server, take={ref: "ours"})) == (0, 1, ALL - 1, 0, 0, 0, 0)
    assert counts(push_study(study, server)) == (0, 0, ALL, 0, 0, 0, 0)
    assert (status_of(study, server).conflicts, status_of(study, server).complete) == (0, True)


def test_theirs_is_kept_until_a_side_changes(folder: Path, study: Study, server: str) -> None:
    push_study(study, server)
    edit(folder, "assessments", set_ck("4711"))
    ref = first_update(study, server)
    somebody_changes(server, ref, b'"final"', b'"amended"')
    assert counts(push_study(study, server, take={ref: "theirs"})) == (0, 0, ALL, 0, 0, 0, 0)
    assert counts(push_study(study, server)) == (0, 0, ALL, 0, 0, 0, 0)
    edit(folder, "assessments", set_ck("4712"))
    assert counts(push_study(study, server)) == (0, 0, ALL - 1, 0, 1, 0, 0)


@pytest.mark.parametrize(("whose", "withdrawn"), [("ours", 1), ("theirs", 0)])
def test_a_conflict_of_a_row_that_left_ends_with_take(
    folder: Path, study: Study, server: str, whose: Literal["ours", "theirs"], withdrawn: int
) -> None:
    edit(folder, "assessments", set_ck("4711"))
    push_study(study, server)
    edit(folder, "assessments", set_ck("4712"))
    ref = first_update(study, server)
    somebody_changes(server, ref, b'"final"', b'"amended"')
    edit(folder, "assessments", lambda rows: rows.remove(next(ck(rows))))
    assert counts(push_study(study, server, withdraw=True)) == (0, 0, ALL - 1, 0, 1, 0, 0)
    assert counts(push_study(study, server, withdraw=True, take={ref: whose}))[4:] == (0, withdrawn, 0)
    assert counts(push_study(study, server, withdraw=True)) == (0, 0, ALL - 1, 0, 0, 0, 0)


def test_without_a_journal_a_difference_is_a_conflict(folder: Path, study: Study, server: str) -> None:
    push_study(study, server)
    journal_path(study.folder, server).unlink()
    assert counts(push_study(study, server)) == (0, 0, ALL, 0, 0, 0, 0)
    journal_path(study.folder, server).unlink()
    edit(folder, "assessments", set_ck("4711"))
    assert counts(push_study(study, server)) == (0, 0, ALL - 1, 0, 1, 0, 0)


def test_a_resource_to_take_that_is_none(study: Study, tmp_path: Path) -> None:
    """Nothing is sent, for what was meant is not known."""
    for act in (plan_study, push_study):
        with pytest.raises(IssueError) as stopped:
            act(study, str(tmp_path / "outbox"), take={"Observation/none": "ours", "Patient/none": "theirs"})
        assert [(issue.code, issue.text.split()[0]) for issue in stopped.value.issues] == [
            ("not-found", "Observation/none"),
            ("not-found", "Patient/none"),
        ]
    assert not (tmp_path / "outbox").exists()


@pytest.mark.parametrize("place", ["study", "elsewhere"])
def test_a_target_among_the_tables(folder: Path, place: str, tmp_path: Path) -> None:
    """FHIR files are not written beside the study's own."""
    (tmp_path / "elsewhere").mkdir()
    (folder / "courses.csv").rename(tmp_path / "elsewhere/kurse.csv")
    text = (folder / "study.yaml").read_text("utf-8")
    assert "  courses: {}" in text
    text = text.replace("  courses: {}", "  courses: {file: ../elsewhere/kurse.csv}")
    (folder / "study.yaml").write_text(text, "utf-8")
    before = sorted(tmp_path.rglob("*"))
    for act in (plan_study, push_study):
        with pytest.raises(IssueError, match="choose another folder") as stopped:
            act(Study.load(folder / "study.yaml"), str(tmp_path / "study/.." / place))
        [said] = stopped.value.issues
        assert (said.code, said.file) == ("conflict", str((tmp_path / place).resolve()))
    assert sorted(tmp_path.rglob("*")) == before
    assert push_study(Study.load(folder / "study.yaml"), str(folder / "fhir")).complete


def test_a_plan_is_done_as_it_is_or_not_at_all(folder: Path, study: Study, server: str, tmp_path: Path) -> None:
    push_study(study, server)
    edit(folder, "assessments", set_ck("4711"))
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan_study(study, server).as_dict()), "utf-8")
    planned = read_planned(file)
    edit(folder, "assessments", set_ck("4712"))
    with pytest.raises(IssueError, match="plan again"):
        push_study(study, server, planned=planned)
    assert plan_study(study, server).counts["update"] == 1
    edit(folder, "assessments", set_ck("4711"))
    somebody_changes(server, first_update(study, server), b'"final"', b'"amended"')
    with pytest.raises(IssueError, match="plan again"):
        push_study(study, server, planned=planned)


def test_a_plan_is_done(folder: Path, study: Study, server: str) -> None:
    push_study(study, server)
    edit(folder, "assessments", set_ck("4711"))
    assert counts(push_study(study, server, planned=plan_study(study, server))) == (0, 1, ALL - 1, 0, 0, 0, 0)


def test_a_plan_of_another_target(study: Study, tmp_path: Path) -> None:
    planned = plan_study(study, str(tmp_path / "one"))
    with pytest.raises(IssueError, match="target"):
        push_study(study, str(tmp_path / "other"), planned=planned)


def test_a_plan_says_what_moved(study: Study, folder: Path, tmp_path: Path) -> None:
    planned = plan_study(study, str(tmp_path / "outbox"))
    edit(folder, "assessments", set_ck("4711"))
    with pytest.raises(IssueError, match=r"\(other values are new\): plan again"):
        push_study(study, str(tmp_path / "outbox"), planned=planned)


@pytest.mark.parametrize("damage", [{"counts": {}}, {"created": 5}, {"changes": [5]}, {"issues": [5]}, {"counts": 5}])
def test_a_damaged_plan(damage: dict[str, Any], study: Study, tmp_path: Path) -> None:
    found = plan_study(study, str(tmp_path / "outbox")).as_dict()
    (tmp_path / "plan.json").write_text(json.dumps(found))
    assert read_planned(tmp_path / "plan.json").as_dict() == found
    (tmp_path / "plan.json").write_text(json.dumps(found | damage))
    with pytest.raises(IssueError, match="no plan"):
        read_planned(tmp_path / "plan.json")


def test_what_moves_a_terminal_is_shown() -> None:
    assert shown("Doe\x1b]0;title\x07\u202e\n\x9b J\xfcrgen") == r"Doe\x1b]0;title\x07\u202e\n\x9b J\xfcrgen".replace(
        r"\xfc", "\xfc"
    )
    values = [("Patient.\x1b[2J", None, None, "\x1b[2J")]
    assert (
        Change("Patient/1", "update", None, None, values, "").lines()[1] == r"    Patient.\x1b[2J: nothing -> \x1b[2J"
    )
    assert shown([{"family": "\x1b[2J"}]) == r'[{"family": "\u001b[2J"}]'


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "[" * 9999, '{"format": 0}', '{"format": 1}', '{"format": 1, "changes": 3}'],
)
def test_a_file_that_is_no_plan(text: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(IssueError, match="no plan"):
        read_planned(tmp_path / "plan.json")


def test_a_plan_writes_nothing(study: Study, tmp_path: Path) -> None:
    assert plan_study(study, str(tmp_path / "outbox")).counts["create"] == ALL
    assert not (tmp_path / "outbox").exists()
    assert not (study.folder / ".fhir-ivig").exists()


def test_a_journal_of_another(study: Study, tmp_path: Path) -> None:
    push_study(study, str(tmp_path / "one"), journal=tmp_path / "journal")
    with pytest.raises(IssueError, match=r"another's: its target is .*one, expected .*other"):
        push_study(study, str(tmp_path / "other"), journal=tmp_path / "journal")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("damage", [b"", b"no database at all, but long enough to be looked at as one" * 40])
def test_a_damaged_journal(study: Study, tmp_path: Path, damage: bytes) -> None:
    journal = tmp_path / "journal"
    push_study(study, str(tmp_path / "outbox"), journal=journal)
    for each in tmp_path.glob("journal-*"):
        each.unlink()
    journal.write_bytes(damage or journal.read_bytes()[:5000])
    with pytest.raises(IssueError, match="journal"):
        push_study(study, str(tmp_path / "outbox"), journal=journal)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE resource DROP COLUMN intended",
        "DROP TABLE about",
        "UPDATE resource SET state = CAST(x'ff' AS TEXT)",
    ],
)
def test_a_journal_that_lacks_something(study: Study, tmp_path: Path, change: str) -> None:
    """It is damaged, and no disk is full."""
    push_study(study, str(tmp_path / "outbox"), journal=tmp_path / "journal")
    with sqlite3.connect(tmp_path / "journal") as db:
        db.execute(change)
    db.close()
    for act in (push_study, plan_study):
        with pytest.raises(IssueError, match="it is damaged: restore it from a copy, or move it away"):
            act(study, str(tmp_path / "outbox"), journal=tmp_path / "journal")


def test_damage_inside_a_page_is_noticed_before_anything_is_sent(study: Study, tmp_path: Path) -> None:
    """SQLite reads much of a damaged page without a word."""
    journal = tmp_path / "journal"
    push_study(study, str(tmp_path / "one"), journal=journal)
    data = journal.read_bytes()
    place = data.index(b"Patient/", data.index(b"Patient/") + 60)
    journal.write_bytes(data[:place] + b"Aatient/" + data[place + 8 :])  # now its row is out of order
    with sqlite3.connect(journal) as db:
        assert len(db.execute("SELECT * FROM resource").fetchall()) == ALL
    db.close()
    with pytest.raises(IssueError, match="it is damaged"):
        push_study(study, str(tmp_path / "one"), journal=journal)


def test_a_journal_that_may_only_be_read(folder: Path) -> None:
    """Whoever may only read it, may plan and ask for the status; for a push it must be written."""
    with TemporaryDirectory() as name:
        study = Study.load(copytree(folder, Path(name) / "study") / "study.yaml")
        target, journal = str(Path(name) / "outbox"), Path(name) / "known/journal"
        push_study(study, target, journal=journal)
        before = journal.read_bytes(), sorted(journal.parent.iterdir())
        with read_only(Path(name)):
            assert status_of(study, target, journal=journal).counts == {"confirmed": ALL}
            assert plan_study(study, target, journal=journal).counts["unchanged"] == ALL
            with pytest.raises(IssueError) as stopped:
                push_study(study, target, journal=journal)
            assert [issue.code for issue in stopped.value.issues] == ["no-store"]
        assert (journal.read_bytes(), sorted(journal.parent.iterdir())) == before


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """All of a folder, for a user whom rights bind: root, whom they do not, becomes another one."""
    for each in [folder, *folder.rglob("*")]:
        each.chmod(0o555 if each.is_dir() else 0o444)
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)
        for each in [folder, *folder.rglob("*")]:
            each.chmod(0o755 if each.is_dir() else 0o644)


def test_status_and_plan_leave_the_journal_alone(study: Study, tmp_path: Path) -> None:
    journal = tmp_path / "known/journal"
    push_study(study, str(tmp_path / "outbox"), journal=journal)
    before = journal.read_bytes(), sorted(journal.parent.iterdir())
    status_of(study, str(tmp_path / "outbox"), journal=journal)
    plan_study(study, str(tmp_path / "outbox"), journal=journal)
    assert (journal.read_bytes(), sorted(journal.parent.iterdir())) == before


def test_no_journal_but_another_programs_file(study: Study, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "journal") as other:
        other.execute("CREATE TABLE about (x)")
    before = (tmp_path / "journal").read_bytes()
    with pytest.raises(IssueError, match="no journal"):
        push_study(study, str(tmp_path / "outbox"), journal=tmp_path / "journal")
    assert (tmp_path / "journal").read_bytes() == before
    assert not (tmp_path / "outbox").exists()


def test_a_journal_without_room_tells_what_was_sent(
    study: Study, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, times = Journal.write, count(1)

    def full(journal: Journal, entries: Any) -> None:
        if next(times) > 6:
            raise IssueError(Issue("fatal", "no-store", "no room", "journal"))
        write(journal, entries)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "write", full)
        pushed = push_study(study, server)
    assert 0 < pushed.created < ALL
    assert pushed.created + pushed.failed == ALL
    assert [issue.code for issue in pushed.issues] == ["no-store", "incomplete"]
    assert not status_of(study, server).complete
    assert counts(push_study(study, server))[3:] == (0, 0, 0, 0)
    assert status_of(study, server).counts == {"confirmed": ALL}


def test_a_folder_for_rejects_that_is_taken(study: Study, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine")
    with pytest.raises(IssueError, match="Something else is here"):
        push_study(study, str(tmp_path / "outbox"), rejects=tmp_path / "taken")
    assert not (tmp_path / "outbox").exists()


def test_the_journal_holds_no_patient_and_is_private(study: Study, server: str) -> None:
    push_study(study, server)
    path = journal_path(study.folder, server)
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    with sqlite3.connect(path) as db:
        text = "\n".join(db.iterdump())
    assert "HARA-01" not in text
    assert "1998-0" not in text


def test_two_at_once(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox, path = str(tmp_path / "outbox"), tmp_path / "journal"
    with held_journal(path), monkeypatch.context() as patched:
        patched.delattr(Journal, "open")  # who is refused must not take it for an idle one of its own
        with pytest.raises(IssueError, match="under way"):
            push_study(study, outbox, journal=path)
    assert push_study(study, outbox, journal=path).complete


def test_nothing_is_left_where_nothing_was_begun(tmp_path: Path) -> None:
    path = tmp_path / "own" / "journal"
    with held_journal(path), closing(Journal.open(path, {"study": "s"})):
        assert {each.suffix for each in path.parent.iterdir()} >= {"", ".lease"}
    assert not path.parent.exists()


def test_who_only_reads_a_journal_never_takes_it_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when one push ends, and the next begins, while a plan opens the journal."""
    path, about = tmp_path / "journal", {"study": "s"}
    read = journal._to_read

    def later(at: Path) -> sqlite3.Connection:
        Journal.open(at, about)._db.close()
        return read(at)

    monkeypatch.setattr(journal, "_to_read", later)
    Journal.open(path, about, write=False).close()
    assert path.exists()


def test_two_to_one_folder(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a journal of its own; what both put at once would be mixed."""
    outbox, finish, said = tmp_path / "outbox", Folder.finish, list[str]()

    def meanwhile(folder: Folder) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(Folder, "finish", finish)
            with pytest.raises(IssueError, match="under way"):
                push_study(study, str(outbox), journal=tmp_path / "second")
        said.append("refused")
        finish(folder)

    with monkeypatch.context() as patched:
        patched.setattr(Folder, "finish", meanwhile)
        assert push_study(study, str(outbox), journal=tmp_path / "first").complete
    assert said
    assert {path.suffix for path in outbox.iterdir()} == {".ndjson"}
    assert push_study(study, str(outbox), journal=tmp_path / "second").unchanged == 109


def test_a_disk_that_is_read_only(study: Study) -> None:
    with pytest.raises(IssueError, match="journal"):
        push_study(study, os.devnull + "/outbox", journal=Path(os.devnull) / "journal")


def test_status_of_nothing(study: Study, tmp_path: Path) -> None:
    with pytest.raises(IssueError, match="no journal"):
        status_of(study, str(tmp_path / "outbox"))


def test_the_journal_forgets_nothing(tmp_path: Path) -> None:
    about = {"study": "s", "target": "t", "version": "R4"}
    known = {"A/1": Entry("sent", b"h", "3", b"i"), "A/2": Entry("failed", code="value")}
    journal = Journal.open(tmp_path / "journal", about)
    journal.write(known)
    journal.close()
    again = Journal.open(tmp_path / "journal", about)
    assert again.entries(["A/1", "A/2", "A/3"]) == known
    assert sorted(again.refs("sent", "failed")) == ["A/1", "A/2"]


def test_rows_that_were_not_taken(folder: Path, study: Study, tmp_path: Path) -> None:
    def wrong(rows: list[Row]) -> None:
        for row in rows[:1200]:
            row["value"] = "not, a number" if row["measure"] != "MMT" else row["value"]

    edit(folder, "assessments", wrong)
    pushed = push_study(study, str(tmp_path / "outbox"), rejects=tmp_path / "rejects")
    with (tmp_path / "rejects/assessments.csv").open(newline="") as file:
        rejected = list(csv.DictReader(file))
    with (tmp_path / "rejects/issues.csv").open(newline="") as file:
        said = list(csv.DictReader(file))
    assert pushed.withheld == len(rejected) == len({(each["table"], each["row"]) for each in said})
    assert {row["value"] for row in rejected} == {"not, a number"}
    assert {each["table"] for each in said} == {"assessments"}
    assert [each["row"] for each in said] == sorted((each["row"] for each in said), key=int)
    assert not any(row["measure"] == "MMT" for row in rejected)


def test_who_sent_what(folder: Path, study: Study, server: str) -> None:
    def provenances() -> list[bytes]:
        return [line for page in Client(server).search("Provenance", {"_count": "1000"}) for line in page.matches]

    before = len(provenances())
    push_study(study, server)
    edit(folder, "assessments", set_ck("4711"))
    ref = first_update(study, server)
    assert counts(push_study(study, server, agent="Jane Doe")) == (0, 1, ALL - 1, 0, 0, 0, 0)
    assert counts(push_study(study, server, agent="Jane Doe")) == (0, 0, ALL, 0, 0, 0, 0)
    found = [json.loads(line) for line in provenances()]
    assert len(found) == before + 1
    mine = next(each for each in found if each["target"][0]["reference"].startswith(ref))
    assert [target["reference"] for target in mine["target"]] == [f"{ref}/_history/2"]
    assert mine["agent"] == [{"who": {"display": "Jane Doe"}}]
    Provenance.model_validate(mine)


def test_a_folder_that_cannot_be_finished_is_not_taken_for_written(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Folder) -> None:
        raise IssueError(Issue("fatal", "no-store", "the disk is full"))

    with monkeypatch.context() as patched:
        patched.setattr(Folder, "finish", full)
        with pytest.raises(IssueError, match="full"):
            push_study(study, str(tmp_path / "outbox"))
    assert status_of(study, str(tmp_path / "outbox")).counts == {"sent": ALL}
    assert counts(push_study(study, str(tmp_path / "outbox"))) == (ALL, 0, 0, 0, 0, 0, 0)
    assert status_of(study, str(tmp_path / "outbox")).counts == {"confirmed": ALL}
