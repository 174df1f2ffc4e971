"""A figure: its drawing, what it shows in words, and the values it shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from fhir_ivig.endpoints.tables import Row
from fhir_ivig.report.sheet import Sheet

LINES = 40  # subjects drawn one by one in a figure of lines
LANES = 30  # subjects drawn in a figure that gives each a lane

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Figure:
    """`name` is that of its files, `title` its heading.

    `drawing` is a whole SVG, which says to who cannot see it what it shows; `values` are those that it was drawn
    from, all of them, even where the drawing thins them out; `note` says what a reader must know, thinning included.
    """

    name: str
    title: str
    drawing: str
    values: Sheet
    note: str = ""


def named(kind: str, name: str) -> str:
    """A figure's name out of one that a study chose: fit for a file and for an id, whatever the study wrote."""
    return f"{kind}-" + re.sub(r"[^A-Za-z0-9_-]", lambda found: f"_{ord(found[0]):x}_", name)[:80]


def sample(every: Sequence[_T], most: int) -> list[_T]:
    """All, or so many evenly spaced through their order: chosen by place, never by value."""
    if len(every) <= most:
        return list(every)
    return [every[place * len(every) // most] for place in range(most)]


def thinned(shown: int, of: int) -> str:
    """What a reader must be told where not all are drawn; empty where all are."""
    if shown >= of:
        return ""
    return f"Drawn one by one: {shown:,} of {of:,} subjects, evenly spaced in the order of their numbers."


def source(row: Row) -> str:
    """Where a value came from: its resource, else its row."""
    return row.resource or f"{row.table}.csv, row {row.number}"
