"""Nothing of what tells who a subject is stands in any byte of any output, whatever command wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest
import yaml
from click.testing import CliRunner, Result
from made import Row, edit, rows, sample, texts, write

from fhir_ivig.cli import main

NAME, MRN, TEXT, CITY = "Zsuzsanna", "88261-canary", "fell-off-her-bicycle", "Kecskemet"
SERVER, COMMENT, FOLDER = "fhir.hospital-canary.example.org", "a-comment-canary", "folder-canary"
CANARIES = (NAME, MRN, TEXT, CITY, SERVER, COMMENT, FOLDER, "CANARY-", "mrn-canary-system", "lot-canary")
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
TABLES = ("subjects", "courses", "infusions", "assessments", "medications", "adverse_events", "dispositions")
COLUMNS = {
    "subject": {"type": "code", "about": "The subject", "deidentify": "hash"},
    "nickname": {"type": "text", "about": "What the subject is called"},
    "seen_by": {"type": "code", "about": "Who saw the subject", "deidentify": "hash"},
    "told": {"type": "date", "about": "When the subject was told", "deidentify": "shift"},
    "score": {"type": "decimal", "about": "A score", "deidentify": "keep"},
}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The sample with a canary in every place that a person could put one."""
    root = tmp_path / FOLDER
    measures = yaml.load(sample(root / "first").read_text("utf-8"), yaml.BaseLoader)["measures"]
    file = sample(
        root / "study",
        dictionary={"interviews": {"about": "Interviews", "key": ["subject"], "columns": COLUMNS}},
        tables={table: {} for table in (*TABLES, "interviews")},
        parameters={"mrn_system": "https://mrn-canary-system.example.org/mrn"},
        server={"base": f"https://{SERVER}/fhir"},
        measures={**measures, "remark": {"label": "Remark"}},
        mappings=["more"],
    )
    (root / "study/more").mkdir()
    remark = Path(__file__).parents[2].joinpath("mappings/physician_assessment.yaml").read_text("utf-8")
    remark = remark.replace("measure: physician", "measure: remark").replace(
        '"{value via grades}"', '{text: "{value}"}'
    )
    remark = re.sub(r"  grades:\n(    .*\n)*", "", remark).replace("code: physician-assessment", "code: remark")
    (root / "study/more/remark.yaml").write_text(f"# {COMMENT}\n{remark}", "utf-8")
    file.write_text(f"# {COMMENT} {NAME}\n{file.read_text('utf-8')}", "utf-8")
    for table in TABLES:
        edit(file.parent, table, lambda row: {**row, "subject": row["subject"].replace("HARA-", "CANARY-")})
    edit(file.parent, "subjects", lambda row: {**row, "mrn": f"{MRN}-{row['subject'][-2:]}", "site": CITY})
    write(file.parent, "interviews", map(interview, rows(file.parent, "subjects")))
    edit(file.parent, "infusions", lambda row: {**row, "lot": f"lot-canary {row['lot']}", "product": f"{NAME}'s"})
    edit(file.parent, "adverse_events", lambda row: {**row, "term": f"{NAME} {TEXT}"})
    edit(file.parent, "dispositions", lambda row: {**row, "reason": TEXT, "arm": NAME})
    seen: set[tuple[str, str]] = set()

    def remarked(row: Row) -> Row:
        if row["measure"] == "physician" and not row["missing_reason"] and (row["subject"], row["visit"]) not in seen:
            seen.add((row["subject"], row["visit"]))
            return {**row, "measure": "remark", "value": f"{NAME} {TEXT}"}
        return row

    edit(file.parent, "assessments", remarked)
    assert seen
    return file


def interview(row: Row) -> Row:
    more = {"nickname": NAME, "seen_by": f"Dr {NAME}", "told": "1999-04-01", "score": "612.60"}
    return {"subject": row["subject"], **more}


def dates(folder: Path) -> set[str]:
    """Every date of the tables in a folder, to the day."""
    return {
        found[:10]
        for table in folder.glob("*.csv")
        for row in rows(folder, table.stem)
        for cell in row.values()
        for found in DATE.findall(cell)
    }


def told(folder: Path, original: set[str]) -> list[tuple[str, str]]:
    """What is in the files of a folder and should not be: a canary, or a date of the original."""
    everywhere = list(texts(folder))
    assert everywhere
    found = [(name, canary) for name, text in everywhere for canary in CANARIES if canary.lower() in text.lower()]
    return found + [(name, day) for name, text in everywhere for day in original.intersection(DATE.findall(text))]


def run(*words: str | Path, code: int = 0) -> Result:
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return done


