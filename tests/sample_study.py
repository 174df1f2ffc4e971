"""The sample study in a folder of a test's own, and its tables, to be changed."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from shutil import copytree, ignore_patterns
from uuid import uuid4

from fhir_ivig.study.study import Study

SAMPLE = Path(__file__).parents[1] / "sample_bundles/hara2003"
Row = dict[str, str]


def copied(folder: Path) -> Path:
    """The sample's study.yaml and tables in a new folder."""
    return copytree(SAMPLE, folder, ignore=ignore_patterns("R4", "R5", ".fhir-ivig"))


def own_study(folder: Path, base: str | None = None, subjects: Collection[str] = ()) -> Study:
    """The sample study in `folder` under a base of its own, so that no server holds anything of it; only these
    `subjects` of it, if any are named."""
    text = (copied(folder) / "study.yaml").read_text("utf-8")
    line = next(line for line in text.splitlines() if line.startswith("base:"))
    own = base or f"https://example.org/studies/{uuid4()}"
    (folder / "study.yaml").write_text(text.replace(line, f"base: {own}"), "utf-8")
    for path in folder.glob("*.csv") if subjects else ():
        edit(path, lambda rows: [row for row in rows if row["subject"] in subjects])
    return Study.load(folder)


def rows(path: Path) -> list[Row]:
    """A table's rows."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(path: Path, new: Sequence[Row], columns: Collection[str]) -> None:
    """A table anew."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(new)


def edit(path: Path, change: Callable[[list[Row]], list[Row]]) -> None:
    """Change a table's rows."""
    found = rows(path)
    columns = list(found[0])
    write(path, change(found), columns)
