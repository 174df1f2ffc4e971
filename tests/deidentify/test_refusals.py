"""What is not sure to be safe, or cannot be moved, does not leave, and is said with its place."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made import Row, edit, rows, sample, write

from fhir_ivig.deidentify.definition import LEAVES
from fhir_ivig.deidentify.key import Key
from fhir_ivig.deidentify.passing import deidentified, pull_deidentified
from fhir_ivig.deidentify.study import Deidentified, deidentify
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.study.study import KEYS, Study
from fhir_ivig.sync.export import export
from fhir_ivig.sync.pull_study import pull_study

STAYS = {"tables", "mappings", "server"}  # told anew, copied, and left out


def run(file: Path, **how: Any) -> Deidentified:
    return deidentify(Study.load(file), file.parent.with_name("key"), file.parent.with_name("out"), **how)


def refused(file: Path, **how: Any) -> list[Issue]:
    """The Issues of a study that is refused; nothing is written then."""
    with pytest.raises(IssueError) as raised:
        run(file, **how)
    assert not file.parent.with_name("out").exists()
    return raised.value.issues


def errors(made: Deidentified) -> list[tuple[str | None, int | None, str | None]]:
    return [(issue.file, issue.row, issue.column) for issue in made.log.first if issue.severity == "error"]


def first(change: Callable[[Row], Row]) -> Callable[[Row], Row]:
    """Changes the rows of the first subject."""
    return lambda row: change(row) if row["subject"] == "HARA-01" else row


def test_it_is_decided_of_every_key_of_a_study_file_whether_it_leaves() -> None:
    assert {*LEAVES, *STAYS} == set(KEYS)


def test_a_column_without_a_class_is_refused(tmp_path: Path) -> None:
    columns = {"ward": {"type": "code", "about": "The ward"}, "note": {"type": "text", "about": "A note"}}
    [issue] = refused(sample(tmp_path / "study", dictionary={"subjects": {"columns": columns}}))
    assert (issue.severity, issue.file, issue.column) == ("fatal", "study.yaml", "subjects.ward")
    assert "has no class" in issue.text
    assert not (tmp_path / "key").exists()


def test_a_study_file_that_names_a_person_is_refused(tmp_path: Path) -> None:
    populations = {"all": {"label": "Not hara 03", "table": "subjects", "where": {"sex": ["male", "female"]}}}
    [issue] = refused(sample(tmp_path / "study", populations=populations, endpoints=None))
    assert (issue.file, issue.text.split(":")[0]) == (
        "study.yaml",
        "populations.all.label names `HARA-03`, a cell of subjects.subject that does not leave",
    )


def test_a_mapping_file_that_names_a_person_is_refused(tmp_path: Path) -> None:
    file = sample(tmp_path / "study", mappings=["more"])
    (tmp_path / "study/more").mkdir()
    pain = Path(__file__).parents[2].joinpath("mappings/muscle_pain.yaml").read_text("utf-8")
    (tmp_path / "study/more/muscle_pain.yaml").write_text(pain.replace("text: ", "text: Not of HARA-03, "), "utf-8")
    assert {(issue.file, "`HARA-03`" in issue.text) for issue in refused(file)} == {
        ("mappings/1/muscle_pain.yaml", True)
    }


def test_a_key_in_the_folder_to_write_is_refused(tmp_path: Path) -> None:
    study = Study.load(sample(tmp_path / "study"))
    with pytest.raises(IssueError, match="lies in the folder to write"):
        deidentify(study, tmp_path / "out" / "key", tmp_path / "out")


def test_links_in_a_circle_are_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "out")
    with pytest.raises(IssueError, match="Cannot write: Not a directory"):
        run(sample(tmp_path / "study"))


def test_twice_is_refused(tmp_path: Path) -> None:
    run(sample(tmp_path / "study"))
    with pytest.raises(IssueError, match="de-identified already"):
        deidentify(Study.load(tmp_path / "out/study.yaml"), tmp_path / "key", tmp_path / "again")


def test_it_does_not_go_where_something_else_was(tmp_path: Path) -> None:
    study = Study.load(sample(tmp_path / "study"))
    export(study, tmp_path / "fhir")
    pull_study(study, str(tmp_path / "fhir"), tmp_path / "out")
    for again in (
        lambda: deidentify(study, tmp_path / "key", tmp_path / "out"),
        lambda: pull_deidentified(study, str(tmp_path / "fhir"), tmp_path / "key", tmp_path / "out"),
    ):
        with pytest.raises(IssueError, match="is not de-identified: choose another folder"):
            again()
    assert (tmp_path / "out/resources").is_dir()


def test_two_cells_of_one_hash_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Key, "hashed", lambda self, kind, text: "same")
    [issue] = refused(sample(tmp_path / "study"))
    assert (issue.file, issue.column) == ("subjects.csv", "subject")
    assert "same hash" in issue.text


@pytest.mark.parametrize("day", ["1799-12-31", "2150-06-01", "9999-12-31", "2150", "1998-13-01", "soon"])
def test_a_date_that_cannot_be_moved_keeps_its_row(tmp_path: Path, day: str) -> None:
    file = sample(tmp_path / "study")
    edit(file.parent, "subjects", first(lambda row: {**row, "diagnosis_date": day}))
    made = run(file)
    assert errors(made) == [("subjects.csv", 2, "diagnosis_date")]
    assert (made.complete, made.rows["subjects"], made.withheld["subjects"]) == (False, 11, 1)
    assert json.loads((tmp_path / "out/manifest.json").read_text())["complete"] is False


def test_keys_that_become_equal_keep_their_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Doses of a subject from months of one year: moved by these days, two are a year."""
    monkeypatch.setattr(Key, "days", lambda self, subject: 40_000)
    file = sample(tmp_path / "study")
    doses = rows(file.parent, "medications")
    months = ("1990-05", "1990-06", "1990-07")
    write(file.parent, "medications", [{**dose, "start": day} for dose, day in zip(doses, months, strict=False)])
    made = run(file)
    assert errors(made) == [("medications.csv", row, "start") for row in (2, 3)]
    assert [row["start"] for row in rows(tmp_path / "out", "medications")] == ["2100"]


