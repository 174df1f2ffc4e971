"""The cells of a table, each column as its class says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhir_ivig.deidentify.ages import born
from fhir_ivig.deidentify.dates import NONE, from_day_number, shifted
from fhir_ivig.deidentify.key import Key
from fhir_ivig.deidentify.words import may_leave
from fhir_ivig.issue import Code, Issue, IssueError, Severity, many
from fhir_ivig.study.classes import class_of
from fhir_ivig.study.dictionary import Column, Table
from fhir_ivig.study.texts import shown, strings

REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class People:
    """The subjects of all tables: `subjects` distinct, and in line with them the days of their first infusion and of
    their last date (counted from 1970, NONE where not known), and the days that their dates are moved by."""

    subjects: pa.StringArray
    first: np.ndarray
    last: np.ndarray
    by: np.ndarray

    def places(self, subjects: pa.StringArray) -> np.ndarray:
        """Where each is among the subjects; -1 where there is none."""
        found: np.ndarray = pc.index_in(subjects, self.subjects).fill_null(-1).to_numpy()
        return found


@dataclass(slots=True)
class Cells:
    """One table at work: `rows` with their row numbers in `file`, and what became of them.

    `refused` marks rows that cannot leave; `known` are the words that may; `numeric` marks measures with a unit.
    """

    table: Table
    rows: pa.Table
    numbers: np.ndarray
    file: str
    people: People
    key: Key
    known: frozenset[str]
    numeric: frozenset[str]
    issues: list[Issue] = field(default_factory=list)
    refused: np.ndarray = field(init=False)
    coarse: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.refused = np.zeros(len(self.rows), dtype=bool)
        self.coarse = np.zeros(len(self.rows), dtype=bool)  # a key date became less exact

    def made(self) -> pa.Table:
        """The rows that may leave, ordered by subject: their order tells nothing of who was the first."""
        columns = {name: self._column(column) for name, column in self.table.columns.items()}
        made = pa.table(columns)
        self._doubled(made)
        made = made.filter(pa.array(~self.refused))
        order = "subject" if "subject" in self.table.columns else self.table.key[0]
        return made.take(pa.array(np.argsort(made[order].fill_null("").to_numpy(), kind="stable")))

    def _column(self, column: Column) -> pa.StringArray:
        cells = self.rows[column.name].combine_chunks()
        if cells.null_count == len(cells):
            return cells
        rules: Mapping[str, Callable[[Column, pa.StringArray], pa.StringArray]] = {
            "keep": lambda _, kept: kept,
            "hash": self._hashed,
            "word": self._words,
            "result": self._results,
            "shift": self._shifted,
            "birth_date": self._births,
            "remove": self._removed,
        }
        return rules[class_of(column) or "remove"](column, cells)

    def _hashed(self, column: Column, cells: pa.StringArray) -> pa.StringArray:
        return self._each(cells, lambda text: self.key.hashed(column.name, text), column)

    def _words(self, column: Column, cells: pa.StringArray) -> pa.StringArray:
        unknown = [text for text in pc.unique(cells).to_pylist() if text and not may_leave(text, self.known)]
        if unknown:
            text = (
                f"{many(len(unknown), 'word')} that neither study.yaml nor a mapping file names became a hash, the "
            )
            text += f"first {shown(unknown[0])}: name what may leave under `deidentify: words`."
            self._say("information", "informational", text, column)
        hashed = set(unknown)
        return self._each(cells, lambda text: self.key.hashed(column.name, text) if text in hashed else text, column)

    def _results(self, column: Column, cells: pa.StringArray) -> pa.StringArray:
        numeric = pc.is_in(self.rows["measure"].combine_chunks(), strings(self.numeric))
        words = self._words(column, pc.if_else(numeric, None, cells))
        return pc.if_else(numeric, cells, words)

    def _each(self, cells: pa.StringArray, change: Callable[[str], str], column: Column) -> pa.StringArray:
        """Each distinct text changed; IssueError if two became one."""
        encoded = cells.dictionary_encode()
        given = encoded.dictionary.to_pylist()
        changed = [change(text) for text in given]
        if len(set(changed)) < len(set(given)):
            text = "Two cells would have the same hash: take another key file."
            raise IssueError(Issue("fatal", "duplicate", text, self.file, column=column.name))
        return strings(changed).take(encoded.indices)

    def _shifted(self, column: Column, cells: pa.StringArray) -> pa.StringArray:
        places = self.people.places(self.rows["subject"].combine_chunks())
        new, out, partial, two = shifted(cells, np.append(self.people.by, 0)[places])
        alone = (places < 0) & cells.is_valid().to_numpy(zero_copy_only=False)
        said = "is outside of the years 1800 to 2199, or moved it is: correct it, or leave the cell empty."
        self._refuse(out & ~alone, column, cells, said)
        self._refuse(alone, column, cells, "has no subject whose days it could be moved by: name the subject.")
        if partial.any():
            text = f"{many(partial.sum(), 'date')} known to the month or year only became less exact"
            text += (
                f"; {many(two.sum(), 'of them lies', 'of them lie')} in two years now, and the one that holds more "
            )
            text += "was written."
            self._say("warning" if two.any() else "information", "value", text, column, _first(two))
        if column.name in self.table.key:
            self.coarse |= partial
        return new

    def _births(self, column: Column, cells: pa.StringArray) -> pa.StringArray:
        places = self.people.places(self.rows["subject"].combine_chunks())
        new: list[str | None] = []
        pooled = 0
        for birth, place in zip(cells.to_pylist(), places.tolist(), strict=True):
            text, old = None, False
            if birth is not None and place >= 0 and self.people.first[place] != NONE:
                first, last = (from_day_number(int(days[place])) for days in (self.people.first, self.people.last))
                text, old = born(birth, first, max(first, last), int(self.people.by[place]))
            pooled += old
            new.append(text)
        lost = np.array([text is None for text in new]) & cells.is_valid().to_numpy(zero_copy_only=False)
        if lost.any():
            text = f"{many(lost.sum(), 'birth date was', 'birth dates were')} removed: no age at an infusion, course "
            text += "or assessment whose day is known follows from it."
            self._say("warning", "incomplete", text, column, _first(lost))
        if pooled:
            text = (
                f"{many(pooled, 'subject above 89 is', 'subjects above 89 are')} given as 90 at the first infusion: "
            )
            text += "means of ages change by that."
            self._say("warning", "informational", text, column)
        return strings(new)

    def _removed(self, column: Column, cells: pa.StringArray) -> pa.StringArray:
        text = (
            f"{many(len(cells) - cells.null_count, 'cell was', 'cells were')} removed. A population or an endpoint "
        )
        text += "that reads this column finds nothing any more."
        self._say("information", "informational", text, column)
        if column.required:
            return pc.if_else(cells.is_valid(), REMOVED, cells)
        return pa.nulls(len(cells), pa.string())

    def _doubled(self, made: pa.Table) -> None:
        """Refuse rows whose keys became equal because a date in them became less exact."""
        rows = np.flatnonzero(self.coarse & ~self.refused)
        if not len(rows):
            return
        keys = [tuple(row.values()) for row in made.select(self.table.key).take(pa.array(rows)).to_pylist()]
        times = Counter(keys)
        mask = np.zeros(len(made), dtype=bool)
        mask[[row for row, key in zip(rows.tolist(), keys, strict=True) if times[key] > 1]] = True
        keyed = (self.table.columns[name] for name in self.table.key)
        column = next(column for column in keyed if class_of(column) == "shift")
        said = "is moved to the same year as another row's: make it exact to the day."
        self._refuse(mask, column, self.rows[column.name].combine_chunks(), said)

    def _refuse(self, mask: np.ndarray, column: Column, cells: pa.StringArray, said: str) -> None:
        for row in np.flatnonzero(mask).tolist():
            text = f"{shown(cells[row].as_py() or '')} {said}"
            self._say("error", "value", text, column, row)
        self.refused |= mask

    def _say(self, severity: Severity, code: Code, text: str, column: Column, place: int | None = None) -> None:
        row = None if place is None else int(self.numbers[place])
        self.issues.append(Issue(severity, code, text, self.file, row, column.name))


def _first(mask: np.ndarray) -> int | None:
    rows = np.flatnonzero(mask)
    return int(rows[0]) if len(rows) else None
