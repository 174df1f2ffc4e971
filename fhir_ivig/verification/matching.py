"""Which row of the record is a row of the study: by key, and of those without a partner, by their content or time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhir_ivig.study.texts import strings
from fhir_ivig.verification.cells import compared, flags
from fhir_ivig.verification.dates import instant_text
from fhir_ivig.verification.side import Side
from fhir_ivig.verification.values import number

BETWEEN = "\x1f"
EMPTY = "\x00"


@dataclass(slots=True)
class Pairing:
    """Positions of the rows of both sides: pairs by key, rows of keys that several rows have (by key), rows alone."""

    li: np.ndarray
    ri: np.ndarray
    doubled: list[tuple[list[int], list[int]]]
    left: list[int]
    right: list[int]


class Move(NamedTuple):
    """A row that the record has under another key: all but that column of the key is equal, and of no other row."""

    left: int
    right: int
    column: str


def pair(left: Side, right: Side) -> Pairing:
    """Rows by their key. A row whose key has an empty cell is alone."""
    names = left.table.key
    ours, theirs = (joined(texts(side, names), None) for side in (left, right))
    several = pa.concat_arrays([_several(ours), _several(theirs)])
    found = pc.index_in(ours, value_set=theirs)
    there = flags(pc.and_(ours.is_valid(), found.is_valid())) & ~flags(pc.is_in(ours, value_set=several))
    li = np.flatnonzero(there)
    ri = found.fill_null(0).to_numpy(zero_copy_only=False)[li].astype(np.int64)
    groups: dict[str, tuple[list[int], list[int]]] = {}
    for side, keys in enumerate((ours, theirs)):
        for place in np.flatnonzero(flags(pc.and_(keys.is_valid(), pc.is_in(keys, value_set=several)))).tolist():
            groups.setdefault(keys[place].as_py(), ([], []))[side].append(place)
    held = [np.concatenate([used, _of(groups, side)]) for side, used in enumerate((li, ri))]
    alone = [
        np.setdiff1d(np.arange(len(keys)), used).tolist() for keys, used in zip((ours, theirs), held, strict=True)
    ]
    return Pairing(li, ri, list(groups.values()), *alone)


def _of(groups: dict[str, tuple[list[int], list[int]]], side: int) -> np.ndarray:
    return np.array([place for group in groups.values() for place in group[side]], np.int64)


def _several(keys: pa.Array) -> pa.Array:
    counts = keys.drop_null().value_counts()
    found: pa.Array = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    return found


def misfiled(
    left: Side, right: Side, ours: Sequence[int], theirs: Sequence[int], pairs: Mapping[int, int]
) -> list[Move]:
    """The rows among these that stand under another key on the other side; `pairs` are those that have one key.

    Only where it is certain: all columns but one of the key are equal, an exact date or more than one cell beside the
    key among them, and just one row of each whole table is so. Where the subject is the other one, an exact date or a
    number that names a person is among what is equal, and what stands under its own key on the other side belongs
    elsewhere too: of many subjects two may well have one value on one day.
    """
    open_left, open_right = set(ours), set(theirs)
    moves: list[Move] = []
    keys = left.table.key
    for column in (*reversed(keys[1:]), keys[0]):
        if not open_left or not open_right:
            break
        content = [one.name for one in compared(left, right)]
        names = [*(name for name in keys if name != column), *content]
        one, other = (joined(texts(side, names), EMPTY) for side in (left, right))
        ends = texts(left, [column])[0], texts(right, [column])[0]
        found = _alone(one, other, sorted(open_left), sorted(open_right))
        found = [(a, b) for a, b in found if ends[0][a].as_py() != ends[1][b].as_py() and _enough(left, a, content)]
        if column == "subject":
            found = _closed([(a, b) for a, b in found if _telling(left, a, names)], moves, pairs)
        moves += [Move(a, b, column) for a, b in found]
        open_left -= {a for a, _ in found}
        open_right -= {b for _, b in found}
    return moves


def _closed(found: list[tuple[int, int]], moves: Sequence[Move], pairs: Mapping[int, int]) -> list[tuple[int, int]]:
    """Those of which what is under the same key on the other side, if there is anything, is explained as well."""
    back, starts, ends = {b: a for a, b in pairs.items()}, {b: a for a, b in found}, dict(found)
    gone, come = ends.keys() | {move.left for move in moves}, starts.keys() | {move.right for move in moves}
    doubtful = list(ends)
    while doubtful:
        a = doubtful.pop()
        if a not in ends or ((a not in pairs or pairs[a] in come) and (ends[a] not in back or back[ends[a]] in gone)):
            continue
        b = ends.pop(a)
        gone.discard(a)
        come.discard(b)
        # What these two explained is doubtful now.
        doubtful += [one for one in (back.get(b), starts.get(pairs.get(a, -1))) if one is not None]
    return [(a, b) for a, b in found if a in ends]


def _alone(one: pa.Array, other: pa.Array, ours: list[int], theirs: list[int]) -> list[tuple[int, int]]:
    """The places whose text is the same and stands nowhere else on its side."""
    common = (
        Counter(one.take(pa.array(ours)).to_pylist()).keys()
        & Counter(other.take(pa.array(theirs)).to_pylist()).keys()
    )
    if not common:
        return []
    wanted = strings(sorted(common))
    places: list[dict[str, list[int]]] = []
    for column in (one, other):
        found = defaultdict(list)
        for place in np.flatnonzero(flags(pc.is_in(column, value_set=wanted))).tolist():
            found[column[place].as_py()].append(place)
        places.append(found)
    free = set(ours), set(theirs)
    return [
        (places[0][text][0], places[1][text][0])
        for text in sorted(common)
        if len(places[0][text]) == len(places[1][text]) == 1
        and places[0][text][0] in free[0]
        and places[1][text][0] in free[1]
    ]


def _enough(side: Side, row: int, content: Sequence[str]) -> bool:
    """Whether a row says more beside its key than one word or number, which may well be that of another row."""
    return sum(side.cell(row, name) is not None for name in content) > 1 or _telling(side, row, content)


def _telling(side: Side, row: int, names: Sequence[str]) -> bool:
    """Whether a row says something that hardly two subjects share: an exact date, or a number that names a person.
    The words of an event, or a year of birth, are those of many."""
    for name in names:
        column, cell = side.table.columns[name], side.cells[name][row].as_py()
        if cell and (
            len(cell) >= 10 if column.type in ("date", "dateTime") else column.private and column.type == "code"
        ):
            return True
    return False


def texts(side: Side, names: Sequence[str]) -> list[pa.Array]:
    """Columns of which equal values are equal texts: 612.60 is 612.6, a time is its instant, words are in order."""
    found = []
    for name in names:
        column, cells = side.table.columns[name], side.cells[name]
        cells = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
        if column.type in ("code", "boolean") or (column.type == "text" and column.unit is None):
            found.append(cells)
            continue
        encoded = cells.dictionary_encode()
        same = _SAME.get(column.type, _quantity)
        found.append(strings(same(text) for text in encoded.dictionary.to_pylist()).take(encoded.indices))
    return found


def joined(columns: Sequence[pa.Array], empty: str | None) -> pa.Array:
    """The cells of each row as one text; without a text for empty ones, nothing where one is empty."""
    handling = {"null_handling": "replace", "null_replacement": empty} if empty is not None else {}
    return pc.binary_join_element_wise(*columns, BETWEEN, **handling) if columns else pa.nulls(0, pa.string())


def _quantity(text: str) -> str:
    found = number(text)
    if found is None or found.adjusted() > 300 or not text:
        return text
    return format(found.normalize(), "f") if found else "0"


_SAME: dict[str, Callable[[str], str]] = {
    "date": instant_text,
    "dateTime": instant_text,
    "codes": lambda text: ";".join(sorted(text.split(";"))),
}
