"""The sample study in other shapes: the same tables and the same FHIR byte for byte, and the same files back."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner

from fhir_ivig.cli import main
from fhir_ivig.study.files import blocks, header
from fhir_ivig.study.study import Study
from fhir_ivig.study.tables import read_table
from fhir_ivig.study.writing import write_table
from fhir_ivig.sync.export import export
from fhir_ivig.sync.tabulate import tabulate
from sample_bundles.sources import FORMS, HERE, SAMPLE, undated, write_sources_of

FHIR = SAMPLE / "R4" / "ndjson"


def cells(study: Study) -> dict[str, pa.Table]:
    """What stands in the files of a study."""
    found = {}
    for part in (part for parts in study.tables.values() for part in parts):
        path = part.path(study.folder)
        names = header(path, part, part.name)
        found[part.name] = [
            {name: texts.cast(pa.string()).to_pylist() for name, texts in block.columns.items()}
            for block in blocks(path, part, part.name, names, 1 << 20)
        ]
    return found


def ordered(form: str, path: Path) -> bytes | list[bytes]:
    """A file's bytes; its lines by name where a table lies in several files, which are read one after another."""
    return sorted(path.read_bytes().splitlines()) if form == "hara2003_transport" else path.read_bytes()


@pytest.mark.parametrize("form", FORMS)
def test_the_files_are_what_the_script_writes(form: str, tmp_path: Path) -> None:
    write_sources_of(tmp_path / form, FORMS[form]())
    kept = [path for path in (HERE / form).iterdir() if path.name != "README.md"]
    assert sorted(path.name for path in kept) == sorted(path.name for path in (tmp_path / form).iterdir())
    for path in kept:
        assert path.read_bytes() == (tmp_path / form / path.name).read_bytes(), f"run `make samples`: {path}"


@pytest.mark.parametrize("form", FORMS)
def test_tables_and_fhir_are_the_same_bytes(form: str, tmp_path: Path) -> None:
    study = Study.load(HERE / form / "study.yaml")
    for table in study.tables:
        rows = list(read_table(study, table))
        assert [issue for part in rows for issue in part.issues] == []
        write_table(tmp_path / table, (part.batch for part in rows), list(study.dictionary[table].columns))
        assert ordered(form, tmp_path / table) == ordered(form, SAMPLE / f"{table}.csv")
    exported = export(study, tmp_path / "fhir")
    assert exported.complete
    for path in FHIR.iterdir():
        assert ordered(form, tmp_path / "fhir" / path.name) == ordered(form, path)
    tabulated = tabulate([tmp_path / "fhir"], study, tmp_path / "tables", sort=True)
    assert tabulated.complete
    for table in study.tables:
        assert (tmp_path / "tables" / f"{table}.csv").read_bytes() == (SAMPLE / f"{table}.csv").read_bytes()


@pytest.mark.parametrize("form", FORMS)
def test_going_back_gives_the_source_again(form: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["tabulate", str(FHIR), "--study", str(HERE / form), "--out", str(out), "--as", "source", "--sort"]
    done = CliRunner().invoke(main, command)
    assert (done.exit_code, (out / "issues.ndjson").read_text("utf-8")) == (0, ""), done.output
    for path in (HERE / form).iterdir():
        if path.suffix in (".csv", ".xpt", ".json"):
            assert undated((out / path.name).read_bytes()) == path.read_bytes()
    (out / "study.yaml").write_bytes((HERE / form / "study.yaml").read_bytes())
    assert cells(Study.load(out / "study.yaml")) == cells(Study.load(HERE / form / "study.yaml"))
