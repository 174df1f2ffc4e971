"""Blocks of cells out of CSV and Parquet files, as their files have them; never a whole file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.study.adapters import as_text
from fhir_ivig.study.source import Source
from fhir_ivig.study.stream import OddQuoteError, Utf8Stream

BLOCK = 1 << 18  # bytes of a CSV file that are parsed at once; a row must fit
ROWS = 1 << 14  # rows of a CSV file that are handed on at once, at least
_TOO_LONG = f"A row is longer than {BLOCK} bytes: look for a quote that is not closed."
_ODD_QUOTE = (
    "The file cannot be read from the quote in this row on: a cell with a quote, a line break or the delimiter"
    " stands in quotes, the quotes inside doubled. If quotes mean nothing in this file, write `quote: ''`."
)
_MISSING = "There is no such file: put it there, name it under `file`, or take the table out of study.yaml."


@dataclass(slots=True)
class Block:
    """Some rows: columns by the file's own names (string or binary, null = empty) and the rows' numbers.

    `issues` are of rows that could not be read at all and are not among the columns.
    """

    columns: dict[str, pa.Array]
    numbers: np.ndarray
    issues: list[Issue] = field(default_factory=list)


def header(path: Path, source: Source, file: str) -> list[str]:
    """The file's column names; IssueError where it is not there, a folder, empty or not of its kind."""
    with _reported(path, source, file):
        if path.suffix == ".parquet":
            with _parquet(path) as parquet:
                return list(parquet.schema_arrow.names)
        with path.open("rb") as raw:
            text = io.TextIOWrapper(io.BufferedReader(Utf8Stream(raw, source)), "utf-8", "replace", newline="")
            names = next(csv.reader(text, **_dialect(source)), [])
    if not names:
        raise IssueError(Issue("fatal", "structure", "The first row is empty: it must name the columns.", file, 1))
    if any("\0" in name for name in names):
        raise IssueError(Issue("fatal", "structure", "This looks like UTF-16: write `encoding: utf-16`.", file, 1))
    return names


def blocks(path: Path, source: Source, file: str, names: list[str], rows: int) -> Iterator[Block]:
    """All of a file with these column names, at most so many rows at once; IssueError where it cannot go on."""
    with _reported(path, source, file):
        parquet = path.suffix == ".parquet"
        made = _parquet_blocks(path, file, rows) if parquet else _csv_blocks(path, source, file, names)
        for block in made:
            for start in range(0, max(len(block.numbers), 1), rows):
                part = {name: cells.slice(start, rows) for name, cells in block.columns.items()}
                yield Block(part, block.numbers[start : start + rows], [] if start else block.issues)


@contextmanager
def _reported(path: Path, source: Source, file: str) -> Iterator[None]:
    """What readers raise, as an Issue. (Their own messages may quote whole rows.)"""

    def fatal(code: Any, text: str, row: int | None = None) -> IssueError:
        return IssueError(Issue("fatal", code, text, file, row))

    try:
        if path.is_dir():
            raise fatal("structure", "This is a folder: name a file under `file`.")
        yield
    except FileNotFoundError:
        raise fatal("not-found", _MISSING) from None
    except OSError as error:
        raise fatal("not-found", f"Cannot read it: {error.strerror or 'it is damaged'}.") from None
    except OddQuoteError as odd:
        raise fatal("structure", _ODD_QUOTE, _row_at(path, source, odd.offset)) from None
    except UnicodeError:
        raise fatal("structure", f"This is not {source.encoding}: name its `encoding`.", 1) from None
    except (pa.ArrowInvalid, csv.Error):
        damaged = "This is no Parquet file, or it is damaged: export it again."
        raise fatal("structure", damaged if path.suffix == ".parquet" else _TOO_LONG) from None


def _dialect(source: Source) -> dict[str, Any]:
    quoting = csv.QUOTE_MINIMAL if source.quote else csv.QUOTE_NONE
    return {"delimiter": source.delimiter, "quotechar": source.quote or None, "quoting": quoting}


def _row_at(path: Path, source: Source, offset: int) -> int | None:
    """The number of the row that holds a byte of the file's UTF-8 text."""
    with path.open("rb") as raw:
        before = io.BufferedReader(Utf8Stream(raw, source, checked=False)).read(offset)
    try:
        return sum(
            1 for _ in csv.reader(io.StringIO(before.decode("utf-8", "replace") + "x", ""), **_dialect(source))
        )
    except csv.Error:
        return None


def _csv_blocks(path: Path, source: Source, file: str, names: list[str]) -> Iterator[Block]:
    uneven: list[Any] = []

    def skip(row: Any) -> str:
        uneven.append(row)
        return "skip"

    number = 2
    with path.open("rb") as raw:
        reader = pyarrow.csv.open_csv(
            pa.PythonFile(io.BufferedReader(Utf8Stream(raw, source), BLOCK), "r"),
            pyarrow.csv.ReadOptions(use_threads=False, block_size=BLOCK),
            pyarrow.csv.ParseOptions(
                delimiter=source.delimiter,
                quote_char=source.quote or False,
                newlines_in_values=bool(source.quote),
                ignore_empty_lines=False,
                invalid_row_handler=skip,
            ),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.binary()), null_values=[""], strings_can_be_null=True
            ),
        )
        for batch in _larger(reader):
            numbers = np.arange(number, number + len(batch) + len(uneven))
            if uneven:
                numbers = np.setdiff1d(numbers, [row.number for row in uneven])[: len(batch)]
            number = int(numbers[-1]) + 1 if len(numbers) else number
            # The reader is ahead: rows of later blocks may be among the uneven ones already.
            issues = [_uneven(row, file) for row in uneven if row.number < number]
            uneven[:] = [row for row in uneven if row.number >= number]
            yield Block(dict(zip(names, batch.columns, strict=True)), numbers, issues)
    if uneven:
        yield Block({}, np.arange(0), [_uneven(row, file) for row in uneven])


def _larger(reader: Any) -> Iterator[pa.RecordBatch]:
    """The reader's batches, several as one. Arrow reads 32 blocks ahead: so these are small, what is done large."""
    kept: list[pa.RecordBatch] = []
    ended: Exception | None = None
    while ended is None:
        try:
            kept.append(reader.read_next_batch())
        except (StopIteration, OddQuoteError, UnicodeError, OSError, pa.ArrowInvalid) as error:
            ended = error
        if ended or sum(map(len, kept)) >= ROWS:
            yield from pa.Table.from_batches(kept, reader.schema).combine_chunks().to_batches()
            kept = []
    if not isinstance(ended, StopIteration):
        raise ended


def _uneven(row: Any, file: str) -> Issue:
    text = f"The row has {row.actual_columns} cells, the header {row.expected_columns}:"
    text += " look for a missing or surplus delimiter, or a cell that needs quotes."
    return Issue("error", "structure", text, file, row.number)


@contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    from pyarrow.parquet import ParquetFile

    with path.open("rb") as raw, ParquetFile(raw) as parquet:
        yield parquet


def _parquet_blocks(path: Path, file: str, rows: int) -> Iterator[Block]:
    number = 2
    with _parquet(path) as parquet:
        for batch in parquet.iter_batches(rows, use_threads=False):
            columns = {name: as_text(batch[name], name, file, number) for name in batch.schema.names}
            yield Block(columns, np.arange(number, number + len(batch)))
            number += len(batch)
