"""`fhir-ivig diff` as a person types it: against a folder, files of FHIR and a server; its files; what it refuses."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from done import Done
from sample_study import SAMPLE, copied, own_study, rows

Typed = Callable[..., Done]


@pytest.fixture(scope="module")
def record(typed: Typed, exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample as a hospital has it, pulled."""
    out = tmp_path_factory.mktemp("pulled") / "record"
    assert typed("pull", SAMPLE, "--from", exported, "--out", out).code == 0
    return out


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The sample's tables, with a hostile text and a value in them that the record does not have."""
    folder = copied(tmp_path / "study")
    change(folder / "assessments.csv", ",2410,U/L", ",241.0,U/L")
    change(folder / "infusions.csv", "G8041", "=1+1")
    return folder


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")


def test_equal(typed: Typed, record: Path, exported: Path) -> None:
    for against in (record, record / "study.yaml", exported):
        done = typed("diff", SAMPLE, "--against", against)
        assert (done.code, done.stdout) == (0, "")
        assert done.stderr.endswith("2123 cells: 2123 equal (100.0 %); 0 differences.\n")


def test_the_study_is_no_record_of_itself(typed: Typed, study: Path) -> None:
    for against in (study, study / "study.yaml", study.parent / "study/../study"):
        done = typed("diff", study, "--against", against)
        assert (done.code, "This is the study itself" in done.stderr) == (3, True)


def test_against_a_server(typed: Typed, tmp_path: Path, server: str) -> None:
    study = own_study(tmp_path / "study", subjects=["HARA-01"]).folder
    assert typed("push", study, "--to", server).code == 0
    assert typed("diff", study, "--against", server).code == 0
    change(study / "subjects.csv", "HARA-01,male", "HARA-01,female")
    done = typed("diff", study, "--against", server, "--json")
    assert done.code == 1
    [one] = done.json["differences"]
    assert (one["column"], one["study"], one["record"]) == ("sex", "female", "male")
    assert one["resource"].startswith("Patient/")
    assert one["record_row"] is None  # of files that are gone


