"""Data sets as one Excel workbook, a sheet each, written row by row.

Texts are texts. A number is a number where its format shows it exactly as written (612.60 stays 612.60) and Excel's
fifteen digits hold it, else a text. Dates are texts in ISO 8601: a workbook has no months or years alone, no time
zones, and nothing before 1900. What no cell can hold is left out with an error; nothing is cut.

The limits: https://support.microsoft.com/en-us/office/1672b34d-7043-467e-8e27-269d656771c3 ; how signs that XML does
not have are written (`_x0001_`): ECMA-376 part 1, 22.9.2.19 ST_Xstring.
"""

from __future__ import annotations

import errno
import gc
import re
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fhir_ivig.datasets.cells import at, is_number, like_formulas, longest
from fhir_ivig.datasets.dataset import Dataset, Variable
from fhir_ivig.issue import Issue
from fhir_ivig.study.texts import shown

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "datasets.xlsx"
ROWS, COLUMNS, SIGNS, DIGITS, NAME = 1_048_576, 16_384, 32_767, 15, 31
GENERAL = 11  # signs of a whole number that are shown without a format
WIDEST = 60  # a column on the screen
_NO_NAME = re.compile(r"[\[\]:*?/\\\x00-\x1f]|^'|'$|^history$", re.IGNORECASE)
# What XML cannot carry as it is (carriage returns become line feeds), and what would be read as standing for such.
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


def write_excel(datasets: Sequence[Dataset], folder: Path) -> list[Issue]:
    """All data sets as `datasets.xlsx`, a sheet each, the names of the variables in the first row.

    Issues: an error for a sheet or a cell that no workbook can hold; a warning for a number kept as text; an
    information for a text that would have run as a formula, which the workbook marks as text (as a ' in front does),
    and for signs that stand as `_x0001_`.
    """
    return write_book([(dataset, 1) for dataset in datasets], folder / FILE)


def write_book(sheets: Sequence[tuple[Dataset, int]], path: Path) -> list[Issue]:
    """The same as a workbook of another name, each data set with the row that its header stands in."""
    with _in_folder(path.parent):
        return _written(sheets, path)


def _written(sheets: Sequence[tuple[Dataset, int]], path: Path) -> list[Issue]:
    from openpyxl import Workbook

    book, issues, names = Workbook(write_only=True), list[Issue](), set[str]()
    for dataset, header in sheets:
        file = f"{path.name}!{dataset.name}"
        if wrong := _unfit(dataset, names):
            issues.append(Issue("error", "too-long", f"{wrong}: the data set is left out.", file))
            continue
        names.add(dataset.name.lower())
        sheet = book.create_sheet(dataset.name)
        _look(sheet, dataset, header)
        said: list[Issue] = []
        columns = [_Column(sheet, dataset, variable, file, said) for variable in dataset.variables]
        for _ in range(header - 1):
            sheet.append([])
        sheet.append([_bold(column) for column in columns])
        for row in zip(*(column.cells() for column in columns), strict=True):
            sheet.append(row)
        issues += [issue.at(row=(issue.row or 1) + header - 1) for issue in said]
    if names:
        book.save(path)
    return issues


@contextmanager
def _in_folder(folder: Path) -> Iterator[None]:
    """The sheets' temporary files, which hold patients' data, are in the folder that is written, and end with it.
    A disk that is full is an OSError: lxml, where openpyxl finds it, has errors of its own, and more as it is closed.
    """
    before, hook = tempfile.tempdir, sys.unraisablehook
    tempfile.tempdir = str(folder)
    try:
        yield
    except Exception as error:
        if not isinstance(error, OSError) and type(error).__module__ != "lxml.etree":
            raise
        sys.unraisablehook = lambda _: None
        traceback.clear_frames(error.__traceback__)  # closes what was being written, now
        gc.collect()
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise OSError(errno.ENOSPC, f"the workbook is not whole ({reason})") from None
    finally:
        tempfile.tempdir, sys.unraisablehook = before, hook


