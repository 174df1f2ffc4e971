"""The shape in which this package writes an element with one free hole, to cut the cells of a whole column out of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fhir_ivig.mapping.match import local_link
from fhir_ivig.mapping.primitives import NUMBER_TYPES, misfits
from fhir_ivig.mapping.template import Constant, Hole, Items, Template, holes

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Cut:
    """An element with one free hole: its JSON is `before`, the token, `after`; the other cells are `implied`."""

    before: str
    after: str
    hole: Hole
    implied: dict[str, str]

    def cells(self, column: pa.Array) -> tuple[pa.Array, pa.Array | None]:
        """The cells of a raw column, null where it is not of this shape; and a mask of the lines where something
        else stands (None: nowhere)."""
        import pyarrow.compute as pc

        few = column.dictionary_encode()
        if 4 * len(few.dictionary) < len(column):
            cells, other = self.cells(few.dictionary)
            return cells.take(few.indices), None if other is None else other.take(few.indices)
        shaped = pc.and_(pc.starts_with(column, self.before), pc.ends_with(column, self.after))
        cells = _slice(column, len(self.before.encode()), len(self.after.encode()))
        cells = _only(cells, shaped)
        if self.hole.type not in NUMBER_TYPES and self.hole.type != "boolean":
            cells = _only(cells, pc.invert(pc.match_substring_regex(cells, r'["\\]')))
        if (wrong := misfits(self.hole.type, cells)) is not None:
            cells = _only(cells, pc.invert(wrong))
        return cells, None if cells.null_count == 0 else pc.and_(cells.is_null(), column.is_valid())


def _only(cells: pa.Array, mask: pa.Array) -> pa.Array:
    """The cells where the mask is true; null elsewhere."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return cells if pc.all(mask, skip_nulls=False).as_py() else pc.if_else(mask, cells, pa.scalar(None, pa.string()))


def _slice(column: pa.Array, head: int, tail: int) -> pa.Array:
    """Each text without its first and last bytes; texts too short give what they give."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.binary_slice(column.view(pa.binary()), head, -tail).view(pa.string())


def cut_of(node: Template, parameters: dict[str, str]) -> Cut | None:
    """The shape of an element when one hole is filled and every other is empty or can be but one word."""
    plain = [hole for hole in holes(node) if hole.plain and not hole.codes]
    free = next((hole for hole in plain if hole.type == "decimal"), plain[0] if plain else None)
    if free is None:
        return None
    implied: dict[str, str] = {}
    text = _shape(node, free, parameters, implied)
    if text is None or text.count("\0") != 1:
        return None
    before, after = text.split("\0")
    return Cut(before, f"{after}\n", free, implied)


def _shape(node: Template, free: Hole, parameters: dict[str, str], implied: dict[str, str]) -> str | None:
    """The JSON of a node with NUL for the free hole's token; None where it is not written."""
    if isinstance(node, Constant):
        if (link := local_link(node)) is not None:
            implied[link] = node.bound(parameters).removeprefix("#")
        return node.json(parameters)
    if isinstance(node, Hole):
        if node is free:
            return "\0" if node.type in NUMBER_TYPES or node.type == "boolean" else '"\0"'
        single = next(iter(node.entries.items())) if len(node.entries) == 1 and not node.repeat else None
        if single is None or not isinstance(single[1][0], Constant):
            return None
        implied[node.columns[0]] = single[0]
        return single[1][0].json(parameters)
    if next(holes(node), None) is not None and free not in set(holes(node)):
        return None
    if isinstance(node, Items):
        items = [text for item in node.items if (text := _shape(item, free, parameters, implied)) is not None]
        return f"[{','.join(items)}]"
    members = [
        f'"{name}":{text}'
        for name, child in node.members.items()
        if (text := _shape(child, free, parameters, implied)) is not None
    ]
    return "{" + ",".join(members) + "}"
