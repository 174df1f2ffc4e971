"""A table as plain text cells: what the page lays out and a CSV file holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fhir_ivig.spreadsheet import harmless


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
    shown = harmless(cell)
    quoted = shown.replace('"', '""')
    return f'"{quoted}"' if any(letter in shown for letter in ',"\r\n') else shown
