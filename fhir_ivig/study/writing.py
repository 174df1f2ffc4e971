"""Tables written as canonical CSV and as Parquet, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from fhir_ivig.study.texts import strings

_LINES = 1 << 14  # joined at once


class TableWriter:
    """Writes batches of strings to an open binary file as `csv` or `parquet`; the columns named, in that order.

    Canonical CSV: UTF-8, LF, comma, a header; quotes only around cells that hold a quote, comma or line break; null
    as nothing (as `""` where it is the only column, so that the row is no empty line). OSError goes up.
    """

    def __init__(self, file: BinaryIO, columns: Sequence[str], form: str = "csv") -> None:
        self.file, self.columns = file, list(columns)
        self.parquet = None
        if form == "parquet":
            from pyarrow.parquet import ParquetWriter

            self.parquet = ParquetWriter(file, pa.schema([(name, pa.string()) for name in columns]))
        else:
            file.write(_lines([strings([name]) for name in columns]))

    def write(self, batch: pa.RecordBatch) -> None:
        """Write the rows of a batch."""
        if self.parquet:
            self.parquet.write_batch(batch.select(self.columns))
            return
        for start in range(0, len(batch), _LINES):
            part = batch.slice(start, _LINES)
            self.file.write(_lines([part[name] for name in self.columns]))

    def close(self) -> None:
        """Finish; the file stays open."""
        if self.parquet:
            self.parquet.close()


def write_table(target: Path | str | BinaryIO, batches: Iterable[pa.RecordBatch], columns: Sequence[str]) -> None:
    """Batches of strings as canonical CSV, to a path or an open binary file."""
    with _opened(target) as file:
        writer = TableWriter(file, columns)
        for batch in batches:
            writer.write(batch)


def write_parquet(target: Path | str | BinaryIO, batches: Iterable[pa.RecordBatch], columns: Sequence[str]) -> None:
    """Batches of strings as Parquet with string columns, to a path or an open binary file."""
    with _opened(target) as file:
        writer = TableWriter(file, columns, "parquet")
        for batch in batches:
            writer.write(batch)
        writer.close()


def read_written(path: Path) -> pa.Table:
    """A whole table that was written here, CSV or Parquet, every column as strings, null where a cell is empty."""
    if path.suffix == ".parquet":
        from pyarrow.parquet import ParquetFile

        return ParquetFile(path).read()
    from pyarrow import csv

    names = csv.open_csv(path).schema.names
    options = csv.ConvertOptions(
        column_types={name: pa.string() for name in names},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    return csv.read_csv(path, parse_options=csv.ParseOptions(newlines_in_values=True), convert_options=options)


def _lines(cells: Sequence[pa.StringArray]) -> bytes:
    alone = len(cells) == 1
    text = _joined(cells)
    rows, empty = len(cells[0]), alone and cells[0].null_count
    special = (
        b'"' in text or b"\r" in text or text.count(b"\n") != rows or text.count(b",") != rows * (len(cells) - 1)
    )
    return _joined([_quoted(column, alone) for column in cells]) if special or empty else text


def _joined(cells: Sequence[pa.StringArray]) -> bytes:
    """The cells of each row with commas between them, and a newline."""
    parts: list[pa.StringArray | str] = []
    between = ""
    for column in cells:
        if column.null_count < len(column):
            parts += [between, column]
            between = ""
        between += ","
    parts.append(f"{between[:-1]}\n")
    if len(parts) == 1:
        return f"{parts[0]}".encode() * len(cells[0])
    lines = pc.binary_join_element_wise(*parts, "", null_handling="replace", null_replacement="")
    return b"" if not len(lines) else _text(lines)


def _text(lines: pa.StringArray) -> bytes:
    """All the array's texts, one after another: its data buffer as it is."""
    ends = memoryview(lines.buffers()[1]).cast("i")
    return memoryview(lines.buffers()[2])[ends[lines.offset] : ends[lines.offset + len(lines)]].tobytes()


def _quoted(cells: pa.StringArray, alone: bool) -> pa.StringArray:
    if cells.null_count == len(cells):
        return cells.fill_null('""') if alone else cells
    special = pc.match_substring_regex(cells, '[",\r\n]')
    if pc.any(special).as_py():
        doubled = pc.replace_substring(cells, '"', '""')
        cells = pc.if_else(special, pc.binary_join_element_wise('"', doubled, '"', ""), cells)
    return cells.fill_null('""') if alone else cells


@contextmanager
def _opened(target: Path | str | BinaryIO) -> Iterator[BinaryIO]:
    if isinstance(target, Path | str):
        with Path(target).open("wb") as file:
            yield file
    else:
        yield target
