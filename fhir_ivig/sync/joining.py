"""Rows with the same key: joined where several resources give parts of one row, told apart where they compete."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from fhir_ivig.issue import Issue

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from fhir_ivig.study.study import Study

RESOURCE = "resource"
SEVERAL = ";"


def join_rows(rows: pa.Table, key: Sequence[str], file: str) -> tuple[pa.Table, list[Issue]]:
    """One row for each key, its cells from whichever rows have them; `resource` lists all the resources behind it.

    Where two rows fill one cell differently, or one resource comes with two contents, both stay as they are, for
    `resolve_doubles` to report. A resource that comes again with the same content is an information Issue. Rows
    without a whole key are not joined.
    """
    import pyarrow as pa

    joined: dict[Any, dict[str, str | None]] = {}
    came: dict[tuple[Any, str | None], dict[str, str | None]] = {}
    issues: list[Issue] = []
    for place, row in enumerate(rows.to_pylist()):
        whole = tuple(row[name] for name in key)
        named: Any = whole if None not in whole else (whole, place)
        before = came.setdefault((named, row[RESOURCE]), dict(row))
        held = joined.setdefault(named, row)
        if held is row:
            continue
        if before == row and row[RESOURCE] in str(held[RESOURCE]).split(SEVERAL):
            said = f"{row[RESOURCE]} came twice with the same content: it is kept once."
            issues.append(Issue("information", "duplicate", said, file))
        elif before != row or any(_differ(row, held, name) for name in row if name != RESOURCE):
            joined[named, place] = row
        else:
            for name, cell in row.items():
                held[name] = cell if held[name] is None else held[name]
            held[RESOURCE] = f"{held[RESOURCE]}{SEVERAL}{row[RESOURCE]}"
    return pa.Table.from_pylist(list(joined.values()), schema=rows.schema), issues


def resolve_doubles(rows: pa.Table, key: Sequence[str], file: str) -> tuple[pa.Table, list[Issue]]:
    """Rows without those that came twice with equal cells; an error Issue for each further row of a key that differs.

    `file` is where the rows will stand; the Issues' `row` is the one there: the one kept of equal rows, or the one
    that differs.
    """
    import numpy as np
    import pyarrow as pa

    seen: dict[tuple[str | None, ...], tuple[dict[str, str | None], int]] = {}
    keep = np.ones(rows.num_rows, bool)
    issues: list[Issue] = []
    number = 2
    for place, row in enumerate(rows.to_pylist()):
        whole = tuple(row[name] for name in key)
        first, its = seen.setdefault(whole, (row, number)) if None not in whole else (row, number)
        differing = [name for name in row if name != RESOURCE and row[name] != first[name]]
        if first is not row and not differing:
            keep[place] = False
            said = f"{row[RESOURCE]} repeats {first[RESOURCE]}: one row is kept."
            issues.append(Issue("information", "duplicate", said, file, its))
            continue
        if differing:
            column = next((name for name in differing if _differ(row, first, name)), differing[0])
            said = (
                f"{row[RESOURCE]} and {first[RESOURCE]} (row {its}) have one key and different cells: both are kept."
            )
            issues.append(Issue("error", "duplicate", said, file, number, column))
        number += 1
    return rows.filter(pa.array(keep)), issues


def _differ(row: dict[str, str | None], other: dict[str, str | None], name: str) -> bool:
    """Whether both fill a cell, and differently."""
    return None not in (row[name], other[name]) and row[name] != other[name]


def sorted_places(rows: pa.Table, key: Sequence[str], study: Study) -> np.ndarray:
    """The places of rows in the order of their key: visits and measures in the order of study.yaml, whole numbers by
    size, all else as text, empty cells last."""
    import numpy as np

    orders = {"visit": study.visits, "measure": study.measures}
    return np.lexsort([_ranks(rows.column(name), orders.get(name, ())) for name in reversed(key)])


def _ranks(cells: pa.ChunkedArray, order: Iterable[str]) -> np.ndarray:
    """A number for each cell, by which they are sorted."""
    import numpy as np

    known = {cell: place for place, cell in enumerate(order)}

    def rank(cell: str) -> tuple[int, int, str]:
        if cell in known:
            return (0, known[cell], "")
        return (1, int(cell), "") if cell.isascii() and cell.isdigit() else (2, 0, cell)

    few = cells.combine_chunks().dictionary_encode()
    ranks = [rank(cell) for cell in few.dictionary.to_pylist()]
    numbers = {each: number for number, each in enumerate(sorted(set(ranks)))}
    places = np.array([*(numbers[each] for each in ranks), len(numbers)])
    found: np.ndarray = places[few.indices.fill_null(len(ranks)).to_numpy()]
    return found