def test_a_date_without_a_subject_keeps_its_row(tmp_path: Path) -> None:
    columns = {
        "call": {"type": "code", "about": "Which call", "deidentify": "word"},
        "subject": {"type": "code", "about": "Who was called", "deidentify": "hash"},
        "day": {"type": "date", "about": "When", "deidentify": "shift"},
    }
    tables = {"calls": {"about": "Calls", "key": ["call"], "columns": columns}}
    file = sample(tmp_path / "study", dictionary=tables, tables={"subjects": {}, "calls": {}})
    calls = [("1", "HARA-01", "1999-01-01"), ("2", "", "1999-01-02"), ("3", "", "")]
    write(file.parent, "calls", [dict(zip(columns, call, strict=True)) for call in calls])
    made = run(file)
    assert errors(made) == [("calls.csv", 3, "day")]
    assert {row["call"] for row in rows(tmp_path / "out", "calls")} == {"1", "3"}


def test_ages_above_89_are_pooled(tmp_path: Path) -> None:
    file = sample(tmp_path / "study", endpoints={"all": {"kind": "count", "population": "treated"}})
    births = {"HARA-01": "1900-01-01", "HARA-02": "1895", "HARA-03": "1909-02-01"}  # 98, 103, and 89 that becomes 90
    edit(file.parent, "subjects", lambda row: {**row, "birth_date": births.get(row["subject"], row["birth_date"])})
    edit(
        file.parent, "dispositions", lambda row: {**row, "date": "1999-06-01"} if row["subject"] == "HARA-03" else row
    )
    made = run(file)
    [said] = [issue.text for issue in made.log.first if issue.column == "birth_date" and issue.severity == "warning"]
    assert said.startswith("3 subjects above 89 are given as 90")
    key = Key.load(tmp_path / "key", Study.load(file).base)
    born = {row["subject"]: row["birth_date"] for row in rows(tmp_path / "out", "subjects")}
    begun = {row["subject"]: row["start"] for row in reversed(rows(tmp_path / "out", "infusions"))}
    for subject in (key.hashed("subject", name) for name in births):
        months = [int(text[:4]) * 12 + int(text[5:7]) for text in (begun[subject], born[subject])]
        assert months[0] - months[1] == 90 * 12 + 1


