"""Rows with the same key: joined where several resources give parts of one row, told apart where they compete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fhir_ivig.issue import Issue

if TYPE_CHECKING:
    import pyarrow as pa

    from fhir_ivig.study.study import Study

RESOURCE = "resource"
SEVERAL = ";"


def join_rows(rows: pa.Table, key: Sequence[str], table: str) -> tuple[pa.Table, list[Issue]]:
    """One row for each key, its cells from whichever rows have them; `resource` lists all the resources behind it.

    Where two rows fill one cell differently, both stay as they are, with an error Issue. Rows without a whole key are
    not joined.
    """
    import pyarrow as pa

    joined: dict[Any, dict[str, str | None]] = {}
    issues: list[Issue] = []
    for place, row in enumerate(rows.to_pylist()):
        whole = tuple(row[name] for name in key)
        named: Any = whole if None not in whole else (whole, place)
        held = joined.setdefault(named, row)
        if held is row:
            continue
        differing = [name for name in row if name != RESOURCE and None not in (row[name], held[name])]
        differing = [name for name in differing if row[name] != held[name]]
        if differing:
            joined[named, place] = row
            said = f"Two resources of one key differ: {held[RESOURCE]} and {row[RESOURCE]}."
            issues.append(Issue("error", "conflict", said, table, column=differing[0]))
            continue
        resources = dict.fromkeys(f"{held[RESOURCE]}{SEVERAL}{row[RESOURCE]}".split(SEVERAL))
        for name, cell in row.items():
            held[name] = cell if held[name] is None else held[name]
        held[RESOURCE] = SEVERAL.join(resources)
    return pa.Table.from_pylist(list(joined.values()), schema=rows.schema), issues


def resolve_doubles(rows: pa.Table, key: Sequence[str], table: str) -> tuple[pa.Table, list[Issue]]:
    """Rows without those that came twice with equal cells; an error Issue for each key whose rows differ."""
    import numpy as np
    import pyarrow as pa

    seen: dict[tuple[str | None, ...], dict[str, str | None]] = {}
    keep = np.ones(rows.num_rows, bool)
    issues: list[Issue] = []
    for place, row in enumerate(rows.to_pylist()):
        whole = tuple(row[name] for name in key)
        resource = row.pop(RESOURCE)
        if None in whole or whole not in seen:
            seen[whole] = row | {RESOURCE: resource}
            continue
        first = seen[whole]
        if all(first[name] == cell for name, cell in row.items()):
            keep[place] = False
            said = f"{resource} repeats {first[RESOURCE]}: one row is kept."
            issues.append(Issue("information", "duplicate", said, table))
        else:
            said = f"{resource} and {first[RESOURCE]} have one key and different cells: both rows are kept."
            issues.append(Issue("error", "duplicate", said, table, column=key[-1]))
    return rows.filter(pa.array(keep)), issues


def sorted_rows(rows: pa.Table, key: Sequence[str], study: Study) -> pa.Table:
    """Rows by key: visits and measures in the order of study.yaml, whole numbers by size, all else as text."""
    orders = {"visit": list(study.visits), "measure": list(study.measures)}

    def rank(name: str, cell: str | None) -> tuple[int, int, str]:
        order = orders.get(name, [])
        if cell is None:
            return (3, 0, "")
        if cell in order:
            return (0, order.index(cell), "")
        return (1, int(cell), "") if cell.isascii() and cell.isdigit() else (2, 0, cell)

    columns = [[rank(name, cell) for cell in rows.column(name).to_pylist()] for name in key]
    return rows.take(sorted(range(rows.num_rows), key=lambda place: [column[place] for column in columns]))
