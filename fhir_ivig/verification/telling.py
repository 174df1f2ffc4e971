"""Differences told with their places on both sides, and what belongs to one cause told once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhir_ivig.study.texts import strings
from fhir_ivig.verification.cells import Held, flags
from fhir_ivig.verification.difference import Difference
from fhir_ivig.verification.matching import BETWEEN, Move
from fhir_ivig.verification.side import Side
from fhir_ivig.verification.values import number
from fhir_ivig.verification.verdict import DIFFERENT, ONLY_RECORD, ONLY_STUDY, OUTCOMES

_MOVED = {"subject": "other subject", "visit": "other visit"}


@dataclass(slots=True)
class Matched:
    """A table with all rows of both sides put together as far as they can be."""

    left: Side
    right: Side
    li: np.ndarray
    ri: np.ndarray
    held: Held
    certain: np.ndarray
    moves: list[Move]
    only_left: list[int]
    only_right: list[int]
    doubled: list[tuple[bool, int, int]]  # whether it is the study's, the row, the row beside it
    near: list[tuple[int, int]]


class Telling:
    """Makes Differences of what was found in the tables; knows each subject's site, and the order of tables."""

    def __init__(self, sides: Mapping[str, tuple[Side, Side]]) -> None:
        self.sides, self.tables = sides, list(sides)
        self.sites: dict[str, str] = {}
        for side in reversed(sides.get("subjects", ())):
            if "site" in side.table.columns:
                pairs = zip(side.cells["subject"].to_pylist(), side.cells["site"].to_pylist(), strict=True)
                self.sites |= {subject: site for subject, site in pairs if subject and site}

    def groups(self, side: Side) -> tuple[np.ndarray, list[tuple[str, str]]]:
        """Of each row the number of its group, and the measure and site of each group."""
        rows = len(side.numbers)
        columns = {
            name: side.cells[name].combine_chunks() if name in side.table.columns else pa.nulls(rows, pa.string())
            for name in ("subject", "measure")
        }
        place = pc.index_in(columns["subject"], value_set=strings(self.sites))
        site = strings(self.sites.values()).take(place)
        joined = pc.binary_join_element_wise(columns["measure"].fill_null(""), site.fill_null(""), BETWEEN)
        encoded = (joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined).dictionary_encode()
        words = [(text.partition(BETWEEN)[0], text.partition(BETWEEN)[2]) for text in encoded.dictionary.to_pylist()]
        return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), words

    def cells(self, matched: Matched) -> Iterator[Difference]:
        """Each cell that is to be told, of rows that were put together."""
        for name, verdicts in matched.held.verdicts.items():
            for place, found in verdicts.items():
                a, b = int(matched.li[place]), int(matched.ri[place])
                ours, theirs = (side.shown(row, name) for side, row in ((matched.left, a), (matched.right, b)))
                yield self.difference(
                    matched,
                    a,
                    b,
                    kind=found.kind,
                    outcome=OUTCOMES[found.status],
                    column=name,
                    study=ours,
                    record=theirs,
                    why=found.why,
                    certain=bool(matched.certain[place]),
                    private=matched.left.table.columns[name].private,
                )

    def near(self, matched: Matched) -> Iterator[Difference]:
        """Each pair of rows that may be the same, with the parts of the key in which they differ."""
        for a, b in matched.near:
            names = [
                name for name in matched.left.table.key if matched.left.cell(a, name) != matched.right.cell(b, name)
            ]
            yield self.difference(
                matched,
                a,
                b,
                kind="uncertain match",
                outcome=OUTCOMES[DIFFERENT],
                column=", ".join(names),
                study=", ".join(matched.left.cell(a, name) or "nothing" for name in names),
                record=", ".join(matched.right.cell(b, name) or "nothing" for name in names),
                why="They are the nearest in time; nothing else says that they are the same.",
                certain=False,
            )

    def doubled(self, matched: Matched) -> Iterator[Difference]:
        """Each row whose key another row has too."""
        for here, row, beside in matched.doubled:
            side = matched.left if here else matched.right
            place = side.place(beside)
            where = f"{place.file}:{place.row}" if place.row else place.resource
            why = f"{where} has the same {', '.join(side.table.key)}."
            yield self.alone(matched, here, row, kind="duplicate", why=why)

    def row(self, matched: Matched, here: bool, row: int) -> Difference:
        """A row that is on one side only."""
        side, other = (matched.left, matched.right) if here else (matched.right, matched.left)
        in_course = side.table.key[-2:] == ("course", "day") and _has_course(side, row, other)
        return self.alone(matched, here, row, kind="missing day" if in_course else "row", why=other.unread())

    def lost(self, tables: Mapping[str, Matched], here: bool, rows: Sequence[tuple[str, int]]) -> Difference:
        """A subject of whom there is nothing on one side."""
        counts = Counter(name for name, _ in rows)
        name, row = min(rows, key=lambda one: (one[0] != "subjects", self.tables.index(one[0])))
        why = " ".join([_rows(counts), *filter(None, (self.sides[table][here].unread() for table in counts))])
        return self.alone(tables[name], here, row, kind="subject", why=why, rows=len(rows))

    def alone(self, matched: Matched, here: bool, row: int, **said: Any) -> Difference:
        side = matched.left if here else matched.right
        text = side.summary(row)
        return self.difference(
            matched,
            row if here else None,
            None if here else row,
            outcome=OUTCOMES[ONLY_STUDY if here else ONLY_RECORD],
            column=None,
            study=text if here else None,
            record=None if here else text,
            **said,
        )

    def moves(self, tables: Mapping[str, Matched], alone: Collection[str]) -> Iterator[Difference]:
        """Rows that are filed elsewhere: those of one cause together, both ways of an exchange too. `alone` are the
        subjects that one side does not know."""
        groups: dict[tuple[Any, ...], list[tuple[str, Move]]] = defaultdict(list)
        for name, matched in tables.items():
            for move in matched.moves:
                ends = matched.left.cell(move.left, move.column), matched.right.cell(move.right, move.column)
                whole = move.column == "subject" and set(ends) <= set(alone)
                keys = (
                    []
                    if whole
                    else [one for one in ("subject", "visit") if one in matched.left.table.key and one != move.column]
                )
                context = tuple(matched.left.cell(move.left, one) for one in keys)
                groups["" if whole else name, move.column, frozenset(ends), context].append((name, move))
        for (_, column, _, _), found in groups.items():
            yield self.moved(tables, column, found)

    def moved(self, tables: Mapping[str, Matched], column: str, found: Sequence[tuple[str, Move]]) -> Difference:
        name, first = found[0]
        matched = tables[name]
        starts = {tables[table].left.cell(move.left, column) for table, move in found}
        exchanged = len(starts) > 1
        date = matched.left.table.columns[column].type in ("date", "dateTime")
        ends = matched.left.cell(first.left, column), matched.right.cell(first.right, column)
        counted = all(number(end or "") is not None for end in ends)
        kind = _MOVED.get(column, "numbered otherwise" if counted else "value")
        kind = "swapped subjects" if exchanged and column == "subject" else kind
        kind = "empty" if None in ends else "date" if date else kind
        said = ["All else is equal."] + ["The other one is exchanged with it."] * (exchanged and column != "subject")
        if len(found) > 1:
            said.append(_rows(Counter(table for table, _ in found)))
        flaws = matched.left.flaws.get((first.left, column)), matched.right.flaws.get((first.right, column))
        said += filter(None, flaws)
        more: dict[str, Any] = {}
        if "measure" in matched.left.table.columns:
            every = {tables[table].left.cell(move.left, "measure") for table, move in found if table == name}
            more["measure"] = ", ".join(sorted(one for one in every if one))
        if exchanged and column == "subject":
            more["subject"] = ", ".join(sorted(one for one in starts if one))
        return self.difference(
            matched,
            first.left,
            first.right,
            kind=kind,
            outcome=OUTCOMES[ONLY_RECORD if ends[0] is None else ONLY_STUDY if ends[1] is None else DIFFERENT],
            column=column,
            study=ends[0],
            record=ends[1],
            why=" ".join(said),
            rows=len(found),
            **more,
        )

    def subject(self, matched: Matched, here: bool, row: int) -> str | None:
        """Whose row it is."""
        return (matched.left if here else matched.right).cell(row, "subject")

    def difference(
        self, matched: Matched, a: int | None, b: int | None, *, column: str | None, **said: Any
    ) -> Difference:
        """A Difference at a row of the study, a row of the record, or both."""
        side, row = (matched.left, a) if a is not None else (matched.right, b)
        ours = matched.left.place(a) if a is not None else None
        theirs = matched.right.place(b) if b is not None else None
        known = {name: side.cell(row or 0, name) or "" for name in ("subject", "visit", "measure")}
        known["site"] = self.sites.get(known["subject"], "")
        rest = [name for name in side.table.key if name not in known and name not in (column or "").split(", ")]
        known["key"] = ", ".join(f"{name} {side.cell(row or 0, name)}" for name in rest)
        return Difference(
            table=matched.left.table.name,
            column=column,
            study_file=ours.file if ours else None,
            study_row=ours.row if ours else None,
            study_column=matched.left.theirs(a, column) if a is not None and column else None,
            record_file=theirs.file if theirs else None,
            record_row=theirs.row if theirs else None,
            resource=theirs.resource if theirs else None,
            **{**known, **said},
        )

    def order(self, one: Difference) -> tuple[Any, ...]:
        """By site, subject, table and row."""
        return (
            one.site,
            one.subject,
            self.tables.index(one.table),
            one.study_row or one.record_row or 0,
            one.column or "",
        )


def _rows(counts: Mapping[str, int]) -> str:
    return "Rows: " + ", ".join(f"{table} {count}" for table, count in counts.items()) + "."


def _has_course(side: Side, row: int, other: Side) -> bool:
    """Whether the other side knows the course of an infusion by another of its days."""
    known = [flags(pc.equal(other.cells[name], side.cell(row, name))) for name in side.table.key[:-1]]
    return bool(np.logical_and.reduce(known).any())
