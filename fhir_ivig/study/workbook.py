"""Blocks of cells out of Excel workbooks (ECMA-376, the transitional form): what a person sees in them, as text.

Formulas are their stored values; nothing is ever computed and no macro run.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fhir_ivig.issue import Code, Issue, IssueError
from fhir_ivig.study.block import Block
from fhir_ivig.study.number_formats import day_text, number_text
from fhir_ivig.study.shared_strings import joined, shared_strings
from fhir_ivig.study.source import Source
from fhir_ivig.study.texts import shown, strings

ROWS = 1 << 14  # rows handed on at once
LARGEST = 1 << 30  # bytes of the file, and of what is packed in it
PACKED = 300  # times that a part may be larger than it is packed,
SMALL = 1 << 25  # where it is larger than this
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_WHAT = "a formula without a stored value: open the workbook in Excel, let it calculate, save it"


class _Sheet:
    """A sheet of an open workbook, `part` of its archive: its rows as texts."""

    def __init__(self, reader: Any, title: str, part: str) -> None:
        from openpyxl.styles.numbers import BUILTIN_FORMATS
        from openpyxl.utils.datetime import MAC_EPOCH

        self.archive, self.title, self.part = reader.archive, title, part
        self.shared = shared_strings(reader)
        book = reader.wb
        self.since_1904 = book.epoch == MAC_EPOCH
        self.formats = [
            BUILTIN_FORMATS.get(style.numFmtId, "General")
            if style.numFmtId < 164
            else book._number_formats[style.numFmtId - 164]
            for style in book._cell_styles
        ]
        self.dates = book._date_formats

    def rows(self) -> Iterator[tuple[int, dict[int, str], dict[int, str]]]:
        """The rows that hold something: the number, the texts by column (from 1), and why cells cannot be taken."""
        from openpyxl.utils.cell import column_index_from_string
        from openpyxl.worksheet._reader import DATA_TAG, ROW_TAG
        from openpyxl.xml.functions import iterparse

        letters = lru_cache(1 << 14)(column_index_from_string)
        number = 0
        data: Any = None
        with self.archive.open(self.part) as raw:
            for event, element in iterparse(raw, ("start", "end")):
                if element.tag == DATA_TAG:
                    if event == "end":
                        return
                    data = element
                elif element.tag == ROW_TAG and event == "end":
                    number = int(element.get("r", number + 1))
                    texts: dict[int, str] = {}
                    wrong: dict[int, str] = {}
                    column = 0
                    for cell in element:
                        place = cell.get("r")
                        column = letters(place.rstrip("0123456789")) if place else column + 1
                        text, why = self.cell(cell)
                        if text:
                            texts[column] = text
                        if why:
                            wrong[column] = why
                    if texts or wrong:
                        yield number, texts, wrong
                    data.clear()  # else every row would stay in memory

    def cell(self, element: Any) -> tuple[str, str]:
        """The text of a cell, and why it cannot be taken; empty where there is none."""
        from openpyxl.utils.escape import unescape
        from openpyxl.worksheet._reader import FORMULA_TAG, INLINE_STRING, VALUE_TAG

        kind, value = element.get("t", "n"), element.findtext(VALUE_TAG)
        if kind == "inlineStr":
            inline = element.find(INLINE_STRING)
            return ("" if inline is None else joined(inline)), ""
        if value is None or (not value and kind != "str"):
            return ("", "") if element.find(FORMULA_TAG) is None or kind == "str" else ("=", f"This is {_WHAT}.")
        if kind == "s":
            return self.shared[int(value)], ""
        if kind == "b":
            return ("yes" if int(value) else "no"), ""
        if kind == "e":
            return value, f"The cell holds the error {shown(value)}: correct the formula, or empty it."
        if kind != "n":
            return unescape(value), ""
        style = int(element.get("s", 0))
        if style in self.dates:
            return day_text(value, self.formats[style], self.since_1904)
        return number_text(value, self.formats[style] if style < len(self.formats) else "General")

    def named(self, wanted: tuple[int, ...]) -> dict[int, str]:
        """The names by column in these rows; those of several rows are joined by blanks."""
        rows: dict[int, dict[int, str]] = {number: {} for number in wanted}
        for number, texts, _ in self.rows():
            if number > wanted[-1]:
                break
            if number in rows:
                rows[number] = texts
        for left, top, right, bottom in self.merged() if len(wanted) > 1 else ():
            if top in rows and left in rows[top]:
                for number in rows.keys() & range(top, bottom + 1):
                    rows[number] |= dict.fromkeys(range(left, right + 1), rows[top][left])
        columns = sorted({column for texts in rows.values() for column in texts})
        return {
            column: " ".join(dict.fromkeys(texts[column] for texts in rows.values() if column in texts))
            for column in columns
        }

    def merged(self) -> Iterator[tuple[int, int, int, int]]:
        """The cells that are merged: first column and row, last column and row."""
        from openpyxl.utils.cell import range_boundaries
        from openpyxl.xml.constants import SHEET_MAIN_NS
        from openpyxl.xml.functions import iterparse

        with self.archive.open(self.part) as raw:
            for _, element in iterparse(raw):
                if element.tag == f"{{{SHEET_MAIN_NS}}}mergeCell":
                    yield range_boundaries(element.get("ref"))
                element.clear()


def header(path: Path, source: Source, file: str) -> list[str]:
    """The names in the header of a sheet."""
    with _opened(path, source, file) as sheet:
        return list(sheet.named(source.header).values())


def blocks(path: Path, source: Source, file: str) -> Iterator[Block]:
    """All rows below the header that hold something."""
    from openpyxl.utils.cell import get_column_letter

    with _opened(path, source, file) as sheet:
        names, title = sheet.named(source.header), sheet.title
        cells = {name: f"{title}!{get_column_letter(column)}" for column, name in names.items()}
        rows: list[tuple[int, dict[int, str], dict[int, str]]] = []
        for row in sheet.rows():
            if row[0] <= source.header[-1]:
                continue
            if strange := (row[1].keys() | row[2].keys()) - names.keys():
                place = f"{title}!{get_column_letter(min(strange))}{row[0]}"
                text = f"{place} stands under no name: name its column (where cells are merged, only the first has a"
                raise IssueError(Issue("fatal", "structure", f"{text} name), or empty it.", file, row[0]))
            rows.append(row)
            if len(rows) == ROWS:
                yield _block(names, rows, cells)
                rows = []
        yield _block(names, rows, cells)


def _block(
    names: dict[int, str], rows: list[tuple[int, dict[int, str], dict[int, str]]], cells: dict[str, str]
) -> Block:
    columns = {name: strings(texts.get(column) for _, texts, _ in rows) for column, name in names.items()}
    wrong: dict[str, dict[int, str]] = {}
    for number, _, why in rows:
        for column, text in why.items():
            wrong.setdefault(names[column], {})[number] = text
    return Block(columns, np.array([number for number, *_ in rows], dtype=np.int64), [], wrong, cells)


@contextmanager
def _opened(path: Path, source: Source, file: str) -> Iterator[_Sheet]:
    """The sheet of a source; IssueError for whatever is no workbook that may be read, and what is wrong inside."""
    _check(path, file)
    try:
        import openpyxl.reader.excel
        from openpyxl.styles.stylesheet import apply_stylesheet
    except ImportError:
        text = 'Workbooks need the extra: pip install "fhir-ivig[excel]".'
        raise _fatal("not-supported", text, file) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of parts that are of no account here
            reader = openpyxl.reader.excel.ExcelReader(path, read_only=True, data_only=True, keep_links=False)
        with reader.archive:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reader.read_manifest()
                reader.read_workbook()
                apply_stylesheet(reader.archive, reader.wb)
                title, part = _chosen(reader, source, file)
            yield _Sheet(reader, title, part)
    except (IssueError, OSError):
        raise
    except Exception:  # whatever a damaged or hostile file makes the reader raise
        raise _fatal("structure", "This workbook is damaged: open it in Excel and save it again.", file) from None


def _chosen(reader: Any, source: Source, file: str) -> tuple[str, str]:
    """The sheet's name, and its part in the archive. (Charts are sheets too, and hold no cells.)"""
    sheets = [(sheet, part) for sheet, part in reader.parser.find_sheets() if part.Type.endswith("/worksheet")]
    parts = {sheet.name: part.target for sheet, part in sheets}
    visible = [sheet.name for sheet, _ in sheets if sheet.state == "visible"]
    if source.sheet is None and len(visible) != 1:
        raise _fatal("required", f"Say under `sheet` which is meant: {', '.join(parts)}.", file)
    if source.sheet is not None and source.sheet not in parts:
        text = f"There is no sheet {shown(source.sheet)}. There are: {', '.join(parts)}."
        raise _fatal("not-found", text, file)
    title = source.sheet or visible[0]
    return title, parts[title]


def _check(path: Path, file: str) -> None:
    """What a file must be before anything is unpacked of it."""
    with path.open("rb") as raw:
        if raw.read(8) == _OLE:
            text = "It has a password, or is of an old kind: save it as .xlsx without a password."
            raise _fatal("not-supported", text, file)
    if path.suffix.lower() not in (".xlsx", ".xlsm"):
        raise _fatal("not-supported", "Only .xlsx and .xlsm are read: save it as .xlsx.", file)
    try:
        with zipfile.ZipFile(path) as packed:
            parts = packed.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise _fatal("structure", "This is no workbook, or it is damaged: save it as .xlsx again.", file) from None
    size = sum(part.file_size for part in parts)
    if any(part.file_size > max(SMALL, PACKED * part.compress_size) for part in parts):
        text = "A part of it is packed suspiciously tightly: this is no workbook of people. Save it as CSV."
        raise _fatal("security", text, file)
    if max(size, path.stat().st_size) > LARGEST:
        raise _fatal(
            "too-long", f"It holds {size >> 20} MB, more than the {LARGEST >> 20} read: save it as CSV.", file
        )


def _fatal(code: Code, text: str, file: str) -> IssueError:
    return IssueError(Issue("fatal", code, text, file))