def test_what_differs_is_written(typed: Typed, study: Path, record: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for _ in range(2):  # an earlier output is replaced
        done = typed("diff", study, "--against", record, "--out", out)
        assert done.code == 1
    assert done.stdout.splitlines()[0].split() == ["kind", "how", "many", "what", "it", "is"]
    assert "decimal shift" in done.stdout
    assert "2 differences" in done.stderr
    assert "An apostrophe stands before 1 cell that would run" in done.stderr
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    lot, one = rows(out / "differences.csv")
    assert (one["kind"], one["study"], one["record"]) == ("decimal shift", "241.0 U/L", "2410 U/L")
    assert (one["study_file"], one["study_row"], one["site"]) == ("assessments.csv", "3", "S1")
    assert (lot["study"], lot["record"]) == ("'=1+1", "G8041")
    queries = rows(out / "queries.csv")
    assert queries[1]["question"] == (
        "Assessments, CK at week 0: value is 241.0 U/L in the study and 2410 U/L in the hospital's record. "
        "The record's is 10 times the study's. Which is right?"
    )
    agreement = {(row["table"], row["measure"], row["site"]): row for row in rows(out / "agreement.csv")}
    assert agreement["assessments", "CK", "S1"]["different"] == "1"
    assert agreement["assessments", "CK", "S2"]["percent"] == "100.0"
    assert sum(int(row["cells"]) for row in agreement.values()) == 2123
    assert json.loads((out / "manifest.json").read_text("utf-8"))["differences"] == 2
    assert "decimal shift" in (out / "diff.html").read_text("utf-8")


def test_no_query_names_a_person(typed: Typed, study: Path, record: Path, tmp_path: Path) -> None:
    change(study / "subjects.csv", "1943-11-23", "1944-11-23")
    change(study / "subjects.csv", "0041873", "0041874")
    change(study / "adverse_events.csv", "Blood urea nitrogen increased", "Headache of Mrs Canary")
    events = (study / "adverse_events.csv").read_text("utf-8").splitlines(keepends=True)
    (study / "adverse_events.csv").write_text("".join([events[0], *events[2:]]), "utf-8")  # a row only in the record
    change(study / "dispositions.csv", "Moved to another hospital", "Moved to Canary")
    assert typed("diff", study, "--against", record, "--out", tmp_path / "out").code == 1
    text = (tmp_path / "out/queries.csv").read_text("utf-8")
    assert len(text.splitlines()) == 8
    for private in ("1943-11-23", "1944-11-23", "004187", "Headache", "Canary", "urea", "infarction"):
        assert private not in text


def called_incomplete(record: Path) -> None:
    change(record / "manifest.json", '"complete": true', '"complete": false')


def with_a_broken_line(record: Path) -> None:
    (record / "manifest.json").unlink()
    with (record / "fhir/Observation.ndjson").open("a", encoding="utf-8") as file:
        file.write("{not json\n")


@pytest.mark.parametrize(
    ("spoil", "against", "said", "code"),
    [
        (called_incomplete, "", "not known to be complete", 0),
        (with_a_broken_line, "fhir", "Not all of the record could be read", 1),
    ],
)
def test_a_record_that_may_lack_something_is_refused(
    typed: Typed, record: Path, tmp_path: Path, spoil: Callable[[Path], None], against: str, said: str, code: int
) -> None:
    spoilt = shutil.copytree(record, tmp_path / "spoilt")
    spoil(spoilt)
    done = typed("diff", SAMPLE, "--against", spoilt / against)
    assert done.code == 3
    assert said in done.stderr
    done = typed("diff", SAMPLE, "--against", spoilt / against, "--incomplete")
    assert done.code == code
    assert "what is only in the study may be there after all" in done.stderr


def test_another_study_is_refused(typed: Typed, study: Path, record: Path) -> None:
    change(study / "study.yaml", "studies/hara2003", "studies/hara2004")
    done = typed("diff", study, "--against", record)
    assert done.code == 3
    assert "the record of another study: its base is https://example.org/studies/hara2003" in done.stderr


def test_a_table_or_column_that_is_not_there(typed: Typed, study: Path, record: Path, tmp_path: Path) -> None:
    some = shutil.copytree(record, tmp_path / "some")
    (some / "infusions.csv").unlink()
    text = (study / "subjects.csv").read_text("utf-8").splitlines()
    (study / "subjects.csv").write_text("".join(line.rpartition(",")[0] + "\n" for line in text), "utf-8")
    done = typed("diff", study, "--against", some, "--json")
    assert done.code == 1
    assert [one["kind"] for one in done.json["differences"]] == ["decimal shift"]
    assert done.json["left_out"] == ["subjects.site (only in the record)", "infusions (not in the record)"]
    assert "error: record: It has no table infusions, which was not compared" in done.stderr


def test_what_no_mapping_carries_is_not_missing(typed: Typed, study: Path, exported: Path) -> None:
    with (study / "study.yaml").open("a", encoding="utf-8") as file:
        file.write(
            "dictionary:\n  subjects: {columns: {shoe: {type: code, about: Size of shoes}}}\n"
            "  diaries: {about: Diaries, key: [subject, page], columns: {subject: {type: code, about: Whose}, "
            "page: {type: code, about: Page}, text: {type: text, about: Text}}}\n"
        )
    change(study / "study.yaml", "  courses: {}\n", "  courses: {}\n  diaries: {}\n")
    change(study / "study.yaml", "  weight: {", "  LD: {label: Lactate dehydrogenase, unit: U/L}\n  weight: {")
    (study / "diaries.csv").write_text("subject,page,text\nHARA-01,1,Slept well\n", "utf-8")
    lines = (study / "subjects.csv").read_text("utf-8").splitlines()
    (study / "subjects.csv").write_text("".join(f"{line},{'41' if n else 'shoe'}\n" for n, line in enumerate(lines)))
    with (study / "assessments.csv").open("a", encoding="utf-8") as file:
        file.write("HARA-01,week 0,1998-06-05,LD,,240,U/L,,,\n")
    done = typed("diff", study, "--against", exported, "--json")
    assert [one["kind"] for one in done.json["differences"]] == ["value", "decimal shift"]
    assert done.json["left_out"] == [
        "subjects.shoe (no mapping carries it)",
        "diaries (no mapping carries it)",
        "assessments, measure LD (no mapping carries it: 1 row)",
    ]


def test_a_table_that_cannot_be_read_is_not_missing(typed: Typed, study: Path, record: Path) -> None:
    (study / "medications.csv").write_bytes(b"\xff\xfe\x00")
    done = typed("diff", study, "--against", record, "--json")
    assert done.code == 1
    assert {one["table"] for one in done.json["differences"]} == {"assessments", "infusions"}
    assert "medications.csv" in done.stderr


@pytest.mark.parametrize("against", ["nowhere", "http://example.org/fhir", "study.yaml", ""])
def test_nothing_to_compare_with(typed: Typed, study: Path, tmp_path: Path, against: str) -> None:
    (tmp_path / "study.yaml").mkdir()
    done = typed("diff", study, "--against", tmp_path / against if against in ("nowhere", "study.yaml") else against)
    assert done.code == 3
    assert done.stdout == ""
    assert done.stderr.startswith("fatal: ")


def test_one_table_is_no_record(typed: Typed, study: Path, record: Path) -> None:
    done = typed("diff", study, "--against", record / "assessments.csv")
    assert done.code == 3
    assert "This is one table: name the folder" in done.stderr


def test_without_a_record(typed: Typed, study: Path) -> None:
    done = typed("diff", study)
    assert done.code == 3
    assert "--against" in done.stderr


def test_the_output_replaces_nothing_of_others(typed: Typed, study: Path, record: Path, tmp_path: Path) -> None:
    for out in (study, record, tmp_path):
        assert typed("diff", study, "--against", record, "--out", out).code == 3
    assert (record / "assessments.csv").exists()
    assert (study / "assessments.csv").exists()
