"""A study's own tables in every kind of file: what is read back is the tables."""

from __future__ import annotations

import gc
import json
import resource
import shutil
import signal
import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from datasets.read_back import READ
from sample_study import copied

from fhir_ivig.datasets.output import KINDS, converted, write_own, writer
from fhir_ivig.datasets.own import own_dataset
from fhir_ivig.datasets.sas_names import sas_names
from fhir_ivig.issue import IssueError
from fhir_ivig.study.cohort import load_tables
from fhir_ivig.study.study import Study
from fhir_ivig.study.writing import read_written
from fhir_ivig.sync.export import export
from fhir_ivig.sync.tabulate import tabulate

BUNDLES = Path(__file__).parents[2] / "sample_bundles"
STUDIES = ["hara2003", "after_miyasaka2012", "after_proderm2022"]


def load(name: str) -> Study:
    return Study.load(BUNDLES / name / "study.yaml")


def same(study: Study, name: str, table: pa.Table, kind: str, folder: Path) -> None:
    """A table's file holds the table: every sign of it, in SAS every number."""
    read = READ[kind](folder, name)
    sas = kind == "xpt"
    names = sas_names(table.column_names) if sas else {column: column for column in table.column_names}
    assert list(read) == list(names.values())
    for variable in own_dataset(study, name, table).variables:
        cells, back = table.column(variable.name).to_pylist(), read[names[variable.name]]
        if sas and variable.kind in ("integer", "decimal"):
            assert [cell and Decimal(cell) for cell in back] == [cell and Decimal(cell) for cell in cells]
        else:
            assert back == cells


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", STUDIES)
def test_own_tables_come_back(name: str, kind: str, tmp_path: Path) -> None:
    study = load(name)
    tables = load_tables(study, study.folder)[0]
    written = write_own(study, tmp_path / "out", kind)
    assert written.complete
    assert written.rows == {table: cells.num_rows for table, cells in tables.items()}
    assert set(written.log.counts) <= {"information"}
    assert json.loads((tmp_path / "out/manifest.json").read_text())["format"] == kind
    for table, cells in tables.items():
        same(study, table, cells, kind, tmp_path / "out")


@pytest.mark.parametrize("kind", ["excel", "dataset-json", "xpt"])
def test_tables_read_from_fhir_come_back(kind: str, tmp_path: Path) -> None:
    study = load("hara2003")
    export(study, tmp_path / "fhir")
    tabulate([tmp_path / "fhir"], study, tmp_path / "csv")
    found = tabulate([tmp_path / "fhir"], study, tmp_path / "out", convert=converted(study, kind))
    assert found.complete
    assert (tmp_path / "out/issues.ndjson").read_text().count("\n") == found.log.counts.total()
    for path in (tmp_path / "csv").glob("*.csv"):
        same(study, path.stem, read_written(path), kind, tmp_path / "out")
        assert not (tmp_path / "out" / path.name).exists()
        resources = f"resources/{path.name}"
        assert (tmp_path / "out" / resources).read_bytes() == (tmp_path / "csv" / resources).read_bytes()


def test_issues_name_the_table_where_its_csv_is_gone(tmp_path: Path) -> None:
    study = load("hara2003")
    for name in ("fhir", "again"):
        export(study, tmp_path / name)
    read = [tmp_path / "fhir", tmp_path / "again"]
    found = tabulate(read, study, tmp_path / "out", convert=converted(study, "excel"))
    files = {issue.file for issue in found.log.first}
    assert {"courses", "infusions"} <= files
    assert not [file for file in files if file and file.endswith(".csv")]


def test_a_cohort_with_resources_keeps_them(tmp_path: Path) -> None:
    study = load("hara2003")
    export(study, tmp_path / "fhir")
    tabulate([tmp_path / "fhir"], study, tmp_path / "cohort")
    shutil.copy(study.path, tmp_path / "cohort")
    write_own(Study.load(tmp_path / "cohort/study.yaml"), tmp_path / "out", "xpt")
    for path in (tmp_path / "out/resources").iterdir():
        assert path.read_bytes() == (tmp_path / "cohort/resources" / path.name).read_bytes()
    assert len(list((tmp_path / "out/resources").iterdir())) == len(study.tables)


