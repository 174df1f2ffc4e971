"""One block of rows on its way to resources: what is wrong in it is reported, the rows concerned are withheld."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

from fhir_ivig.issue import Code, Issue
from fhir_ivig.mapping import identity
from fhir_ivig.mapping.strictjson import shown
from fhir_ivig.mapping.template import Hole
from fhir_ivig.mapping.tokens import Cells, Tokens, repeated, tokens

Presence = Any  # True (in every row), False (in none), or a mask

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from fhir_ivig.mapping.writing import Writer, Written


class Block:
    """One block of rows on its way."""

    def __init__(
        self,
        writer: Writer,
        batch: pa.RecordBatch,
        rows: np.ndarray,
        file: str | None,
        known: Mapping[str, Collection[str]],
        refused: Collection[int],
    ) -> None:
        self.writer, self.batch, self.rows, self.file = writer, batch, rows, file
        self.known, self.refused = known, refused
        self.bad: Any = None
        self.issues: list[Issue] = []
        self.seen: dict[str, Cells] = {}

    def write(self, written: Written, elsewhere: Collection[str]) -> None:
        mapping = self.writer.mapping
        if self.batch.num_rows and mapping.optional:
            before = self.batch.num_rows
            self.keep_any([column for column in mapping.columns if column not in mapping.key])
            written.without += before - self.batch.num_rows
        if not self.batch.num_rows:
            return
        self.check_columns(elsewhere)
        cells = {hole: self.tokens(hole) for hole in self.writer.holes}
        key = self.key()
        cells = self.withhold(cells, written)
        if not self.batch.num_rows:
            return
        key = self.key() if len(key) != self.batch.num_rows else key
        ids, hashes = identity.logical_ids(self.writer.system, key)
        written.lines.append(self.writer.fragments.join(cells, ids, key))
        written.ids.append(ids)
        written.keys.append(key)
        written.hashes.append(hashes)
        written.rows.append(self.rows)

    def keep_any(self, names: list[str]) -> None:
        import pyarrow.compute as pc

        self.keep(reduce(pc.or_, [self.column(name).is_valid() for name in names]))

    def keep(self, mask: pa.Array) -> None:
        import pyarrow.compute as pc

        if pc.all(mask).as_py():
            return
        self.seen.clear()
        self.batch = self.batch.filter(mask)
        self.rows = self.rows[mask.to_numpy(zero_copy_only=False)]

    def column(self, name: str) -> pa.Array:
        """A column of the batch; all empty where the table lacks it; a study parameter in every row."""
        import pyarrow as pa

        count = self.batch.num_rows
        if name.startswith("$"):
            return pa.array([self.writer.parameters[name[1:]]] * count, pa.string())
        if name not in self.batch.schema.names:
            return pa.nulls(count, pa.string())
        return self.batch.column(name)

    def cells(self, name: str) -> Cells:
        """The same column by its distinct cells, where these are few: less than a quarter, as far as was seen."""
        if name not in self.seen:
            column = self.column(name)
            few = None if name in self.writer.many else column.dictionary_encode()
            if few is not None and 4 * len(few.dictionary) > len(column) > 100:
                self.writer.many.add(name)
                few = None
            self.seen[name] = Cells(column, few)
        return self.seen[name]

    def report(
        self, mask: pa.Array, code: Code, said: str, column: str, path: str | None = None, quote: bool = False
    ) -> None:
        """An error Issue for each marked row, `quote` with the cell before it; and the row marked as bad."""
        import pyarrow.compute as pc

        mask = pc.fill_null(mask, False)
        self.bad = mask if self.bad is None else pc.or_(self.bad, mask)
        cells = self.column(column).filter(mask).to_pylist()
        places = self.rows[mask.to_numpy(zero_copy_only=False)].tolist()
        for row, cell in zip(places, cells, strict=True):
            text = f"`{shown(cell)}` {said}" if quote else said
            self.issues.append(Issue("error", code, text, self.file, row, column, path))

    def check_columns(self, elsewhere: Collection[str]) -> None:
        """Required cells, `either`, and cells that this mapping would lose."""
        import pyarrow.compute as pc

        mapping = self.writer.mapping
        for name in dict.fromkeys((*mapping.key, *mapping.required)):
            if (column := self.column(name)).null_count:
                self.report(column.is_null(), "required", "The cell is empty; it is required.", name)
        if mapping.either:
            count = reduce(pc.add, [self.column(name).is_valid().cast("int8") for name in mapping.either])
            if not pc.all(exactly := pc.equal(count, 1)).as_py():
                said = f"Exactly one of {' and '.join(mapping.either)} must be filled."
                self.report(pc.invert(exactly), "required", said, mapping.either[0])
        carried = {*mapping.columns, *elsewhere}
        for name in self.batch.schema.names:
            if name not in carried and (column := self.column(name)).null_count < len(column):
                said = f"The mapping {mapping.name} has no place for this cell: it would be lost."
                self.report(column.is_valid(), "not-supported", said, name)
        for demand in self.writer.demands:
            if (have := self.filled(demand.needed)) is True:
                continue
            there = self.filled(demand.begun) if demand.begun else True
            lacking = _and(there, pc.invert(have) if have is not False else True)
            for name in demand.needed[0] if lacking is not False else ():
                said = f"The cell is empty, but {demand.path} needs it."
                self.report(_and(lacking, self.column(name).is_null()), "required", said, name, demand.path)

    def filled(self, places: Collection[tuple[str, ...]]) -> Presence:
        """Where any of some holes is filled, each by all of its columns."""
        import pyarrow.compute as pc

        found: Presence = False
        for names in places:
            there: Presence = True
            for column in map(self.column, names):
                if column.null_count:
                    there = _and(there, column.is_valid() if column.null_count < len(column) else False)
            if there is True:
                return True
            if there is not False:
                found = there if found is False else pc.or_(found, there)
        return found

    def tokens(self, hole: Hole) -> Tokens:
        """The tokens of a hole, with what is wrong reported."""

        if hole.target:
            found = self.reference(hole)
        elif hole.repeat:
            single = replace(hole, repeat=False)

            def item(words: pa.Array) -> pa.Array:
                return self.writer.fragments.item(hole, tokens(single, Cells(words), self.writer.parameters))

            found = repeated(hole, self.column(hole.columns[0]), item)
        else:
            found = tokens(hole, self.cells(hole.columns[0]), self.writer.parameters)
        if found.bad is not None:
            self.report(found.bad, found.code, f"is not {found.said}.", hole.columns[-1], hole.path, quote=True)
        return found

    def reference(self, hole: Hole) -> Tokens:
        """The insides of References; a cell that points to nothing known is bad; half a key is no key."""
        import pyarrow as pa
        import pyarrow.compute as pc

        for name in hole.columns:
            if name[0] != "$" and name not in self.writer.mapping.key:
                self.check_key(name)
        columns = [self.cells(name) for name in hole.columns]
        key = columns[0] if len(columns) == 1 else Cells(identity.join_key([each.column for each in columns]))
        few = key.distinct
        target = hole.target or ""
        found = self.writer.insides(target, few.dictionary.to_pylist(), self.known.get(target))
        text = pa.array(found, pa.string()).take(few.indices)
        named = pc.and_(text.is_null(), few.is_valid())
        said = f"known: {hole.target} has no row with this key, or that row was withheld"
        return Tokens(text, "", named if pc.any(named).as_py() else None, "not-found", said)

    def key(self) -> pa.Array:
        """The identifier values; parts that could be confused are reported (once, before rows are withheld)."""
        for name in self.writer.mapping.key if self.bad is not False else ():
            self.check_key(name)
        return identity.join_key([self.column(name) for name in self.writer.mapping.key])

    def check_key(self, name: str) -> None:
        """Report the cells that cannot be part of a key: ours, or that of the resource that a reference means."""
        if (bad := self.cells(name).marked(identity.confusable)) is not None:
            self.report(bad, "value", "cannot be part of a key: " + identity.CONFUSABLE, name, quote=True)

    def withhold(self, cells: dict[Hole, Tokens], written: Written) -> dict[Hole, Tokens]:
        """Take out the rows in which something is wrong."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.refused:
            self.refuse_doubles()
        written.issues += self.issues
        if self.bad is None or not pc.any(self.bad).as_py():
            self.bad = False
            return cells
        good = pc.invert(self.bad)
        written.withheld += pc.sum(self.bad).as_py()
        self.keep(good)
        self.bad = False
        return {hole: Tokens(pa.Array.filter(found.text, good), found.quote) for hole, found in cells.items()}

    def refuse_doubles(self) -> None:
        """Withhold every row whose identity several rows share."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        key = pc.fill_null(identity.join_key([self.column(name) for name in self.writer.mapping.key]), "")
        _, hashes = identity.logical_ids(self.writer.system, key)
        doubles = np.isin(hashes, np.fromiter(self.refused, np.uint64))
        if doubles.any():
            names = ", ".join(self.writer.mapping.key)
            said = f"Several rows have this key ({names}): keep one."
            self.report(pa.array(doubles), "duplicate", said, self.writer.mapping.key[-1])


def _and(one: Presence, other: Presence) -> Presence:
    import pyarrow.compute as pc

    if one is False or other is False:
        return False
    return other if one is True else one if other is True else pc.and_(one, other)
