"""Rows that belong together, held against each other column by column; only what differs is looked at one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhir_ivig.study.dictionary import Column
from fhir_ivig.study.study import Study
from fhir_ivig.verification.dates import compare_dates
from fhir_ivig.verification.side import Side
from fhir_ivig.verification.values import (
    PLAIN,
    Scale,
    compare_codes,
    compare_numbers,
    compare_quantities,
    compare_texts,
    conversion,
    number,
)
from fhir_ivig.verification.verdict import (
    DIFFERENT,
    EQUAL,
    NOT_COMPARABLE,
    ONLY_RECORD,
    ONLY_STUDY,
    SAME,
    Verdict,
)

_EMPTY = Verdict(ONLY_STUDY, "empty"), Verdict(ONLY_RECORD, "empty")
_BESIDE_VALUE = ("sign", "missing_reason")  # go with an assessment's value, as its unit and limits do
_NO_CONVERSION = "There is no exact conversion between the units."


@dataclass(frozen=True)
class Rules:
    """What the study says of its measures and of dates: by measure, and by table."""

    scales: Mapping[str, Scale]
    days: Mapping[str, int]

    @classmethod
    def of(cls, study: Study) -> Rules:
        """The rules of a study.yaml."""
        scales = {}
        leaves = [leaf for sources in study.tables.values() for source in sources for leaf in source.leaves]
        for name, measure in study.measures.items():
            factors = {unit: by for leaf in leaves for unit, by in leaf.units.get(name, {}).items()}
            scales[name] = Scale(measure.tolerance, measure.unit, factors)
        return cls(scales, study.tolerance_days)

    def tolerance_days(self, table: str, measure: str | None) -> int | None:
        """How many days two dates may be apart; None where times and exactness count."""
        own = self.scales.get(measure or "", PLAIN).tolerance.days
        return self.days.get(table) if own is None else own


@dataclass(slots=True)
class Held:
    """What became of each cell: `status` of every row by column, and the Verdicts of those that are to be told."""

    status: dict[str, np.ndarray] = field(default_factory=dict)
    verdicts: dict[str, dict[int, Verdict]] = field(default_factory=dict)

    def unequal(self, rows: int) -> np.ndarray:
        """Which rows have a cell that is not equal."""
        found = np.zeros(rows, bool)
        for status in self.status.values():
            found |= status > EQUAL
        return found


def compared(left: Side, right: Side) -> list[Column]:
    """The columns that both sides have, the key's left out: by these rows were put together."""
    table = left.table
    both = left.collected & right.collected
    return [column for column in table.columns.values() if column.name in both and column.name not in table.key]


