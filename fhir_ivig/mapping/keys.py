"""Who the resources of a block are, and whom they mean: keys from identifiers, cells from references."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fhir_ivig.mapping.identity import SEPARATOR, join_key, split_key
from fhir_ivig.mapping.primitives import misfits
from fhir_ivig.mapping.references import Told

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from fhir_ivig.mapping.rows import Rows


class Keys:
    """The keys of a block of rows. `learned` is what the block tells of who others are."""

    def __init__(self, rows: Rows) -> None:
        self.rows, self.reader, self.mapping = rows, rows.reader, rows.mapping
        self.learned: list[Told] = []

    def resources(self) -> pa.Array:
        """`Type/id` of each line; nothing after the stroke where it has no id."""
        import pyarrow.compute as pc

        ids = pc.binary_slice(self.rows.lines.column("id").fill_null('""\n').view("binary"), 1, -2).view("string")
        if (wrong := misfits("id", ids)) is not None:
            ids = pc.if_else(wrong, "", ids)
        return pc.binary_join_element_wise(f"{self.mapping.resource_type}/", ids, "")

    def read(self) -> None:
        """The key from our identifier, else from what another resource told of this one; in line with the cells."""
        import pyarrow as pa
        import pyarrow.compute as pc

        rows, own, names = self.rows, self.reader.own, self.mapping.key
        column = rows.lines.column("identifier")
        held = [rows.columns.get(name) for name in names]
        if all(cells is not None for cells in held) and pc.binary_join_element_wise(
            own.before, join_key(held), own.after, ""
        ).equals(column):
            return
        keys, other = own.cells(column)
        called: list[tuple[int, tuple[str, ...]]] = []
        if other is not None and pc.any(other).as_py():
            texts, which = rows.distinct(pc.if_else(other, column, None))
            found = [self.reader.element("identifier", text) for text in texts]
            rows.columns[""] = keys
            rows.matched(found, which, "identifier")
            keys = rows.columns.pop("")
            called = [(line, found[place].names) for line, place in enumerate(which.tolist()) if place >= 0]
        if keys.null_count:
            literals = self.resources().to_pylist()
            told = [
                rows.resolve(literal, self.mapping.name) if key is None else None
                for literal, key in zip(literals, keys.to_pylist(), strict=True)
            ]
            keys = pc.coalesce(keys, pa.array(told, pa.string()))
        keys = self.sound(keys)
        for name, cells in zip(names, split_key(keys, len(names)), strict=True):
            rows.fill(name, cells, f"{self.mapping.resource_type}.identifier")
        if self.reader.sought and called:
            known = keys.to_pylist()
            for line, others in called:
                self.learned += [
                    self.told(line, name, self.mapping.name, known[line]) for name in others if known[line]
                ]

    def sound(self, keys: pa.Array) -> pa.Array:
        """Keys with as many parts as they should have, none empty; others are reported, and null."""
        import pyarrow as pa
        import pyarrow.compute as pc

        count = pc.list_value_length(pc.split_pattern(keys, SEPARATOR))
        hollow = pc.match_substring_regex(keys, f"^{SEPARATOR}|{SEPARATOR}{SEPARATOR}|{SEPARATOR}$|^$")
        wrong = pc.fill_null(pc.or_(pc.not_equal(count, len(self.mapping.key)), hollow), False)
        if not pc.any(wrong).as_py():
            return keys
        said = f"Our identifier has not the parts of this mapping's key: {', '.join(self.mapping.key)}."
        path = f"{self.mapping.resource_type}.identifier"
        self.rows.report(wrong.to_numpy(zero_copy_only=False), "value", said, path=path)
        return pc.if_else(wrong, pa.scalar(None, pa.string()), keys)

    def told(self, line: int, name: str, target: str, value: str) -> Told:
        return Told(name, target, value, int(self.rows.lines.numbers[line]))

    def look_up(self, final: bool) -> np.ndarray:
        """The lines that wait: for whom they mean, or who they are. Where that is known they are learned from.

        With `final` nobody waits any more: whom a reference means is then an error, and who another system's resource
        is a warning: it is not one of this study.
        """
        import numpy as np

        rows = self.rows
        waiting = np.zeros(len(rows.lines), bool)
        cells = {column: rows.columns[column].to_pylist() for _, _, column, _ in rows.unresolved}
        for mask, lookup, column, path in rows.unresolved:
            lost = mask & np.array([cell is None for cell in cells[column]])
            if final and lost.any():
                said = f"No resource read says which {lookup.target} of this study `{lookup.name}` means."
                rows.report(lost, "not-found", said, column, path)
            waiting |= lost
            if lookup.whole:
                for line in np.flatnonzero(mask & ~lost).tolist():
                    self.learned.append(self.told(line, lookup.name, lookup.target, cells[column][line]))
        if self.reader.sought:
            first = self.mapping.key[0]
            unknown = rows.columns[first].is_null().to_numpy(zero_copy_only=False) & ~waiting
            if final and unknown.any():
                kind = self.mapping.resource_type
                said = f"No resource read says which {first} of this study this {kind} is: it gives no row."
                rows.report(unknown, "not-found", said, first, kind, "warning")
                rows.outside |= unknown
            waiting |= unknown
        return waiting if not final else np.zeros(len(rows.lines), bool)
