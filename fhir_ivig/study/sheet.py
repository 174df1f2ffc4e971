"""The cells of a workbook's sheet (ECMA-376 part 1, 18.3): what a person sees in them, as text."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from fhir_ivig.study.number_formats import day_text, number_text
from fhir_ivig.study.texts import shown

_WHAT = "a formula without a stored value: open the workbook in Excel, let it calculate, save it"
Row = tuple[int, dict[int, str], dict[int, str]]  # its number, texts by column (from 1), why cells cannot be taken


class Sheet:
    """A sheet of an open workbook, `part` of its archive: its rows as texts."""

    def __init__(self, reader: Any, title: str, part: str) -> None:
        from openpyxl.styles.numbers import BUILTIN_FORMATS
        from openpyxl.utils.datetime import MAC_EPOCH

        self.archive, self.title, self.part = reader.archive, title, part
        self.titles = [sheet.name for sheet in reader.parser.sheets]
        self.shared = _shared_strings(reader)
        book = reader.wb
        self.since_1904 = book.epoch == MAC_EPOCH
        self.formats = [
            BUILTIN_FORMATS.get(style.numFmtId, "General")
            if style.numFmtId < 164
            else book._number_formats[style.numFmtId - 164]
            for style in book._cell_styles
        ]
        self.dates = book._date_formats

    def rows(self) -> Iterator[Row]:
        """The rows that hold something."""
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
                elif element.tag == ROW_TAG and event == "end" and data is not None:
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
            return ("" if inline is None else _joined(inline)), ""
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

    def below(self, header: int, names: dict[int, str]) -> Iterator[Row]:
        """The rows below the header. Of merged cells the first alone holds the text: the others are refused."""
        from openpyxl.utils.cell import get_column_letter

        areas, filled = list(self.merged()), set[str]()
        for number, texts, wrong in self.rows():
            if number <= header:
                continue
            for left, top, right, bottom in areas:
                first = f"{get_column_letter(left)}{top}"
                if number == top and left in texts:
                    filled.add(first)
                if first in filled and number <= bottom:
                    text = f"It is merged with {first}, which alone holds the text: unmerge them, and fill each cell."
                    blank = (column for column in names if left <= column <= right and column not in texts)
                    wrong |= dict.fromkeys(blank, text)
            yield number, texts, wrong

    def merged(self) -> Iterator[tuple[int, int, int, int]]:
        """The cells that are merged: first column and row, last column and row."""
        from openpyxl.utils.cell import range_boundaries
        from openpyxl.xml.constants import SHEET_MAIN_NS
        from openpyxl.xml.functions import iterparse

        if not self.holds(b"mergeCell "):
            return
        with self.archive.open(self.part) as raw:
            for _, element in iterparse(raw):
                if element.tag == f"{{{SHEET_MAIN_NS}}}mergeCell":
                    yield range_boundaries(element.get("ref"))
                element.clear()

    def holds(self, octets: bytes) -> bool:
        """Whether these stand anywhere in the sheet: much faster than to parse it."""
        with self.archive.open(self.part) as raw:
            before = b""
            while part := raw.read(1 << 20):
                if octets in before + part:
                    return True
                before = part[-len(octets) :]
        return False


def _shared_strings(reader: Any) -> list[str]:
    """The texts that cells name by their numbers (18.4), each kept once beside the sheets; `reader` is an openpyxl
    `ExcelReader` that knows its parts."""
    from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS
    from openpyxl.xml.functions import iterparse

    found: list[str] = []
    if part := reader.package.find(SHARED_STRINGS):
        with reader.archive.open(part.PartName[1:]) as raw:
            for _, element in iterparse(raw):
                if element.tag == f"{{{SHEET_MAIN_NS}}}si":
                    found.append(_joined(element))
                    element.clear()
    return found


def _joined(element: Any) -> str:
    """A text, or its pieces of several looks, without the readings of Japanese signs that stand beside it."""
    from openpyxl.utils.escape import unescape
    from openpyxl.xml.constants import SHEET_MAIN_NS

    text, run = f"{{{SHEET_MAIN_NS}}}t", f"{{{SHEET_MAIN_NS}}}r"
    pieces = (each.text if each.tag == text else each.findtext(text) for each in element if each.tag in (text, run))
    return str(unescape("".join(piece or "" for piece in pieces)))