COMMANDS = {
    "deidentify": ["deidentify", "STUDY", "--key", "KEY", "--fhir"],
    "deidentify to Parquet": ["deidentify", "STUDY", "--key", "KEY", "--format", "parquet"],
    "deidentify to R5": ["deidentify", "STUDY", "--key", "KEY", "--fhir", "--fhir-version", "R5"],
    "deidentify a cohort": ["deidentify", "COHORT", "--key", "KEY", "--fhir"],
    "export": ["export", "STUDY", "--deidentify", "KEY"],
    "export of Bundles": ["export", "STUDY", "--deidentify", "KEY", "--format", "bundle"],
    "tabulate": ["tabulate", "FHIR", "--study", "STUDY", "--deidentify", "KEY"],
    "tabulate to Parquet": ["tabulate", "FHIR", "--study", "STUDY", "--deidentify", "KEY", "--format", "parquet"],
    "tabulate to Excel": ["tabulate", "--study", "STUDY", "--deidentify", "KEY", "--format", "excel"],
    "tabulate to Dataset-JSON": ["tabulate", "--study", "STUDY", "--deidentify", "KEY", "--format", "dataset-json"],
    "tabulate to SAS": ["tabulate", "FHIR", "--study", "STUDY", "--deidentify", "KEY", "--format", "xpt"],
    **{
        f"{shape} to {form}": [
            "tabulate",
            "--study",
            "STUDY",
            "--deidentify",
            "KEY",
            "--datasets",
            shape,
            "--format",
            form,
        ]
        for shape, form in (("sdtm", "xpt"), ("sdtm", "csv"), ("adam", "dataset-json"), ("adam", "excel"))
    },
    "pull": ["pull", "STUDY", "--from", "FHIR", "--deidentify", "KEY"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_canary_in_any_output(name: str, study: Path, tmp_path: Path) -> None:
    places = {
        "STUDY": study,
        "KEY": tmp_path / "key",
        "FHIR": tmp_path / "fhir",
        "COHORT": tmp_path / "cohort",
        "OUT": tmp_path / "new",
    }
    if "FHIR" in COMMANDS[name] or "COHORT" in COMMANDS[name]:
        run("export", study, "--out", places["FHIR"])
    if "COHORT" in COMMANDS[name]:
        run("pull", study, "--from", places["FHIR"], "--out", places["COHORT"])
    words = [places.get(word, word) for word in COMMANDS[name]]
    said = json.loads(run(*words, "--out", places["OUT"], "--json").stdout)
    assert said["complete"]
    assert said["rows"]["assessments"] == 335
    original = dates(study.parent)
    assert len(original) > 200
    assert told(study.parent, original)  # the search finds them where they are
    assert told(places["OUT"], original) == []


def test_no_canary_where_rows_are_wrong(study: Path, tmp_path: Path) -> None:
    """Issues quote cells: they are shown, and stand in no file."""
    edit(study.parent, "subjects", lambda row: {**row, "sex": NAME} if row["subject"] == "CANARY-03" else row)
    shown = run("deidentify", study, "--key", tmp_path / "key", "--out", tmp_path / "out", "--fhir", code=1)
    assert f"error: subjects.csv:4, column sex: `{NAME}` is not known here" in shown.stderr
    assert "error: de-identified assessments.csv:" in shown.stderr
    assert told(tmp_path / "out", dates(study.parent)) == []
    assert json.loads((tmp_path / "out/manifest.json").read_text())["complete"] is False


def test_rows_are_not_in_the_order_of_the_subjects(study: Path, tmp_path: Path) -> None:
    run("deidentify", study, "--key", tmp_path / "key", "--out", tmp_path / "out")
    for table in ("subjects", "courses", "assessments", "dispositions"):
        subjects = [row["subject"] for row in rows(tmp_path / "out", table)]
        assert subjects == sorted(subjects)


def test_the_same_key_gives_the_same_and_another_does_not(study: Path, tmp_path: Path) -> None:
    def files(key: str, out: str) -> Iterator[bytes]:
        run("deidentify", study, "--key", tmp_path / key, "--out", tmp_path / out, "--fhir")
        yield from (path.read_bytes() for path in sorted((tmp_path / out).rglob("*.*")))

    def hashes(out: str) -> set[str]:
        people = [*rows(tmp_path / out, "subjects"), *rows(tmp_path / out, "interviews")]
        return {row[column] for row in people for column in ("subject", "site", "seen_by") if column in row}

    assert list(files("key", "one")) == list(files("key", "two")) != list(files("other", "three"))
    assert len(hashes("one")) == 14
    assert not hashes("one") & hashes("three")


def test_what_is_kept_is_kept_to_the_character(study: Path, tmp_path: Path) -> None:
    run("deidentify", study, "--key", tmp_path / "key", "--out", tmp_path / "out")
    kept = ("visit", "measure", "sign", "unit", "upper_limit", "scale_max", "missing_reason")

    def cells(folder: Path) -> list[tuple[str, ...]]:
        return sorted(tuple(row[name] for name in kept) for row in rows(folder, "assessments"))

    assert cells(study.parent) == cells(tmp_path / "out")
    assert {row["score"] for row in rows(tmp_path / "out", "interviews")} == {"612.60"}
    numbers = [row["value"] for row in rows(study.parent, "assessments") if row["measure"] != "remark"]
    assert sorted(numbers) == sorted(
        row["value"] for row in rows(tmp_path / "out", "assessments") if row["measure"] != "remark"
    )


def test_the_output_is_a_study_that_stands_alone(study: Path, tmp_path: Path) -> None:
    run("deidentify", study, "--key", tmp_path / "key", "--out", tmp_path / "out")
    copytree(tmp_path / "out", tmp_path / "elsewhere/alone")
    assert "0 withheld" in run("check", tmp_path / "elsewhere/alone").stderr