def test_labels_and_kinds_are_the_dictionarys() -> None:
    study = load("hara2003")
    tables = load_tables(study, study.folder)[0]
    variables = {
        (name, variable.name): variable
        for name, table in tables.items()
        for variable in own_dataset(study, name, table).variables
    }
    assert variables["subjects", "sex"].label == "Administrative sex"
    assert variables["subjects", "subject"].label == "Subject"  # what the dictionary says is longer than SAS allows
    assert variables["subjects", "subject"].note == study.dictionary["subjects"].columns["subject"].about
    assert variables["subjects", "sex"].codes == ("female", "male", "other", "unknown")
    kinds = {"birth_date": "date", "diagnosis_date": "datetime", "biopsy_proven": "text"}
    assert {name: variables["subjects", name].kind for name in kinds} == kinds
    assert variables["courses", "planned_days"].kind == "integer"
    assert variables["infusions", "dose"].kind == "decimal"
    assert variables["assessments", "value"].kind == "text"  # the physicians' assessment is graded in words
    assert all(len(variable.label) <= 40 for variable in variables.values())


def test_values_are_numbers_where_all_measures_are() -> None:
    study = load("hara2003")
    study = replace(study, measures={name: one for name, one in study.measures.items() if one.unit})
    table = load_tables(study, study.folder)[0]["assessments"]
    kinds = {variable.name: variable.kind for variable in own_dataset(study, "assessments", table).variables}
    assert kinds["value"] == "decimal"


def test_a_row_in_which_something_is_wrong_is_left_out_and_named(tmp_path: Path) -> None:
    folder = copied(tmp_path / "study")
    subjects = (folder / "subjects.csv").read_text().replace("female", "femail", 1)
    (folder / "subjects.csv").write_text(subjects)
    written = write_own(Study.load(folder / "study.yaml"), tmp_path / "out", "xpt")
    assert not written.complete
    assert written.rows["subjects"] == 11
    lines = [json.loads(line) for line in (tmp_path / "out/issues.ndjson").read_text().splitlines()]
    assert [line["column"] for line in lines if line["severity"] == "error"] == ["sex"]


def test_a_table_that_cannot_be_read_is_no_empty_file(tmp_path: Path) -> None:
    folder = copied(tmp_path / "study")
    (folder / "subjects.csv").unlink()
    (folder / "dispositions.csv").write_text((folder / "dispositions.csv").read_text().partition("\n")[0] + "\n")
    written = write_own(Study.load(folder / "study.yaml"), tmp_path / "out", "xpt")
    assert not written.complete
    assert not (tmp_path / "out/subjects.xpt").exists()
    assert READ["xpt"](tmp_path / "out", "dispositions")["STATUS"] == []  # a table without rows is one
    assert "subjects" not in written.rows


def test_a_study_without_tables_has_nothing_to_write(tmp_path: Path) -> None:
    with pytest.raises(IssueError, match="names no tables"):
        write_own(replace(load("hara2003"), tables={}), tmp_path / "out", "csv")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_is_said_and_nothing_left(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = load("hara2003")
    writer(kind)  # what is imported is imported
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    held = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(IssueError, match="Cannot write"):
            write_own(study, tmp_path / "out", kind)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, held)
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""


def test_a_workbook_is_made_in_its_folder_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    write_own(load("hara2003"), tmp_path / "out", "excel")
    assert tempfile.tempdir == str(tmp_path / "nowhere")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "datasets.xlsx",
        "issues.ndjson",
        "manifest.json",
        "resources",
    }


@pytest.mark.parametrize("name", STUDIES)
def test_another_reader_of_sas_files_reads_the_same(name: str, tmp_path: Path) -> None:
    study = load(name)
    write_own(study, tmp_path / "out", "xpt")
    for path in (tmp_path / "out").glob("*.xpt"):
        frame = pd.read_sas(path, format="xport", encoding="ascii")
        other = READ["xpt"](tmp_path / "out", path.stem)
        assert list(frame.columns) == list(other)
        for column, cells in other.items():
            assert len(cells) - len(frame) in (0, 1)  # pandas takes blanks in a last row's cells for no row
            for cell, back in zip(frame[column], cells[: len(frame)], strict=True):
                if back is None:
                    assert cell == "" or pd.isna(cell)
                else:
                    assert cell == (float(back) if isinstance(cell, float) else back)


def test_an_output_is_replaced_but_not_the_study(tmp_path: Path) -> None:
    study = load("hara2003")
    for kind in KINDS:
        write_own(study, tmp_path / "out", kind)
    assert (tmp_path / "out/subjects.xpt").exists()
    assert not (tmp_path / "out/datasets.xlsx").exists()
    folder = copied(tmp_path / "study")
    with pytest.raises(IssueError, match="lies in the folder to write"):
        write_own(Study.load(folder / "study.yaml"), folder, "xpt")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.json").write_text("{}")
    with pytest.raises(IssueError, match="Something else is here"):
        write_own(study, tmp_path / "other", "xpt")
