"""The study's tables as the endpoints read them: few columns, only the rows asked for, each with its place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import date
from itertools import repeat
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fhir_ivig.endpoints.fingerprint import fingerprint
from fhir_ivig.endpoints.quantities import days
from fhir_ivig.endpoints.result import NotEvaluableError
from fhir_ivig.endpoints.terms import Plan
from fhir_ivig.issue import Code, Issue, Severity

# What a column may hold, and which words it must be among: column -> the words allowed.
Where = Mapping[str, Collection[str]]


@dataclass(slots=True, eq=False)
class Row:
    """Some cells of one row (None where empty), its number as a spreadsheet shows it, and the resources behind it."""

    table: str
    number: int
    subject: str  # empty where it is not known
    cells: Mapping[str, str | None]
    resource: str | None  # `a;b` where several

    def __getitem__(self, column: str) -> str | None:
        return self.cells[column]

    def issue(self, code: Code, text: str, column: str | None = None, severity: Severity = "error") -> Issue:
        """An Issue at this row."""
        return Issue(severity, code, text, f"{self.table}.csv", self.number, column)


class Tables:
    """The tables by name, and the resources behind their rows (`a;b` where several) as far as they are known.

    `numbers` are the rows' numbers of a table, as a spreadsheet shows them, where they are not 2, 3, 4 ...
    """

    def __init__(
        self,
        tables: Mapping[str, pa.Table],
        resources: Mapping[str, Sequence[str | None] | pa.Array],
        numbers: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        self._numbers = numbers or {}
        self.issues: list[Issue] = []
        self._tables = tables
        self._known: dict[str, Any] = {}
        self.plan = Plan()
        self._resources: dict[str, Any] = {}
        for name, column in resources.items():
            if name in tables and len(column) == tables[name].num_rows:
                self._resources[name] = (
                    column if isinstance(column, (pa.Array, pa.ChunkedArray)) else pa.array(column, pa.string())
                )
            else:
                text = "It does not have a line for each row of the table: pull again, or go without it."
                self.issues.append(Issue("error", "incomplete", text, f"resources/{name}.csv"))

    def rows(
        self,
        table: str,
        columns: Iterable[str],
        where: Where | None = None,
        subjects: Collection[str] | None = None,
    ) -> list[Row]:
        """The rows whose cells are among the words of `where` and whose subject is among `subjects`, in their order.

        Raises NotEvaluableError where the table or a column of it is not there.
        """
        wanted = list(dict.fromkeys(["subject", *columns]))
        self._source(table, wanted)
        places = self.places(table, dict(where or {}) | ({"subject": subjects} if subjects is not None else {}))
        found = self.rows_at(table, wanted[1:], places.tolist())
        self.plan.read += [found] if self.plan.traced else []
        return found

    def rows_at(self, table: str, columns: Sequence[str], places: Sequence[int]) -> list[Row]:
        """The rows at these places (from 0)."""
        if not places:
            return []
        chosen = pa.array(places, pa.int64())
        subject, *cells = (self.cells(table, column, chosen) for column in ("subject", *columns))
        behind = self._resources.get(table)
        sources = behind.take(chosen).to_pylist() if behind is not None else repeat(None)
        rest = zip(*cells, strict=True) if cells else repeat(())
        return [
            Row(table, self.number(table, place), name or "", dict(zip(columns, values, strict=True)), source)
            for place, name, values, source in zip(places, subject, rest, sources, strict=False)
        ]

    def number(self, table: str, place: int) -> int:
        """The number of the row at a place."""
        return int(self._numbers[table][place]) if table in self._numbers else place + 2

    def has(self, table: str, column: str) -> bool:
        """Whether there is such a column."""
        return table in self._tables and column in self._tables[table].column_names

    def places(self, table: str, where: Where | None = None) -> Any:
        """The places (from 0, a numpy array) of the rows that meet every condition, in their order."""
        import numpy as np

        source = self._source(table, where or ())
        places: Any = None
        for column, words in (where or {}).items():
            cells = source[column] if places is None else source[column].take(pa.array(places))
            meet = pc.indices_nonzero(pc.is_in(cells, value_set=pa.array(list(words), pa.string()))).to_numpy()
            places = meet if places is None else places[meet]
        return np.arange(source.num_rows) if places is None else places

    def column(self, table: str, column: str, places: Any) -> pa.Array:
        """The cells of a column at these places."""
        found = self._source(table, (column,))[column].take(pa.array(places))
        return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found

    def cells(self, table: str, column: str, places: Any) -> list[str | None]:
        """The same as a list."""
        found: list[str | None] = self.column(table, column, places).to_pylist()
        return found

    def tally(self, table: str, by: Sequence[str], places: Any) -> dict[tuple[str, ...], int]:
        """How often each combination of words stands in the columns `by` at these places; none with an empty cell."""
        chosen = self._source(table, by).select(list(by)).take(pa.array(places)).drop_null()
        found = chosen.group_by(list(by)).aggregate([([], "count_all")])
        *names, times = (column.to_pylist() for column in found.select([*by, "count_all"]).columns)
        return dict(zip(zip(*names, strict=True), times, strict=True))

    def behind(self, table: str, places: Any) -> set[str]:
        """The resources behind the rows at these places."""
        column = self._resources.get(table)
        return _split(column.take(pa.array(places, pa.int64())).unique().to_pylist()) if column is not None else set()

    def planned(self, plan: Plan) -> Tables:
        """The same tables, read by another plan."""
        other = copy(self)
        other.plan = plan
        return other

    def fingerprints(self, names: Iterable[str]) -> tuple[str, ...]:
        """Each of these tables that is there with its fingerprint: `assessments sha256:…`."""
        there = sorted(set(names) & self._tables.keys())
        for name in there:
            if f"sha256 {name}" not in self._known:
                self._known[f"sha256 {name}"] = fingerprint(self._tables[name])
        return tuple(f"{name} sha256:{self._known[f'sha256 {name}']}" for name in there)

    def first_days(self) -> dict[str, date]:
        """The first day of each subject's first course, where it is known to the day: of `courses`, where there is
        such a table, else of the infusions given."""
        if "starts" not in self._known:
            table = "courses" if self.has("courses", "start") else "infusions"
            where = {"status": ("completed", "stopped")} if table == "infusions" else None
            self._known["starts"] = self._earliest(table, "start", where) if self.has(table, "start") else {}
        return {subject: day for subject, day in self._known["starts"].items() if day}

    def deaths(self) -> dict[str, date | None]:
        """Of who had a fatal adverse event: the day of its end (else onset), None where not known to the day."""
        if "deaths" not in self._known:
            self._known["deaths"] = {}
            for column in ("onset", "end"):
                if self.has("adverse_events", "outcome") and self.has("adverse_events", column):
                    found = self._earliest("adverse_events", column, {"outcome": ("fatal",)})
                    self._known["deaths"] |= {one: day for one, day in found.items() if day or column == "onset"}
        return dict(self._known["deaths"])

    def _earliest(self, table: str, column: str, where: Where | None) -> dict[str, date | None]:
        """The earliest day of each subject; None where a month or year could hold an earlier one."""
        found: dict[str, tuple[date, date]] = {}
        vague: set[str] = set()
        for row in self.rows(table, (column,), where):
            span = days(row[column] or "")
            if span is None:
                vague.add(row.subject)
                continue
            first, last = found.get(row.subject, span)
            found[row.subject] = (min(first, span.first), min(last, span.last))
        known = {one: first if first == last else None for one, (first, last) in found.items()}
        return dict.fromkeys(vague) | known

    def everyone(self, by: Sequence[str]) -> frozenset[tuple[str, ...]]:
        """Everybody in the table `subjects`, or every course in `courses`; else those whom any table names."""
        home = "subjects" if len(by) == 1 else "courses"
        tables = [home] if all(self.has(home, column) for column in by) else list(self._tables)
        able = [table for table in tables if all(self.has(table, column) for column in by)]
        return frozenset().union(*(self.tally(table, by, self.places(table)) for table in able))

    def _source(self, table: str, columns: Iterable[str]) -> pa.Table:
        source = self._tables.get(table)
        if source is None:
            raise NotEvaluableError(f"there is no table {table}")
        for column in columns:
            if column not in source.column_names:
                raise NotEvaluableError(f"table {table} has no column {column}")
        self.plan.tables.add(table)
        return source


def references(rows: Iterable[Row]) -> tuple[str, ...]:
    """The resources behind the rows, each once, in order."""
    return tuple(sorted(_split({row.resource for row in rows})))


def _split(joined: Iterable[str | None]) -> set[str]:
    return {reference for one in joined if one for reference in one.split(";")}


def by_subject(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each subject, in their order."""
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.subject, []).append(row)
    return grouped


def one_each(rows: Iterable[Row], what: str) -> tuple[dict[str, Row], dict[str, str], list[Issue]]:
    """The row of each subject that has just one; of those that have more, the reason and an Issue for every row."""
    single: dict[str, Row] = {}
    doubled: dict[str, str] = {}
    issues = []
    for subject, found in by_subject(rows).items():
        if len(found) == 1:
            single[subject] = found[0]
            continue
        doubled[subject] = f"more than one {what}"
        others = ", ".join(str(row.number) for row in found)
        text = f"{subject} has more than one {what} (rows {others}): keep one. None is used until then."
        issues += [row.issue("duplicate", text) for row in found]
    return single, doubled, issues