def test_an_incomplete_cohort_stays_incomplete(tmp_path: Path) -> None:
    file = sample(tmp_path / "study")
    (file.parent / "manifest.json").write_text('{"complete": false, "issues": {}}')
    made = run(file)
    assert not made.complete
    assert errors(made) == []
    assert json.loads((tmp_path / "out/manifest.json").read_text())["complete"] is False


def test_what_is_less_complete_does_not_replace_what_is(tmp_path: Path) -> None:
    file = sample(tmp_path / "study")
    assert run(file).complete
    edit(file.parent, "subjects", first(lambda row: {**row, "sex": "?"}))
    assert run(file).out == tmp_path / "out.incomplete"
    assert json.loads((tmp_path / "out/manifest.json").read_text())["complete"] is True


ASKED = {
    "reasons": ({"table": "dispositions", "where": {"reason": "Moved"}}, "populations.reasons", "is removed"),
    "old": (
        {"table": "subjects", "where": {"birth_date": {"at_most": "1950-12-31"}}},
        "compares `birth_date`",
        "are moved",
    ),
    "early": ({"table": "courses", "where": {"start": {"at_most": "1999-12-31"}}}, "compares `start`", "are moved"),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_a_population_asks_in_vain_is_said(name: str, tmp_path: Path) -> None:
    rule, *wanted = ASKED[name]
    study = {"label": "Some", **rule}
    made = run(sample(tmp_path / "study", populations={name: study}, endpoints=None, multiplicity=None))
    found = [issue.text for issue in made.log.first if issue.file == "study.yaml" and issue.severity == "warning"]
    assert [all(word in text for word in wanted) for text in found] == [True]


def test_a_parameter_that_leaves_is_told(tmp_path: Path) -> None:
    systems = {"mrn_system": "https://hospital.example.org/mrn", "ward_system": "https://hospital.example.org/ward"}
    made = run(sample(tmp_path / "study", parameters=systems))
    text = (tmp_path / "out/study.yaml").read_text("utf-8")
    assert [word in text for word in systems.values()] == [False, True]
    assert [issue.text for issue in made.log.first if "parameter" in issue.text] == [
        "The parameter ward_system leaves as it is."
    ]


def test_a_watch_list_without_terms_is_said(tmp_path: Path) -> None:
    made = run(sample(tmp_path / "study", "after_proderm2022"))
    assert [issue.severity for issue in made.log.first if "endpoints.watch_list looks for words" in issue.text] == [
        "warning"
    ]


def test_words_that_nobody_named_become_hashes(tmp_path: Path) -> None:
    file = sample(tmp_path / "study", deidentify={"words": ["azathioprine"]})
    write(
        file.parent,
        "medications",
        [
            {**row, "medication": word}
            for row in rows(file.parent, "medications")
            for word in ("prednisolone", "azathioprine", "secret-1")
        ],
    )
    made = run(file)
    words = {row["medication"] for row in rows(tmp_path / "out", "medications")}
    hashed = Key.load(tmp_path / "key", Study.load(file).base).hashed("medication", "secret-1")
    assert words == {"prednisolone", "azathioprine", hashed}
    assert [issue.severity for issue in made.log.first if issue.column == "medication"] == ["information"]


def test_nothing_stays_among_the_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    study = Study.load(sample(tmp_path / "study"))
    export(study, tmp_path / "fhir")
    assert pull_deidentified(study, str(tmp_path / "fhir"), tmp_path / "key", tmp_path / "cohort").complete
    with deidentified(study, tmp_path / "key", tmp_path / "out", [tmp_path / "fhir"]) as (hidden, made):
        assert hidden.path.is_file()
        assert made.complete
    with pytest.raises(IssueError):
        pull_deidentified(study, str(tmp_path / "nowhere"), tmp_path / "key", tmp_path / "none")
    assert list(temporary.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cohort", "fhir", "key", "study", "temporary"]
