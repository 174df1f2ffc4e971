"""One side of a comparison: a study's tables or those of a hospital's record, with the place of every row.

Rows in which something is wrong are read too, as they are: what stands in their other cells can be compared, and a
row that was left out would look as if it were missing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.study.dictionary import Table
from fhir_ivig.study.files import header
from fhir_ivig.study.study import Study
from fhir_ivig.study.tables import Rows, read_table
from fhir_ivig.study.texts import strings
from fhir_ivig.study.visits import assign_visits, first_days
from fhir_ivig.study.writing import read_written

LISTED = 3  # rows that cannot be read, in a text


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands: its file, its number as a spreadsheet shows it, and the resources behind it."""

    file: str
    row: int | None
    resource: str | None = None


@dataclass(slots=True)
class Side:
    """A table of one side.

    cells: all columns of the dictionary, all strings, null = empty. collected: the columns that its files have.
    blocks: of each row, which of `origins` it is from: a file, and where our columns stand in it by another name.
    flaws: what is wrong with a cell, by position and column. lost: places of rows that cannot be read. whole: whether
    all files were read to their ends.
    passing: the files are temporary.
    """

    table: Table
    cells: pa.Table
    numbers: np.ndarray
    blocks: np.ndarray
    origins: list[tuple[str, Mapping[str, str]]]
    collected: frozenset[str]
    resources: pa.Array | None = None
    flaws: dict[tuple[int, str], str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    whole: bool = True
    passing: bool = False

    def place(self, position: int) -> Place:
        """The place of a row. The files of what was fetched for this comparison alone are not there any more."""
        behind = self.resources[position].as_py() if self.resources is not None else None
        row = None if self.passing else int(self.numbers[position])
        return Place(self.origins[self.blocks[position]][0], row, behind)

    def unread(self) -> str:
        """What may be on this side after all, where rows of it cannot be read."""
        shown = ", ".join(self.lost[:LISTED]) + ", ..." * (len(self.lost) > LISTED)
        return f"It may be a row that cannot be read: {shown}." if self.lost else ""

    def theirs(self, position: int, column: str) -> str:
        """What the file calls a column of ours: its name, or `labs!C` in a workbook."""
        return self.origins[int(self.blocks[position])][1].get(column, column)

    def cell(self, position: int, name: str) -> str | None:
        """A cell, None where it is empty or there is no such column."""
        found: str | None = self.cells[name][position].as_py() if name in self.table.columns else None
        return found

    def shown(self, position: int, name: str) -> str | None:
        """A cell; a quantity with its unit."""
        cell, unit = self.cell(position, name), self.cell(position, self.table.columns[name].unit or "")
        return f"{cell} {unit}" if cell and unit else cell

    def summary(self, position: int) -> str:
        """What a row says, but for its key and what names a person: `date 2003-05-17, value 612.60 U/L`."""
        columns = self.table.columns
        units = {column.unit for column in columns.values()}
        told = [one for one in columns.values() if not one.private and one.name not in {*units, *self.table.key}]
        cells = [(one.name, self.shown(position, one.name)) for one in told]
        return ", ".join(f"{name} {cell}" for name, cell in cells if cell is not None)


def read_side(study: Study, name: str, passing: bool = False) -> tuple[Side, list[Issue]]:
    """A table of a study with every row that can be read, and the Issues met."""
    table = study.dictionary[name]
    blocks = list(read_table(study, name))
    issues = [issue for block in blocks for issue in block.issues]
    if name == "assessments" and any(block.batch["visit"].null_count for block in blocks):
        firsts = first_days(block.batch for block in read_table(study, "courses"))
        blocks = [_with_visits(study, block, firsts, issues) for block in blocks]
    blocks += [replace(block, batch=batch, numbers=some) for block in blocks for batch, some in block.wrong]
    filled = [block for block in blocks if len(block.batch)]
    schema = pa.schema([(column, pa.string()) for column in table.columns])
    cells = pa.Table.from_batches([block.batch for block in filled], schema).combine_chunks()
    numbers = np.concatenate([np.zeros(0, np.int64), *(block.numbers for block in filled)])
    places = np.repeat(np.arange(len(filled)), [len(block.batch) for block in filled])
    origins = [(block.file, block.cells) for block in filled]
    side = Side(table, cells, numbers, places, origins, _collected(study, name, cells), passing=passing)
    side.flaws = _flaws(side, issues)
    errors = [issue for issue in issues if issue.severity == "error"]
    side.lost = [f"{one.file}:{one.row}" for one in errors if (one.row or 1) > 1 and not one.column]
    broken = any(issue.severity == "fatal" for issue in issues)
    side.whole = not broken and all((issue.row or 1) > 1 for issue in errors)
    try:
        side.resources = _resources(study.folder, name, numbers)
    except (pa.ArrowException, KeyError, OSError):
        text = "It cannot be read: the resources behind the rows are not known."
        issues.append(Issue("warning", "structure", text, f"resources/{name}"))
    return side, issues


def _with_visits(study: Study, block: Rows, firsts: dict[str, str], issues: list[Issue]) -> Rows:
    batch, found = assign_visits(study, block.batch, firsts, block.numbers, block.file)
    issues += found
    return replace(block, batch=batch)


def _collected(study: Study, name: str, cells: pa.Table) -> frozenset[str]:
    """The columns that a table has: empty ones among them, where a file's header names them."""
    found = {column for column in cells.column_names if cells[column].null_count < len(cells)}
    for source in study.tables[name]:
        path = source.path(study.folder)
        try:
            names = set(header(path, source, source.label(path)))
        except IssueError:  # reported already
            continue
        for leaf in source.leaves:
            found |= {column for column in cells.column_names if leaf.theirs(column) in names}
            found |= leaf.constants.keys() | leaf.checkboxes.keys()
    return frozenset(found)


def _flaws(side: Side, issues: list[Issue]) -> dict[tuple[int, str], str]:
    wrong = {(issue.file, issue.row) for issue in issues if issue.severity == "error" and issue.column}
    at = defaultdict(list)
    for place, number in enumerate(side.numbers.tolist() if wrong else ()):
        file = side.origins[side.blocks[place]][0]
        if (file, number) in wrong:
            at[file, number].append(place)
    return {
        (place, issue.column): issue.text
        for issue in issues
        if issue.severity == "error" and issue.column
        for place in at.get((issue.file, issue.row), ())
    }


def _resources(folder: Path, name: str, numbers: np.ndarray) -> pa.Array | None:
    """The resources behind the rows, where `resources/` names them."""
    for suffix in ("csv", "parquet"):
        beside = folder / "resources" / f"{name}.{suffix}"
        if beside.is_file() and len(numbers):
            column = read_written(beside).column("resource").combine_chunks()
            known = numbers - 2 < len(column)
            return column.take(pa.array(np.where(known, numbers - 2, 0), mask=~known))
    return strings([None] * len(numbers)) if len(numbers) else None
