"""The tables of a study, read in blocks and checked against the dictionary and study.yaml."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from fhir_ivig.issue import Issue, IssueError, many
from fhir_ivig.study.block import Block
from fhir_ivig.study.cells import Flaw, settle
from fhir_ivig.study.dictionary import Table
from fhir_ivig.study.files import blocks, header
from fhir_ivig.study.measures import Conversion, assess, useless_limits
from fhir_ivig.study.parts import Lost, Remarks, boxes, header_issues, signed, taken
from fhir_ivig.study.source import Source
from fhir_ivig.study.study import Study
from fhir_ivig.study.texts import rows_where, strings

BLOCK_ROWS = 1 << 15


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a table.

    batch: all columns of the table in the dictionary's order, all strings, null = empty; right rows only.
    numbers: the row number of each, as a spreadsheet shows them (the header is row 1); int64.
    file: where they come from, as Issues name it. issues: what was found in these rows.
    withheld: how many rows are not in the batch because of an error, which is among the issues.
    cells: where columns of ours stand in the file, where our name does not say it: `labs!C` in a workbook.
    wrong: the withheld rows as they stand, in pieces, each with its rows' numbers.
    """

    table: str
    batch: pa.RecordBatch
    numbers: np.ndarray
    file: str
    issues: list[Issue] = field(default_factory=list)
    withheld: int = 0
    cells: Mapping[str, str] = field(default_factory=dict)
    wrong: tuple[tuple[pa.RecordBatch, np.ndarray], ...] = ()

    def placed(self, issue: Issue) -> Issue:
        """An Issue of these rows, its text beginning with the cell: `labs!C17: ...`."""
        cell = self.cells.get(issue.column or "")
        if not cell or issue.row is None:
            return issue
        return issue.at(text=f"{f'{cell}{issue.row}' if '!' in cell else cell}: {issue.text}")


def read_table(study: Study, name: str, block_rows: int = BLOCK_ROWS) -> Iterator[Rows]:
    """A table of the study, in blocks of at most so many rows, in the file's order.

    Never raises for what a person wrote: a file that cannot be read, or not to its end, is a last, empty `Rows` with
    a fatal Issue. A table that study.yaml does not name yields nothing; `studies` comes out of study.yaml itself.
    Empty lines are no rows. An assessment's empty `visit` is let through, for `fhir_ivig.study.visits` to fill.
    """
    if name == "studies":
        yield Rows(name, study_rows(study), np.ones(1, dtype=np.int64), study.path.name)
        return
    for source in study.tables.get(name, ()):
        yield from _read_part(study, study.dictionary[name], source, block_rows)


def _read_part(study: Study, table: Table, source: Source, block_rows: int) -> Iterator[Rows]:
    path = source.path(study.folder)
    file = source.label(path)
    counts: Counter[Conversion] = Counter()
    lost, remarks = Lost(source), Remarks()
    try:
        names = header(path, source, file)
        if issues := header_issues(table, source, names, file):
            raise IssueError(*issues)
        for block in blocks(path, source, file, names, block_rows):
            lost.look(block)
            block = remarks.refused(block)
            found = [_read_rows(study, table, leaf, block, file) for leaf in source.leaves]
            counts = sum((converted for _, converted in found), counts)
            rows = found[0][0] if not source.rows else _in_turn([rows for rows, _ in found])
            issues = sorted(block.issues + rows.issues, key=lambda issue: issue.row or 0)
            yield replace(rows, issues=issues, withheld=rows.withheld + len(block.issues))
        issues = _conversion_issues(counts, file) + lost.issues(file)
    except IssueError as error:
        issues = _conversion_issues(counts, file) + error.issues
    if issues:
        yield Rows(table.name, _empty(table), np.zeros(0, dtype=np.int64), file, issues)


def _read_rows(
    study: Study, table: Table, source: Source, block: Block, file: str
) -> tuple[Rows, Counter[Conversion]]:
    """What the rows of a block give by one source (a part, or one of its `rows`)."""
    columns, numbers = _mine(source, block)
    ours, flaws = _ours(table, source, columns, len(numbers))
    blank = _blank(columns, len(numbers))
    flaws += _refused(table, source, block, numbers)
    rows, counts = _checked(study, table, source, ours, flaws, blank, numbers, file)
    cells = {name: cell for name in table.columns if (cell := source.cell(name, block.cells))}
    rows = replace(rows, cells=cells) if cells else rows
    return replace(rows, issues=list(map(rows.placed, rows.issues))), counts


def _refused(table: Table, source: Source, block: Block, numbers: np.ndarray) -> list[Flaw]:
    """The cells that are read and that the file itself says cannot be taken."""
    found: list[Flaw] = []
    for name in table.columns if block.wrong else ():
        for theirs in source.checkboxes[name].values() if name in source.checkboxes else (source.theirs(name) or "",):
            for number, text in block.wrong.get(theirs, {}).items():
                found += [(row, name, "value", text) for row in np.flatnonzero(numbers == number).tolist()]
    return found


def _mine(source: Source, block: Block) -> tuple[Mapping[str, pa.Array], np.ndarray]:
    """The file's columns in the rows of a block that belong to a source, and the rows' numbers."""
    if not source.where and not source.own:
        return block.columns, block.numbers
    mine = taken(source, block)
    return {name: cells.filter(pa.array(mine)) for name, cells in block.columns.items()}, block.numbers[mine]


