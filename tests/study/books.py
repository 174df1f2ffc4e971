"""Workbooks made for a test."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from openpyxl import Workbook


def make_book(path: Path, sheets: dict[str, list[list[Any]]], **said: Any) -> None:
    """A workbook with these rows; a cell may be `{value, format, type}`. `said`: `since_1904`, `hidden`, `merged`."""
    from openpyxl.utils.datetime import CALENDAR_MAC_1904

    book = Workbook()
    book.remove(book.active)
    if said.get("since_1904"):
        book.epoch = CALENDAR_MAC_1904
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for number, row in enumerate(rows, 1):
            for column, given in enumerate(row, 1):
                cell = given if isinstance(given, dict) else {"value": given}
                if cell.get("value") is None:
                    continue
                place = sheet.cell(number, column, cell["value"])
                place.number_format = cell.get("format", place.number_format)
                place.data_type = cell.get("type", place.data_type)
        for cells in said.get("merged", {}).get(name, ()):
            sheet.merge_cells(cells)
        sheet.sheet_state = "hidden" if name in said.get("hidden", ()) else "visible"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        book.save(path)
