"""The sample studies in the shapes of SDTM and ADaM, for tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from fhir_ivig.datasets.dataset import Made
from fhir_ivig.datasets.shaped import shaped
from fhir_ivig.issue import Issue
from fhir_ivig.study.cohort import load_tables
from fhir_ivig.study.study import Study

BUNDLES = Path(__file__).parents[2] / "sample_bundles"
STUDIES = ("hara2003", "after_miyasaka2012", "after_proderm2022")


def shape(folder: Path, standard: str) -> tuple[dict[str, Made], list[Issue]]:
    """The data sets of a study's folder, by name, and Issues of making them."""
    study = Study.load(folder / "study.yaml")
    tables, resources, numbers, _ = load_tables(study, folder)
    made, issues = shaped(study, standard, tables, resources, numbers)
    return {one.dataset.name: one for one in made}, issues


@cache
def sample(name: str, standard: str) -> dict[str, Made]:
    """The data sets of a sample."""
    return shape(BUNDLES / name, standard)[0]


def rows(made: Made, **where: str) -> list[dict[str, Any]]:
    """The rows with these cells."""
    every: list[dict[str, Any]] = made.dataset.table.to_pylist()
    return [row for row in every if all(row[name] == text for name, text in where.items())]