def _unfit(dataset: Dataset, names: set[str]) -> str | None:
    """Why a data set can be no sheet."""
    if not 0 < len(dataset.name) <= NAME or _NO_NAME.search(dataset.name) or dataset.name.lower() in names:
        return f"{shown(dataset.name)} can be no sheet's name (1 to {NAME} signs, none of []:*?/\\, each name once)"
    if dataset.table.num_rows >= ROWS or len(dataset.variables) > COLUMNS:
        return f"A sheet has at most {ROWS:,} rows, its header among them, and {COLUMNS:,} columns"
    return None


def _look(sheet: Any, dataset: Dataset, header: int) -> None:
    """The header stays in sight, and columns are as wide as their cells."""
    from openpyxl.utils import get_column_letter

    sheet.freeze_panes = f"A{header + 1}"
    for place, variable in enumerate(dataset.variables, 1):
        width = max(len(variable.name), longest(dataset.table.column(variable.name)))
        sheet.column_dimensions[get_column_letter(place)].width = min(width, WIDEST) + 2


def _bold(column: _Column) -> Any:
    from openpyxl.styles import Font

    cell = column.text(column.variable.name, quoted=True)
    cell.font = Font(bold=True)
    return cell


class _Column:
    """One variable's cells on a sheet."""

    def __init__(self, sheet: Any, dataset: Dataset, variable: Variable, file: str, issues: list[Issue]) -> None:
        from openpyxl.cell import WriteOnlyCell
        from openpyxl.cell.cell import ERROR_CODES

        self.sheet, self.dataset, self.variable, self.file, self.issues = sheet, dataset, variable, file, issues
        self.cell, self.errors = WriteOnlyCell, ERROR_CODES

    def cells(self) -> Iterator[Any]:
        """A cell for each row of the table, as it is asked for."""
        formulas = set(like_formulas(self.dataset, self.variable))
        numbers = self.variable.kind in ("integer", "decimal")
        chunks: list[pa.StringArray] = self.dataset.table.column(self.variable.name).chunks
        for place, text in enumerate(text for chunk in chunks for text in chunk.to_pylist()):
            if text is None:
                yield None
            elif numbers and _holds(text):
                yield self.number(text)
            else:
                yield self.told(place, text, numbers, place in formulas)

    def told(self, place: int, text: str, number: bool, formula: bool) -> Any:
        """The cell of a text, and what is to be said of it."""
        written = _HIDDEN.sub(lambda sign: f"_x{ord(sign[0]):04X}_", text)
        if len(written.encode("utf-16-le")) > 2 * SIGNS:
            said = f"It has {len(text):,} characters, a cell holds {SIGNS:,}: the cell is left empty."
            self.say(place, "error", "too-long", said)
            return None
        if written != text:
            said = "It holds signs that a workbook writes as `_x0001_`: Excel shows it as it is, others may not."
            self.say(place, "information", "informational", said)
        if number:
            said = f"{shown(text)} is kept as text: Excel would not hold and show it as it is written."
            self.say(place, "warning", "value", said)
        if formula:
            said = f"{shown(text)} begins as a formula does: it is marked as text and does not run."
            self.say(place, "information", "security", said)
        return self.text(written, quoted=formula)

    def say(self, place: int, severity: Any, code: Any, text: str) -> None:
        """An Issue at the sheet's cell."""
        self.issues.append(at(self.file, place, self.variable.name, severity, code, text))

    def text(self, text: str, *, quoted: bool) -> Any:
        """A cell that holds a text, whatever it looks like; `quoted` with a ' in front."""
        if not quoted and text not in self.errors:
            return text  # openpyxl takes it for the text that it is, and is faster without a cell of our own
        cell = self.cell(self.sheet, text)
        cell.data_type = "s"
        cell.quotePrefix = quoted
        return cell

    def number(self, text: str) -> Any:
        """A cell that holds a number and shows it with the decimals that are written."""
        decimals = len(text.partition(".")[2])
        if not decimals and len(text) <= GENERAL:
            return int(text)
        cell = self.cell(self.sheet, float(text) if decimals else int(text))
        cell.number_format = f"0.{'0' * decimals}" if decimals else "0"
        return cell


def _holds(text: str) -> bool:
    """Whether a cell can hold a number and show it as it is written."""
    digits = text.lstrip("-").replace(".", "").lstrip("0")
    decimals = len(text.partition(".")[2])
    negative_zero = text.startswith("-") and not digits
    return is_number(text) and len(digits) <= DIGITS and decimals <= DIGITS and not negative_zero
