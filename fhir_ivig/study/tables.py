"""The tables of a study, read in blocks and checked against the dictionary and study.yaml."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.study.cells import Flaw, settle
from fhir_ivig.study.dictionary import Table
from fhir_ivig.study.files import blocks, header
from fhir_ivig.study.measures import Conversion, assess
from fhir_ivig.study.source import Source
from fhir_ivig.study.study import Study
from fhir_ivig.study.texts import rows_where, shown, strings

BLOCK_ROWS = 1 << 15


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a table.

    batch: all columns of the table in the dictionary's order, all strings, null = empty; right rows only.
    numbers: the row number of each, as a spreadsheet shows them (the header is row 1); int64.
    file: where they come from, as Issues name it. issues: what was found in these rows.
    withheld: how many rows are not in the batch because of an error, which is among the issues.
    """

    table: str
    batch: pa.RecordBatch
    numbers: np.ndarray
    file: str
    issues: list[Issue] = field(default_factory=list)
    withheld: int = 0


def read_table(study: Study, name: str, block_rows: int = BLOCK_ROWS) -> Iterator[Rows]:
    """A table of the study, in blocks of at most so many rows, in the file's order.

    Never raises for what a person wrote: a file that cannot be read, or not to its end, is a last, empty `Rows` with
    a fatal Issue. A table that study.yaml does not name yields nothing; `studies` comes out of study.yaml itself.
    Empty lines are no rows. An assessment's empty `visit` is let through, for `fhir_ivig.study.visits` to fill.
    """
    if name == "studies":
        yield Rows(name, study_rows(study), np.ones(1, dtype=np.int64), study.path.name)
        return
    source = study.tables.get(name)
    if source is None:
        return
    table, path = study.dictionary[name], source.path(study.folder)
    file = source.file or path.name
    counts: Counter[Conversion] = Counter()
    try:
        names = header(path, source, file)
        if issues := _header_issues(table, source, names, file):
            raise IssueError(*issues)
        for block in blocks(path, source, file, names, block_rows):
            columns = _ours(table, source, block.columns, len(block.numbers))
            blank = _blank(block.columns, len(block.numbers))
            rows, converted = _checked(study, table, source, columns, blank, block.numbers, file)
            counts += converted
            issues = sorted(block.issues + rows.issues, key=lambda issue: issue.row or 0)
            yield Rows(name, rows.batch, rows.numbers, file, issues, rows.withheld + len(block.issues))
        issues = _conversion_issues(counts, file)
    except IssueError as error:
        issues = _conversion_issues(counts, file) + error.issues
    if issues:
        yield Rows(name, _empty(table), np.zeros(0, dtype=np.int64), file, issues)


def cells_of(study: Study, name: str, column: str) -> set[str]:
    """The distinct cells of a column, those of rows in which something else is wrong among them. IssueError for a
    file that cannot be read."""
    if (source := study.tables.get(name)) is None:
        return set()
    table, path = study.dictionary[name], source.path(study.folder)
    file, found = source.file or path.name, set[str]()
    for block in blocks(path, source, file, header(path, source, file), BLOCK_ROWS):
        theirs = _ours(table, source, block.columns, len(block.numbers))[column]
        found.update(cell for cell in settle(table.columns[column], theirs, source)[0].to_pylist() if cell)
    return found


def check_rows(
    study: Study, name: str, batch: pa.RecordBatch, numbers: Sequence[int] | np.ndarray | None = None, file: str = ""
) -> Rows:
    """Rows that are in memory already (see `adapters.to_batch`), with the same checks as those of a file."""
    table = study.dictionary[name]
    places = np.arange(2, 2 + len(batch)) if numbers is None else np.asarray(numbers, dtype=np.int64)
    columns = _ours(table, Source(name), {column: batch[column] for column in batch.schema.names}, len(batch))
    blank = np.zeros(len(batch), dtype=bool)
    return _checked(study, table, Source(name), columns, blank, places, file or name)[0]


def study_rows(study: Study) -> pa.RecordBatch:
    """The table `studies`: one row, out of study.yaml."""
    table = study.dictionary["studies"]
    known = {"study": study.study, "title": study.title, "status": study.status}
    return pa.RecordBatch.from_arrays([strings([known.get(name)]) for name in table.columns], list(table.columns))


def _ours(table: Table, source: Source, theirs: Mapping[str, pa.Array], length: int) -> dict[str, pa.Array]:
    columns = {}
    for name in table.columns:
        if name in source.constants:
            columns[name] = pa.repeat(source.constants[name], length).cast(pa.string())
        else:
            columns[name] = theirs.get(source.columns.get(name, name), pa.nulls(length, pa.string()))
    return columns


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
    blank: np.ndarray,
    numbers: np.ndarray,
    file: str,
) -> tuple[Rows, Counter[Conversion]]:
    flaws: list[Flaw] = []
    counts: Counter[Conversion] = Counter()
    ours: dict[str, pa.StringArray] = {}
    for name, column in table.columns.items():
        ours[name], wrong = settle(column, columns[name], source)
        flaws += wrong
    for name in table.required:
        if ours[name].null_count and (table.name, name) != ("assessments", "visit"):
            text = "The cell is empty: every row needs it."
            flaws += [(row, name, "required", text) for row in rows_where(ours[name].is_null())]
    if table.name == "assessments":
        ours, wrong, counts = assess(study, source, ours)
        flaws += wrong
    batch = pa.RecordBatch.from_arrays(list(ours.values()), names=list(ours))
    if not flaws and not blank.any():
        return Rows(table.name, batch, numbers, file), counts
    bad = np.zeros(len(numbers), dtype=bool)
    bad[[row for row, *_ in flaws]] = True
    issues = [
        Issue("error", code, text, file, int(numbers[row]), name)
        for row, name, code, text in sorted(flaws, key=lambda flaw: flaw[0])
        if not blank[row]
    ]
    keep = ~(bad | blank)
    right = batch.filter(pa.array(keep))
    return Rows(table.name, right, numbers[keep], file, issues, int((bad & ~blank).sum())), counts


def _header_issues(table: Table, source: Source, names: list[str], file: str) -> list[Issue]:
    expected = {source.columns.get(name, name): name for name in table.columns if name not in source.constants}
    known = {*expected, *source.ignore}
    issues = [
        Issue("error", "duplicate", f"{shown(name)} stands twice in the header: rename one.", file, 1, name)
        for name, times in Counter(names).items()
        if times > 1
    ]
    for name in dict.fromkeys(names):
        if name not in known:
            text = f"{shown(name)} is no column of {table.name}: name it under `dictionary:`, or, for this table,"
            text += " under `columns:` as another name of ours or under `ignore:`."
            issues.append(Issue("error", "not-found", text, file, 1, name))
    for theirs, name in expected.items():
        if theirs not in names and (name in table.required or name in source.columns):
            ours = f", our {name}," if theirs != name else ""
            text = f"The column {shown(theirs)}{ours} is missing: add it, or name theirs under `columns:`."
            issues.append(Issue("error", "required", text, file, 1, name))
    return issues


def _conversion_issues(counts: Counter[Conversion], file: str) -> list[Issue]:
    return [
        Issue(
            "information",
            "informational",
            f"{rows} rows of {one.measure} were converted from {one.theirs} to {one.ours} (times {one.factor}).",
            file,
            column="unit",
        )
        for one, rows in counts.items()
    ]


def _empty(table: Table) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([strings([]) for _ in table.columns], names=list(table.columns))
