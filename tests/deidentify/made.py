"""Studies for these tests: the sample with other rows, and what is in an output folder, however it is stored."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any
from zipfile import ZipFile, is_zipfile

import yaml
from openpyxl import load_workbook
from pyarrow.parquet import ParquetFile
from pyreadstat import read_xport

SAMPLES = Path(__file__).parents[2] / "sample_bundles"
Row = dict[str, str]


def sample(target: Path, name: str = "hara2003", **keys: Any) -> Path:
    """A copy of a sample study, with other keys in its study.yaml (None takes one out); its study.yaml."""
    copytree(SAMPLES / name, target, ignore=ignore_patterns("R4", "R5", "README.md", "*.py"))
    file = target / "study.yaml"
    text = yaml.load(file.read_text("utf-8"), yaml.BaseLoader)
    text = {key: value for key, value in {**text, **keys}.items() if value is not None}
    file.write_text(yaml.safe_dump(text, allow_unicode=True, sort_keys=False), "utf-8")
    return file


def rows(folder: Path, table: str) -> list[Row]:
    """The rows of a CSV table, empty cells as empty texts."""
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(folder: Path, table: str, new: Iterable[Row]) -> None:
    """A CSV table anew; the columns are those of the first row."""
    every = list(new)
    with (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as file:
        lines = csv.DictWriter(file, list(every[0]), lineterminator="\n")
        lines.writeheader()
        lines.writerows(every)


def edit(folder: Path, table: str, change: Callable[[Row], Row]) -> None:
    """Each row of a CSV table changed."""
    write(folder, table, map(change, rows(folder, table)))


def texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Every file below a folder with its name and its text: the bytes as they are, and what Parquet files,
    workbooks and SAS files hold."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield f"{path} (bytes)", path.read_bytes().decode("latin-1")
            if path.suffix == ".parquet":
                yield f"{path} (cells)", str(ParquetFile(path).read().to_pylist())
            if is_zipfile(path):
                with ZipFile(path) as parts:
                    for name in parts.namelist():
                        yield f"{path} ({name})", parts.read(name).decode("latin-1")
            if path.suffix == ".xlsx":
                for sheet in load_workbook(path).worksheets:
                    yield f"{path} ({sheet.title})", str([[str(cell) for cell in row] for row in sheet.values])
            if path.suffix == ".xpt":
                yield f"{path} (cells)", read_xport(path)[0].to_csv()
