"""The study's tables as the endpoints read them: few columns, only the rows asked for, each with its place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
        source = self._tables.get(table)
        if source is None:
            raise NotEvaluableError(f"there is no table {table}")
        wanted = list(dict.fromkeys(["subject", *columns]))
        conditions = dict(where or {}) | ({"subject": subjects} if subjects is not None else {})
        for column in [*wanted, *conditions]:
            if column not in source.column_names:
                raise NotEvaluableError(f"table {table} has no column {column}")
        chosen = _chosen(source, conditions)
        found = source.select(wanted).take(chosen)
        subject, *cells = (column.to_pylist() for column in found.columns)
        behind = self._resources.get(table)
        references = behind.take(chosen).to_pylist() if behind is not None else repeat(None)
        rest = zip(*cells, strict=True) if cells else repeat(())
        return [
            Row(table, place + 2, name or "", dict(zip(wanted[1:], values, strict=True)), reference)
            for place, name, values, reference in zip(chosen.to_pylist(), subject, rest, references, strict=False)
        ]


def _chosen(table: pa.Table, conditions: Where) -> Any:
    """The places (from 0) of the rows that meet every condition."""
    if not conditions:
        import numpy as np

        return pa.array(np.arange(table.num_rows))
    masks: Iterator[Any] = (
        pc.is_in(table[column], value_set=pa.array(sorted(words), pa.string()))
        for column, words in conditions.items()
    )
    mask = next(masks)
    for other in masks:
        mask = pc.and_(mask, other)
    return pc.indices_nonzero(mask)


def references(rows: Iterable[Row]) -> tuple[str, ...]:
    """The resources behind the rows, each once, in order."""
    behind = {row.resource for row in rows if row.resource}
    return tuple(sorted({reference for joined in behind for reference in joined.split(";")}))


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
