"""The rows of a CSV file as REDCap writes it: UTF-8, commas, quotes doubled."""

from __future__ import annotations

import csv
from pathlib import Path

from fhir_ivig.issue import Issue, IssueError


def read_rows(path: Path) -> list[list[str]]:
    """Its rows, the header first; IssueError where it cannot be read, or is no CSV file in UTF-8."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.reader(file))
    except UnicodeDecodeError:
        raise IssueError(Issue("fatal", "structure", "This is not UTF-8: save it as UTF-8.", path.name)) from None
    except OSError as error:
        raise IssueError(Issue("fatal", "not-found", f"Cannot read it: {error.strerror}.", path.name)) from None
    except csv.Error as error:
        raise IssueError(Issue("fatal", "structure", f"This is no CSV file: {error}.", path.name)) from None