class Holding:
    """Pairs of rows of one table: positions `li` of the study's beside positions `ri` of the record's."""

    def __init__(self, left: Side, right: Side, li: np.ndarray, ri: np.ndarray, rules: Rules) -> None:
        self.left, self.right, self.li, self.ri, self.rules = left, right, li, ri, rules
        self.table = left.table
        self.held = Held()
        self.known: dict[tuple[Any, ...], Verdict | None] = {}
        has_measure = "measure" in self.table.columns
        self.measures = self.cells(left, "measure").to_pylist() if has_measure else [None] * len(li)
        # Column of units -> the columns that are in them, the leading one first.
        self.quantities: dict[str, list[str]] = {}
        for column in self.table.columns.values():
            if column.unit in self.table.columns:
                self.quantities.setdefault(str(column.unit), []).append(column.name)

    def hold(self) -> Held:
        """Compare every column that both have."""
        columns = compared(self.left, self.right)
        for column in columns:
            if column.name not in self.quantities:
                self.column(column)
        for column in columns:
            if column.name in self.quantities:
                self.units(column, self.quantities[column.name])
        for unit, names in self.quantities.items():
            self.fold(names[0], [*names[1:], unit, *(_BESIDE_VALUE if names[0] == "value" else ())])
        return self.held

    def cells(self, side: Side, name: str) -> pa.Array:
        """A column of one side, pair by pair."""
        found = side.cells[name].take(pa.array(self.li if side is self.left else self.ri))
        return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found

    def start(self, column: Column) -> tuple[pa.Array, pa.Array, np.ndarray, np.ndarray]:
        """Both sides' cells, their status by text alone, and which of them are filled on both sides."""
        ours, theirs = self.cells(self.left, column.name), self.cells(self.right, column.name)
        here, there = (flags(cells.is_valid()) for cells in (ours, theirs))
        status = np.zeros(len(self.li), np.int8)
        status[flags(pc.equal(ours, theirs))] = EQUAL
        status[here & ~there], status[there & ~here] = ONLY_STUDY, ONLY_RECORD
        return ours, theirs, status, here & there

    def column(self, column: Column) -> None:
        """One column that holds no units."""
        ours, theirs, status, both = self.start(column)
        look = both & (status != EQUAL)
        units: tuple[pa.Array, pa.Array] | None = None
        if column.unit in self.quantities and {column.unit} <= self.left.collected & self.right.collected:
            units = self.cells(self.left, str(column.unit)), self.cells(self.right, str(column.unit))
            look |= both & ~(flags(pc.equal(*units)) | flags(pc.and_(units[0].is_null(), units[1].is_null())))
        places = np.flatnonzero(look)
        taken = [cells.take(pa.array(places)).to_pylist() for cells in (ours, theirs, *(units or ()))]
        verdicts = self.told(status)
        for place, one, other, *pair in zip(places.tolist(), *taken, strict=True):
            asked = (column.name, self.measures[place], one, other, *pair)
            if asked not in self.known:
                self.known[asked] = self.judge(column, self.measures[place], one, other, pair)
            found = self.known[asked]
            if found is not None:
                found = self.flawed(column.name, place, found, number(one) is None or number(other) is None)
            status[place] = NOT_COMPARABLE if found is None else found.status  # None is told at the unit
            if found is not None and found.status > EQUAL:
                verdicts[place] = found
        self.held.status[column.name], self.held.verdicts[column.name] = status, verdicts

    def told(self, status: np.ndarray) -> dict[int, Verdict]:
        """The Verdicts of cells that are empty on one side."""
        return {
            place: _EMPTY[int(status[place] == ONLY_RECORD)]
            for place in np.flatnonzero((status == ONLY_STUDY) | (status == ONLY_RECORD)).tolist()
        }

    def judge(
        self, column: Column, measure: str | None, one: str, other: str, units: list[str | None]
    ) -> Verdict | None:
        scale = self.rules.scales.get(measure or "", PLAIN) if column.name == "value" else self.unscaled(measure)
        if column.type in ("date", "dateTime"):
            return compare_dates(one, other, self.rules.tolerance_days(self.table.name, measure))
        if units and (column.type == "decimal" or (number(one) is not None and number(other) is not None)):
            return compare_quantities(one, units[0], other, units[1], scale)
        if column.type in ("decimal", "integer") or (column.unit and None not in (number(one), number(other))):
            return compare_numbers(one, other, scale)
        return compare_codes(one, other) if column.type == "codes" else compare_texts(one, other)

    def unscaled(self, measure: str | None) -> Scale:
        """A measure's units without its tolerance, which is for its values."""
        scale = self.rules.scales.get(measure or "", PLAIN)
        return Scale(unit=scale.unit, factors=scale.factors)

    def flawed(self, column: str, place: int, found: Verdict, words: bool) -> Verdict:
        """A Verdict that says what is wrong with a cell: an unknown word is not another word, it is unknown."""
        flaw = self.left.flaws.get((int(self.li[place]), column))
        flaw = flaw or self.right.flaws.get((int(self.ri[place]), column))
        if not flaw or found.status == EQUAL:
            return found
        if found.kind == "unreadable" or (found.kind == "value" and words):
            return Verdict(NOT_COMPARABLE, "unreadable", flaw)
        return found._replace(why=f"{found.why} {flaw}".strip())

    def units(self, column: Column, names: list[str]) -> None:
        """A column of units. Other units that convert are equal: their quantities are compared."""
        ours, theirs, status, both = self.start(column)
        quantities = [self.held.status[name] for name in names if name in self.held.status]
        stuck = (
            np.logical_or.reduce([found == NOT_COMPARABLE for found in quantities]) if quantities else both & False
        )
        held = (
            np.logical_or.reduce([(found == EQUAL) | (found == DIFFERENT) for found in quantities])
            if quantities
            else stuck
        )
        verdicts = self.told(status)
        for place in np.flatnonzero(both & (status != EQUAL)).tolist():
            one, other = ours[place].as_py(), theirs[place].as_py()
            scale = self.rules.scales.get(self.measures[place] or "", PLAIN)
            if stuck[place]:
                found = Verdict(NOT_COMPARABLE, "unit", _NO_CONVERSION)
            else:
                found = SAME if held[place] or conversion(one, other, scale) else Verdict(DIFFERENT, "unit")
            status[place] = found.status
            if found is not SAME:
                verdicts[place] = found
        self.held.status[column.name], self.held.verdicts[column.name] = status, verdicts

    def fold(self, lead: str, others: list[str]) -> None:
        """Where the leading quantity is empty on one side, what goes with it is not told again."""
        if lead not in self.held.status:
            return
        alone = np.isin(self.held.status[lead], (ONLY_STUDY, ONLY_RECORD))
        if "missing_reason" in others and "missing_reason" in self.held.status:
            self.reasons(self.held.verdicts[lead])
        for name in others:
            for place in [place for place, found in self.held.verdicts.get(name, {}).items() if alone[place]]:
                if self.held.verdicts[name][place].kind == "empty":
                    del self.held.verdicts[name][place]

    def reasons(self, verdicts: dict[int, Verdict]) -> None:
        """An assessment that is empty on one side says there why."""
        for place, found in verdicts.items():
            if found.kind == "empty":
                side, rows = (self.right, self.ri) if found.status == ONLY_STUDY else (self.left, self.li)
                reason = side.cells["missing_reason"][int(rows[place])].as_py()
                verdicts[place] = found._replace(why=f"There it says: {reason}." if reason else "")


def flags(mask: Any) -> np.ndarray:
    """Where an Arrow mask is true; null is not."""
    flags: np.ndarray = mask.fill_null(False).to_numpy(zero_copy_only=False)
    return flags
