"""Blocks of cells out of Excel workbooks (ECMA-376, the transitional form): what a person sees in them, as text.

Formulas are their stored values; nothing is ever computed and no macro run.
"""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fhir_ivig.issue import Code, Issue, IssueError
from fhir_ivig.study.block import Block
from fhir_ivig.study.sheet import Row, Sheet
from fhir_ivig.study.source import Source
from fhir_ivig.study.texts import shown, strings

ROWS = 1 << 14  # rows handed on at once
LARGEST = 1 << 30  # bytes of the file, and of what is packed in it
PACKED = 300  # times that a part may be larger than it is packed,
SMALL = 1 << 25  # where it is larger than this
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
# What damaged and hostile files make the readers of XML and of zip files raise, and openpyxl besides.
_DAMAGED = (
    ArithmeticError,
    EOFError,
    LookupError,
    RuntimeError,
    SyntaxError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
_UNOPENED = (*_DAMAGED, AttributeError, TypeError)


def header(path: Path, source: Source, file: str) -> list[str]:
    """The names in the header of a sheet."""
    with _opened(path, source, file) as sheet:
        if names := list(sheet.named(source.header).values()):
            return names
        rows = " and ".join(map(str, source.header))
        text = (
            f"{sheet.title} has nothing in row {rows}: say under `header` which row holds the names of the columns."
        )
        raise _fatal("structure", text, file)


def around(path: Path, source: Source, file: str) -> tuple[str, list[str], bool]:
    """The name of the sheet that is read, those of all sheets, and whether anything stands above its header."""
    with _opened(path, source, file) as sheet:
        first = next(sheet.rows(), None)
        return sheet.title, sheet.titles, first is not None and first[0] < source.header[0]


def blocks(path: Path, source: Source, file: str) -> Iterator[Block]:
    """All rows below the header that hold something."""
    from openpyxl.utils.cell import get_column_letter

    with _opened(path, source, file) as sheet:
        names, title = sheet.named(source.header), sheet.title
        cells = {name: f"{title}!{get_column_letter(column)}" for column, name in names.items()}
        rows: list[Row] = []
        for row in sheet.below(source.header[-1], names):
            if strange := (row[1].keys() | row[2].keys()) - names.keys():
                place = f"{title}!{get_column_letter(min(strange))}{row[0]}"
                text = f"{place} stands under no name: name its column (where cells are merged, only the first has a"
                raise IssueError(Issue("fatal", "structure", f"{text} name), or empty it.", file, row[0]))
            rows.append(row)
            if len(rows) == ROWS:
                yield _block(names, rows, cells)
                rows = []
        yield _block(names, rows, cells)


def _block(names: dict[int, str], rows: list[Row], cells: dict[str, str]) -> Block:
    columns = {name: strings(texts.get(column) for _, texts, _ in rows) for column, name in names.items()}
    wrong: dict[str, dict[int, str]] = {}
    for number, _, why in rows:
        for column, text in why.items():
            wrong.setdefault(names[column], {})[number] = text
    return Block(columns, np.array([number for number, *_ in rows], dtype=np.int64), [], wrong, cells)


@contextmanager
def _opened(path: Path, source: Source, file: str) -> Iterator[Sheet]:
    """The sheet of a source; IssueError for whatever is no workbook that may be read, and what is wrong inside."""
    _check(path, file)
    try:
        import openpyxl.reader.excel
        from openpyxl.styles.stylesheet import apply_stylesheet
    except ImportError:
        text = 'Workbooks need the extra: pip install "fhir-ivig[excel]".'
        raise _fatal("not-supported", text, file) from None
    damaged = _fatal("structure", "This workbook is damaged: open it in Excel and save it again.", file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of parts that are of no account here
            reader = openpyxl.reader.excel.ExcelReader(path, read_only=True, data_only=True, keep_links=False)
            reader.read_manifest()
            reader.read_workbook()
            apply_stylesheet(reader.archive, reader.wb)
            title, part = _chosen(reader, source, file)
    except _UNOPENED:
        raise damaged from None
    with reader.archive:
        try:
            yield Sheet(reader, title, part)
        except _DAMAGED:
            raise damaged from None


def _chosen(reader: Any, source: Source, file: str) -> tuple[str, str]:
    """The sheet's name, and its part in the archive. (Charts are sheets too, and hold no cells.)"""
    sheets = [(sheet, part) for sheet, part in reader.parser.find_sheets() if part.Type.endswith("/worksheet")]
    parts = {sheet.name: part.target for sheet, part in sheets}
    visible = [sheet.name for sheet, _ in sheets if sheet.state == "visible"]
    if not sheets:
        text = "It has no sheet that can be read: save it as `Excel Workbook (*.xlsx)`, not as Strict Open XML."
        raise _fatal("not-supported", text, file)
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
