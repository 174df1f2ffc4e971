"""The study's tables as the endpoints read them: few columns, only the rows asked for, each with its place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import repeat
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fhir_ivig.endpoints.result import NotEvaluableError
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
    """The tables by name, and the resources behind their rows (`a;b` where several) as far as they are known."""

    def __init__(
        self, tables: Mapping[str, pa.Table], resources: Mapping[str, Sequence[str | None] | pa.Array]
    ) -> None:
        self.issues: list[Issue] = []
        self._tables = tables
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
        subject, *cells = (self.cells(table, column, places) for column in wanted)
        behind = self._resources.get(table)
        sources = behind.take(pa.array(places)).to_pylist() if behind is not None else repeat(None)
        rest = zip(*cells, strict=True) if cells else repeat(())
        return [
            Row(table, place + 2, name or "", dict(zip(wanted[1:], values, strict=True)), source)
            for place, name, values, source in zip(places.tolist(), subject, rest, sources, strict=False)
        ]

    def has(self, table: str, column: str) -> bool:
        """Whether there is such a column."""
        return table in self._tables and column in self._tables[table].column_names

    def places(self, table: str, where: Where | None = None) -> Any:
        """The places (from 0, a numpy array) of the rows that meet every condition, in their order."""
        import numpy as np

        source = self._source(table, where or ())
        masks: list[Any] = [
            pc.is_in(source[column], value_set=pa.array(sorted(words), pa.string()))
            for column, words in (where or {}).items()
        ]
        return pc.indices_nonzero(reduce(pc.and_, masks)).to_numpy() if masks else np.arange(source.num_rows)

    def cells(self, table: str, column: str, places: Any) -> list[str | None]:
        """The cells of a column at these places."""
        found: list[str | None] = self._source(table, (column,))[column].take(pa.array(places)).to_pylist()
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
        return _split(column.take(pa.array(places)).unique().to_pylist()) if column is not None else set()

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
