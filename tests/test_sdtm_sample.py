"""The sample study as SDTM data sets, as CSV, SAS transport and Dataset-JSON: the same rows, the same FHIR, and back.

Findings are three data sets, so the rows of assessments come in their order, not in that of the sample's one file.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner

from fhir_ivig.cli import main
from fhir_ivig.datasets.dataset import Dataset, Variable
from fhir_ivig.datasets.dataset_json import write_json
from fhir_ivig.datasets.transport import write_transport
from fhir_ivig.study.study import Study
from fhir_ivig.study.tables import read_table
from fhir_ivig.study.writing import write_table
from fhir_ivig.sync.export import export
from sample_bundles.sdtm import FOLDER, SPONSOR, write
from sample_bundles.sources import SAMPLE

FHIR = SAMPLE / "R4" / "ndjson"
WRITERS = {"xpt": write_transport, "json": write_json}


def data_sets() -> Iterator[Dataset]:
    for path in sorted(FOLDER.glob("*.csv")):
        rows = list(csv.DictReader(path.open(encoding="utf-8", newline="")))
        variables = tuple(Variable(name, name, "text") for name in rows[0])
        table = pa.table({name: pa.array([row[name] or None for row in rows], pa.string()) for name in rows[0]})
        yield Dataset(path.stem, path.stem, variables, table, ("USUBJID",))


@pytest.fixture(params=["csv", *WRITERS])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> Study:
    """The sample as data sets of one kind."""
    if request.param == "csv":
        return Study.load(FOLDER / "study.yaml")
    folder = tmp_path / "sdtm"
    folder.mkdir()
    assert WRITERS[request.param](list(data_sets()), folder) == []
    text = (FOLDER / "study.yaml").read_text("utf-8").replace(".csv", f".{request.param}")
    (folder / "study.yaml").write_text(text, "utf-8")
    return Study.load(folder / "study.yaml")


def test_the_files_are_what_the_script_writes(tmp_path: Path) -> None:
    write(tmp_path / "sdtm")
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(
        path.name for path in (tmp_path / "sdtm").iterdir()
    )
    for path in FOLDER.iterdir():
        assert path.read_bytes() == (tmp_path / "sdtm" / path.name).read_bytes(), f"run `make samples`: {path}"


def test_variables_are_named_as_sas_allows_and_those_of_the_sponsor_are_listed() -> None:
    for one in data_sets():
        names = [variable.name for variable in one.variables]
        assert all(len(name) <= 8 and name == name.upper() for name in names)
        assert set(SPONSOR.get(one.name, [])) <= set(names)


def test_rows_and_resources_are_those_of_the_sample(study: Study, tmp_path: Path) -> None:
    for table in study.tables:
        rows = list(read_table(study, table))
        assert [issue for part in rows for issue in part.issues] == []
        write_table(tmp_path / table, (part.batch for part in rows), list(study.dictionary[table].columns))
        written, sample = ((path.read_bytes()) for path in (tmp_path / table, SAMPLE / f"{table}.csv"))
        if table == "assessments":
            assert sorted(written.splitlines()) == sorted(sample.splitlines())
        else:
            assert written == sample
    assert export(study, tmp_path / "fhir").complete
    for path in FHIR.iterdir():
        assert sorted((tmp_path / "fhir" / path.name).read_bytes().splitlines()) == sorted(
            path.read_bytes().splitlines()
        )


def test_going_back_gives_the_data_sets_again_but_for_seq(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["tabulate", str(FHIR), "--study", str(FOLDER), "--out", str(out), "--as", "source", "--sort"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    for path in FOLDER.glob("*.csv"):
        before, after = (
            list(csv.DictReader(each.open(encoding="utf-8", newline=""))) for each in (path, out / path.name)
        )
        assert after == [{name: "" if name.endswith("SEQ") else cell for name, cell in row.items()} for row in before]