def _in_turn(parts: list[Rows]) -> Rows:
    """The rows that several sources got out of the same block: those of its first row, those of its second ..."""
    numbers = np.concatenate([rows.numbers for rows in parts])
    order = np.argsort(numbers, kind="stable")
    table = pa.Table.from_batches([rows.batch for rows in parts]).combine_chunks()
    whole = table.to_batches()[0].take(pa.array(order)) if len(order) else parts[0].batch
    issues = [issue for rows in parts for issue in rows.issues]
    cells = dict(set.intersection(*(set(rows.cells.items()) for rows in parts)))
    withheld = sum(rows.withheld for rows in parts)
    wrong = tuple(piece for rows in parts for piece in rows.wrong)
    return Rows(parts[0].table, whole, numbers[order], parts[0].file, issues, withheld, cells, wrong)


def cells_of(study: Study, name: str, column: str) -> set[str]:
    """The distinct cells of a column, those of rows in which something else is wrong among them. IssueError for a
    file that cannot be read."""
    table, found = study.dictionary[name], set[str]()
    for source in study.tables.get(name, ()):
        path = source.path(study.folder)
        file = source.label(path)
        for block in blocks(path, source, file, header(path, source, file), BLOCK_ROWS):
            for leaf in source.leaves:
                columns, numbers = _mine(leaf, block)
                cells = _ours(table, leaf, columns, len(numbers))[0][column]
                found.update(cell for cell in settle(table.columns[column], cells, leaf)[0].to_pylist() if cell)
    return found


def study_rows(study: Study) -> pa.RecordBatch:
    """The table `studies`: one row, out of study.yaml."""
    table = study.dictionary["studies"]
    known = {"study": study.study, "title": study.title, "status": study.status}
    return pa.RecordBatch.from_arrays([strings([known.get(name)]) for name in table.columns], list(table.columns))


def _ours(
    table: Table, source: Source, theirs: Mapping[str, pa.Array], length: int
) -> tuple[dict[str, pa.Array], list[Flaw]]:
    columns: dict[str, pa.Array] = {}
    flaws: list[Flaw] = []
    for name in table.columns:
        if name in source.constants:
            columns[name] = pa.repeat(source.constants[name], length).cast(pa.string())
        elif name in source.checkboxes:
            columns[name], wrong = boxes(name, source, theirs, length)
            flaws += wrong
        else:
            given = theirs.get(source.theirs(name) or "", pa.nulls(length, pa.string()))
            columns[name] = signed(name, source, given) if table.name == "assessments" else given
    return columns, flaws


def _blank(columns: Mapping[str, pa.Array], length: int) -> np.ndarray:
    """Which rows have no cell filled."""
    if not columns or any(not cells.null_count for cells in columns.values()):
        return np.zeros(length, dtype=bool)
    empty = [cells.is_null().to_numpy(zero_copy_only=False) for cells in columns.values()]
    return np.asarray(np.logical_and.reduce(empty))


def _checked(
    study: Study,
    table: Table,
    source: Source,
    columns: Mapping[str, pa.Array],
    refused: list[Flaw],
    blank: np.ndarray,
    numbers: np.ndarray,
    file: str,
) -> tuple[Rows, Counter[Conversion]]:
    issues: list[Issue] = []
    counts: Counter[Conversion] = Counter()
    flaws: list[Flaw] = []
    ours: dict[str, pa.StringArray] = {}
    for name, column in table.columns.items():
        ours[name], wrong = settle(column, columns[name], source)
        flaws += wrong
    if source.own:
        blank = np.logical_and.reduce([ours[name].is_null().to_numpy(zero_copy_only=False) for name in source.own])
    for name in table.required:
        if ours[name].null_count and (table.name, name) != ("assessments", "visit"):
            text = "The cell is empty: every row needs it."
            flaws += [(row, name, "required", text) for row in rows_where(ours[name].is_null())]
    if table.name == "assessments":
        ours, wrong, counts = assess(study, source, ours)
        flaws += wrong
        issues = [
            Issue("warning", "value", text, file, int(numbers[row]), "upper_limit")
            for row, text in useless_limits(ours["upper_limit"])
        ]
    told = {flaw[:2] for flaw in refused}
    flaws = [*refused, *(flaw for flaw in flaws if flaw[:2] not in told)]
    batch = pa.RecordBatch.from_arrays(list(ours.values()), names=list(ours))
    if not flaws and not blank.any():
        return Rows(table.name, batch, numbers, file, issues), counts
    bad = np.zeros(len(numbers), dtype=bool)
    bad[[row for row, *_ in flaws]] = True
    issues += [
        Issue("error", code, text, file, int(numbers[row]), name)
        for row, name, code, text in sorted(flaws, key=lambda flaw: flaw[0])
        if not blank[row]
    ]
    pieces = [(batch.filter(pa.array(mask)), numbers[mask]) for mask in (~(bad | blank), bad & ~blank)]
    return Rows(table.name, *pieces[0], file, issues, len(pieces[1][1]), wrong=(pieces[1],)), counts


def _conversion_issues(counts: Counter[Conversion], file: str) -> list[Issue]:
    return [
        Issue(
            "information",
            "informational",
            many(rows, f"row of {one.measure} was", f"rows of {one.measure} were")
            + f" converted from {one.theirs} to {one.ours} (times {one.factor}).",
            file,
            column="unit",
        )
        for one, rows in counts.items()
    ]


def _empty(table: Table) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([strings([]) for _ in table.columns], names=list(table.columns))
