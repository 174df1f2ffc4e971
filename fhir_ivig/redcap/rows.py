"""The rows of a CSV file or answer as REDCap writes it: UTF-8, quotes doubled."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fhir_ivig.issue import Issue, IssueError

DELIMITERS = ",;\t|^"  # those that REDCap's page offers; its API is asked for the first


def read_rows(path: Path) -> tuple[list[list[str]], str]:
    """Its rows, the header first, and the delimiter, which is the one that the header has most of.

    IssueError where it cannot be read, or is no CSV file in UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(DELIMITERS, key=first.count)
            return parsed(file, path.name, delimiter), delimiter
    except UnicodeDecodeError:
        raise IssueError(Issue("fatal", "structure", "This is not UTF-8: save it as UTF-8.", path.name)) from None
    except OSError as error:
        raise IssueError(Issue("fatal", "not-found", f"Cannot read it: {error.strerror}.", path.name)) from None


def parsed(lines: Iterable[str], name: str, delimiter: str = ",") -> list[list[str]]:
    """The rows of cells in lines of CSV; IssueError, which names the file or answer, where it is none."""
    try:
        return list(csv.reader(lines, delimiter=delimiter))
    except csv.Error as error:
        raise IssueError(Issue("fatal", "structure", f"This is no CSV file: {error}.", name)) from None


def uneven(rows: Sequence[Sequence[str]], file: str) -> Iterator[Issue]:
    """Rows that have more or fewer cells than the header."""
    for number, row in enumerate(rows[1:], 2):
        if any(row) and len(row) != len(rows[0]):
            text = (
                f"The row has {len(row)} cells, the header {len(rows[0])}: cut off, or a quote or comma is missing?"
            )
            yield Issue("error", "structure", text, file, number)
