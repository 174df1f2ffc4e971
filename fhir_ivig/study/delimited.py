"""Blocks of cells out of CSV files and their like."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from fhir_ivig.issue import Issue, IssueError, many
from fhir_ivig.study.block import Block
from fhir_ivig.study.source import Source
from fhir_ivig.study.stream import OddQuoteError, Utf8Stream

BLOCK = 1 << 18  # bytes of a CSV file that are parsed at once; a row must fit
ROWS = 1 << 14  # rows of a CSV file that are handed on at once, at least
_TOO_LONG = f"A row is longer than {BLOCK} bytes: look for a quote that is not closed."
_ODD_QUOTE = (
    "The file cannot be read from the quote in this row on: a cell with a quote, a line break or the delimiter"
    " stands in quotes, the quotes inside doubled. If quotes mean nothing in this file, write `quote: ''`."
)


def header(path: Path, source: Source, file: str) -> list[str]:
    """The names in the first row."""
    with _reported(path, source, file), path.open("rb") as raw:
        text = io.TextIOWrapper(io.BufferedReader(Utf8Stream(raw, source)), "utf-8", "replace", newline="")
        names = next(csv.reader(text, **_dialect(source)), [])
    if any("\0" in name for name in names):
        raise IssueError(Issue("fatal", "structure", "This looks like UTF-16: write `encoding: utf-16`.", file, 1))
    return names


@contextmanager
def _reported(path: Path, source: Source, file: str) -> Iterator[None]:
    """What readers raise, as an Issue. (Their own messages may quote whole rows.)"""

    def fatal(text: str, row: int | None = None) -> IssueError:
        return IssueError(Issue("fatal", "structure", text, file, row))

    try:
        yield
    except OddQuoteError as odd:
        raise fatal(_ODD_QUOTE, _row_at(path, source, odd.offset)) from None
    except UnicodeError:
        raise fatal(f"This is not {source.encoding}: name its `encoding`.", 1) from None
    except (pa.ArrowInvalid, csv.Error):
        raise fatal(_TOO_LONG) from None


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


def blocks(path: Path, source: Source, file: str, names: list[str]) -> Iterator[Block]:
    """All rows below the first."""
    with _reported(path, source, file):
        yield from _blocks(path, source, file, names)


def _blocks(path: Path, source: Source, file: str, names: list[str]) -> Iterator[Block]:
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
    text = f"The row has {many(row.actual_columns, 'cell')}, the header {row.expected_columns}:"
    text += " look for a missing or surplus delimiter, or a cell that needs quotes."
    return Issue("error", "structure", text, file, row.number)
