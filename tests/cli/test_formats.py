"""`tabulate --format`: every kind of file, from FHIR and from the study's own tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from done import Done
from sample_study import copied, edit

from fhir_ivig.cli.tabulate import FORMATS
from fhir_ivig.datasets.output import KINDS

Typed = Callable[..., Done]


def test_every_kind_may_be_asked_for() -> None:
    assert set(KINDS) == set(FORMATS)


@pytest.mark.parametrize("kind", ["excel", "xpt"])
def test_the_studys_own_tables(shell: Typed, sample: Path, tmp_path: Path, kind: str) -> None:
    done = shell("tabulate", "--study", sample, "--out", tmp_path / "out", "--format", kind, "--json")
    assert done.code == 0
    assert (done.json["format"], done.json["rows"]["assessments"]) == (kind, 335)


@pytest.mark.parametrize("kind", FORMATS)
def test_tables_from_fhir(typed: Typed, sample: Path, exported: Path, tmp_path: Path, kind: str) -> None:
    done = typed("tabulate", exported, "--study", sample, "--out", tmp_path / "out", "--format", kind, "--json")
    assert done.code == 0
    assert done.json["rows"]["assessments"] == 335
    endings = {path.suffix for path in (tmp_path / "out").iterdir()} - {".json", ".ndjson", ""}
    assert endings == {"excel": {".xlsx"}, "dataset-json": set(), "dataset-ndjson": set()}.get(kind, {f".{kind}"})


@pytest.mark.parametrize("option", [["--sort"], ["--fhir-version", "R5"]])
def test_what_is_for_fhir_is_wrong_use_without(typed: Typed, sample: Path, tmp_path: Path, option: list[str]) -> None:
    done = typed("tabulate", "--study", sample, "--out", tmp_path / "out", *option)
    assert done.code == 2
    assert "are for FHIR files" in done.stderr


@pytest.mark.parametrize("shape", ["sdtm", "adam"])
def test_shapes_of_statisticians(typed: Typed, sample: Path, exported: Path, tmp_path: Path, shape: str) -> None:
    words = ["tabulate", "--study", sample, "--datasets", shape, "--format", "xpt", "--json"]
    done = typed(*words, "--out", tmp_path / "own")
    assert done.code == 0
    assert done.json["rows"][{"sdtm": "LB", "adam": "ADLB"}[shape]] == {"sdtm": 55, "adam": 53}[shape]
    assert typed(*words, "--out", tmp_path / "fhir", exported).code == 0
    one, other = (
        {path.name for path in (tmp_path / folder).iterdir() if path.suffix != ""} for folder in ("own", "fhir")
    )
    assert one == other
    assert typed(*words, "--out", tmp_path / "own", exported, "--as", "source").code == 2


def test_a_cell_that_does_not_fit_is_named(typed: Typed, tmp_path: Path) -> None:
    study = copied(tmp_path / "study")
    edit(study / "adverse_events.csv", lambda rows: [{**rows[0], "term": "筋痛"}, *rows[1:]])
    done = typed("tabulate", "--study", study, "--out", tmp_path / "out", "--format", "xpt")
    assert done.code == 1
    assert "adverse_events.xpt:2, column term" in done.stderr
    assert typed("tabulate", "--study", study, "--out", tmp_path / "out", "--format", "excel").code == 0
