"""The texts of a workbook (ECMA-376 part 1, 18.4), which Excel keeps beside the sheets, each once."""

from __future__ import annotations

from typing import Any


def shared_strings(reader: Any) -> list[str]:
    """The texts that cells name by their numbers; `reader` is an openpyxl `ExcelReader` that knows its parts."""
    from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS
    from openpyxl.xml.functions import iterparse

    found: list[str] = []
    if part := reader.package.find(SHARED_STRINGS):
        with reader.archive.open(part.PartName[1:]) as raw:
            for _, element in iterparse(raw):
                if element.tag == f"{{{SHEET_MAIN_NS}}}si":
                    found.append(joined(element))
                    element.clear()
    return found


def joined(element: Any) -> str:
    """A text, or its pieces of several looks, without the readings of Japanese signs that stand beside it."""
    from openpyxl.utils.escape import unescape
    from openpyxl.xml.constants import SHEET_MAIN_NS

    text, run = f"{{{SHEET_MAIN_NS}}}t", f"{{{SHEET_MAIN_NS}}}r"
    pieces = (each.text if each.tag == text else each.findtext(text) for each in element if each.tag in (text, run))
    return str(unescape("".join(piece or "" for piece in pieces)))
