"""The sample study as a REDCap project: the same tables and the same FHIR byte for byte, and the project back."""

from __future__ import annotations

import csv
from pathlib import Path

from click.testing import CliRunner

from fhir_ivig.cli import main
from fhir_ivig.study.study import Study
from fhir_ivig.study.tables import read_table
from fhir_ivig.study.writing import write_table
from fhir_ivig.sync.export import export
from sample_bundles.redcap import FOLDER, write
from sample_bundles.sources import SAMPLE

FHIR = SAMPLE / "R4" / "ndjson"


def test_the_files_are_what_the_script_writes(tmp_path: Path) -> None:
    write(tmp_path / "redcap")
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(
        path.name for path in (tmp_path / "redcap").iterdir()
    )
    for path in FOLDER.iterdir():
        assert path.read_bytes() == (tmp_path / "redcap" / path.name).read_bytes(), f"run `make samples`: {path}"


def test_tables_and_fhir_are_the_same_bytes(tmp_path: Path) -> None:
    study = Study.load(FOLDER / "study.yaml")
    for table in study.tables:
        rows = list(read_table(study, table))
        assert [issue for part in rows for issue in part.issues] == []
        write_table(tmp_path / table, (part.batch for part in rows), list(study.dictionary[table].columns))
        assert (tmp_path / table).read_bytes() == (SAMPLE / f"{table}.csv").read_bytes()
    assert export(study, tmp_path / "fhir").complete
    for path in FHIR.iterdir():
        assert (tmp_path / "fhir" / path.name).read_bytes() == path.read_bytes()


def test_going_back_gives_the_project_again(tmp_path: Path) -> None:
    """But for how far each form is, and the instance of rows whose number the tables do not hold."""

    def rows(path: Path) -> list[list[tuple[str, str]]]:
        found = list(csv.DictReader(path.open(encoding="utf-8", newline="")))
        for row in found:
            if row["redcap_repeat_instrument"] in ("infusion", "medication"):
                row["redcap_repeat_instance"] = ""
        return sorted([(name, cell) for name, cell in row.items() if not name.endswith("_complete")] for row in found)

    out = tmp_path / "out"
    command = ["tabulate", str(FHIR), "--study", str(FOLDER), "--out", str(out), "--as", "source", "--sort"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert rows(out / "export.csv") == rows(FOLDER / "export.csv")
