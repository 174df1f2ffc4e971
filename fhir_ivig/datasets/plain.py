"""Data sets as CSV and as Parquet, every cell as the text that it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fhir_ivig.datasets.cells import at, like_formulas
from fhir_ivig.datasets.dataset import Dataset
from fhir_ivig.issue import Issue, many
from fhir_ivig.study.writing import write_parquet, write_table


def write_csv(datasets: Sequence[Dataset], folder: Path) -> list[Issue]:
    """Each data set as `<name>.csv`, canonical CSV.

    Nothing of a cell is changed, so that it can be read back; what would run in a spreadsheet is said (`formulas`).
    """
    issues = []
    for dataset in datasets:
        _write(dataset, folder / f"{dataset.name}.csv", write_table)
        issues += formulas(dataset, f"{dataset.name}.csv")
    return issues


def formulas(dataset: Dataset, file: str) -> list[Issue]:
    """An information for each column says how many of its texts a spreadsheet would run as formulas."""
    issues = []
    for variable in dataset.variables:
        if found := like_formulas(dataset, variable):
            text = many(len(found), "text begins as a formula does", "texts begin as formulas do, the first here")
            text += ": in a spreadsheet open the file as text, or take the workbook of `--format excel`."
            issues.append(at(file, found[0], variable.name, "information", "security", text))
    return issues


def write_parquet_files(datasets: Sequence[Dataset], folder: Path) -> list[Issue]:
    """Each data set as `<name>.parquet`, all columns as strings; it holds everything."""
    for dataset in datasets:
        _write(dataset, folder / f"{dataset.name}.parquet", write_parquet)
    return []


def _write(dataset: Dataset, path: Path, write: Callable[..., Any]) -> None:
    write(path, dataset.table.to_batches(), dataset.table.column_names)
