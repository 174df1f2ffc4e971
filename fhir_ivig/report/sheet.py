"""A table as plain text cells: what the page lays out and a CSV file holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# What makes a spreadsheet compute a cell instead of showing it (OWASP, CSV Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class Sheet:
    """Caption, heads, rows of as many cells; `numbers` are the places (from 0) of the columns set flush right."""

    caption: str
    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numbers: tuple[int, ...] = ()
    note: str = ""


def to_csv(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """The rows as CSV that a spreadsheet only shows: a text that it would compute gets an apostrophe before it."""
    return "".join(",".join(map(_cell, row)) + "\n" for row in (heads, *rows))


def _cell(cell: str) -> str:
    harmless = f"'{cell}" if cell.startswith(_FORMULA) and not _is_number(cell) else cell
    quoted = harmless.replace('"', '""')
    return f'"{quoted}"' if any(letter in harmless for letter in ',"\r\n') else harmless


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.isascii() and not any(sign in cell for sign in " _\t\r\n")
