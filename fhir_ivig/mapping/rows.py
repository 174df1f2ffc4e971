"""The rows of one mapping in one block of lines, put together from the cells of its elements."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fhir_ivig.issue import Code, Issue, Severity
from fhir_ivig.mapping.identity import SEPARATOR, join_key
from fhir_ivig.mapping.mapping import Reads
from fhir_ivig.mapping.matching import Lookup, Match
from fhir_ivig.mapping.template import holes

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from fhir_ivig.mapping.columns import Lines
    from fhir_ivig.mapping.reading import Read, Reader, Resolve

# Statuses that say there is no such thing (any more): no row, and nothing is lost.
VOID = ("entered-in-error", "cancelled")


class Rows:
    """One block on its way."""

    def __init__(self, reader: Reader, lines: Lines, file: str | None, resolve: Resolve) -> None:
        import numpy as np

        self.reader, self.mapping, self.lines = reader, reader.mapping, lines
        self.file, self.resolve = file, resolve
        self.columns: dict[str, pa.Array] = {}
        self.bad = np.zeros(len(lines), bool)
        self.issues: list[Issue] = []
        self.unresolved: list[tuple[np.ndarray, Lookup, str]] = []
        self.learned: list[tuple[str, str, str]] = []

    def read(self, final: bool) -> Read:
        import numpy as np
        import pyarrow as pa

        from fhir_ivig.mapping.reading import Read

        mapping = self.mapping
        void = self.void()
        self.odd()
        for name in self.reader.members:
            self.member(name)
        self.identity()
        waiting = self.look_up(final)
        self.check(~(void | waiting))
        self.issues = [issue for issue in self.issues if issue.row not in self.numbers(void)]
        self.bad &= ~void
        if void.any():
            said = f"Its status says that there is no such thing: {' or '.join(VOID)}. It gives no row."
            self.report(void, "informational", said, path=f"{mapping.resource_type}.status", severity="warning")
        deferred = waiting & ~self.bad & ~void
        self.issues = [issue for issue in self.issues if issue.row not in self.numbers(deferred)]
        good = ~(self.bad | void | deferred)
        count = len(self.lines)
        cells = {name: self.columns.get(name, pa.nulls(count, pa.string())) for name in mapping.columns}
        cells |= {name: pa.array([cell] * count, pa.string()) for name, cell in mapping.rows.items()}
        batch = pa.record_batch(cells)
        resources = self.resources()
        if not good.all():
            batch, resources = batch.filter(pa.array(good)), resources.filter(pa.array(good))
        return Read(
            mapping=mapping.name,
            batch=batch,
            resources=resources,
            numbers=self.lines.numbers[good],
            issues=self.issues,
            withheld=int((self.bad | void).sum()),
            deferred=np.flatnonzero(deferred).tolist(),
            learned=self.learned,
        )

    def numbers(self, mask: np.ndarray) -> set[int]:
        return set(self.lines.numbers[mask].tolist()) if mask.any() else set()

    def report(
        self,
        mask: np.ndarray,
        code: Code,
        said: str,
        column: str | None = None,
        path: str | None = None,
        severity: Severity = "error",
    ) -> None:
        """An Issue for each marked line; an error makes it bad."""
        if severity == "error":
            self.bad |= mask
        for number in self.lines.numbers[mask].tolist():
            self.issues.append(Issue(severity, code, said, self.file, number, column, path))

    def void(self) -> np.ndarray:
        """The lines whose status says that there is no such thing."""
        import numpy as np

        texts = [f'"{status}"\n' for status in VOID]
        if "status" not in self.reader.members:
            return np.zeros(len(self.lines), bool)
        if (same := self.lines.uniform("status")) is not None:
            return np.full(len(self.lines), same in texts)
        return np.isin(np.array(self.lines.column("status").to_pylist(), object), np.array(texts, object))

    def odd(self) -> None:
        """Members that the template does not have: some must not be passed over, a name twice never."""
        for place, further in self.lines.odd(self.reader.members).items():
            mask = self.at(place)
            for name, text in further.items():
                if (reason := self.reader.further(name, text)) is not None:
                    self.report(mask, "not-supported", reason, path=f"{self.mapping.resource_type}.{name}")
            if (reason := self.reader.doubled(self.lines.text(place))) is not None:
                self.report(mask, "structure", f"This is not FHIR JSON: {reason}.")

    def at(self, places: Any) -> np.ndarray:
        import numpy as np

        mask = np.zeros(len(self.lines), bool)
        mask[places] = True
        return mask

    def member(self, name: str) -> None:
        """The cells of one top-level element."""
        import numpy as np

        cut = self.reader.cuts.get(name)
        if cut is None and (same := self.lines.uniform(name)) is not None:
            self.matched(name, [same], np.zeros(len(self.lines), np.int64))
            return
        column = self.lines.column(name)
        if column.null_count:
            self.missing(name, column.is_null().to_numpy(zero_copy_only=False))
        if column.null_count == len(column):
            return
        rest = column
        if cut is not None:
            import pyarrow.compute as pc

            cells, other = cut.cells(column)
            self.fill(cut.hole.columns[0], cells, cut.hole.path)
            for implied, cell in cut.implied.items():
                self.fill(implied, pc.if_else(cells.is_valid(), cell, None), cut.hole.path)
            if other is None or not pc.any(other).as_py():
                return
            rest = pc.if_else(other, column, None)
        few = rest.dictionary_encode()
        self.matched(name, few.dictionary.to_pylist(), few.indices.fill_null(-1).to_numpy())

    def missing(self, name: str, mask: np.ndarray) -> None:
        """An element that is not there: wrong if constant, or if FHIR demands it; `reads` may know another place."""
        node = self.reader.members[name]
        path = f"{self.mapping.resource_type}.{name}"
        reads = self.mapping.reads.get(path, Reads())
        if reads.ignored:
            return
        if next(holes(node), None) is None:
            self.report(mask, "required", "It is missing; the mapping expects a fixed value here.", path=path)
        elif reads.paths:
            self.alternatives(name, reads, mask)
        elif name in self.mapping.resource.required:
            self.report(mask, "required", "It is missing, and FHIR requires it.", path=path)

    def alternatives(self, name: str, reads: Reads, mask: np.ndarray) -> None:
        """The cell of a hole from another element that `reads` names."""
        import numpy as np
        import pyarrow as pa

        hole = next(holes(self.reader.members[name]))
        found: list[str | None] = [None] * len(self.lines)
        for place in np.flatnonzero(mask).tolist():
            for path in reads.paths:
                match = self.reader.elsewhere(hole, path, self.lines, place)
                if match is None:
                    continue
                cell = match.cells.get(hole.columns[0])
                found[place] = cell if isinstance(cell, str) else None
                said = f"Read from {'.'.join(path)}, as the mapping declares."
                issue = Issue("information", "informational", said, column=hole.columns[0], path=hole.path)
                self.replay(Match(issues=[*match.issues, issue]), self.at(place))
                break
        self.fill(hole.columns[0], pa.array(found, pa.string()), hole.path)

    def matched(self, name: str, texts: list[str], which: np.ndarray) -> None:
        """The cells of an element by its distinct texts; `which` text each line has, -1: none."""
        import numpy as np
        import pyarrow as pa

        found = [self.reader.element(name, text) for text in texts]
        for place, match in enumerate(found):
            if match.issues:
                self.replay(match, which == place)
        for column in dict.fromkeys(column for match in found for column in match.cells):
            cells: list[str | None] = []
            for place, match in enumerate(found):
                cell = match.cells.get(column)
                if isinstance(cell, Lookup):
                    value = self.resolve(cell.reference, cell.target)
                    if value is None:
                        self.unresolved.append((which == place, cell, column))
                    cells.append(dict(enumerate((value or "").split(SEPARATOR))).get(cell.part) or None)
                else:
                    cells.append(cell)
            indices = pa.array(which, mask=which < 0) if (which < 0).any() else pa.array(which.astype(np.int64))
            self.fill(column, pa.array(cells, pa.string()).take(indices), f"{self.mapping.resource_type}.{name}")

    def replay(self, match: Match, mask: np.ndarray) -> None:
        for issue in match.issues:
            self.report(mask, issue.code, issue.text, issue.column, issue.path, issue.severity)
        if not match.clean:
            self.bad |= mask

    def fill(self, column: str, cells: pa.Array, path: str) -> None:
        """Put cells in their column; where another place gave a different cell, the line is bad."""
        import pyarrow.compute as pc

        before = self.columns.get(column)
        if before is None:
            self.columns[column] = cells
            return
        differ = pc.fill_null(pc.not_equal(before, cells), False)
        if pc.any(differ).as_py():
            said = "Two places in the resource give different cells for this column."
            self.report(differ.to_numpy(zero_copy_only=False), "conflict", said, column, path)
        self.columns[column] = pc.coalesce(before, cells) if before.null_count else before

    def resources(self) -> pa.Array:
        """`Type/id` of each line."""
        import pyarrow.compute as pc

        ids = pc.binary_slice(self.lines.column("id").fill_null('""\n').view("binary"), 1, -2).view("string")
        return pc.binary_join_element_wise(f"{self.mapping.resource_type}/", ids, "")

    def identity(self) -> None:
        """The key from our identifier, else from what another resource told of this one; in line with the cells."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = self.lines.column("identifier")
        names = self.mapping.key
        held = [self.columns.get(name) for name in names]
        if all(cells is not None for cells in held):
            own = self.reader.own
            if pc.binary_join_element_wise(own.before, join_key(held), own.after, "").equals(column):
                return
        keys, other = self.reader.own.cells(column)
        self.columns[""] = keys
        if other is not None and pc.any(other).as_py():
            few = pc.if_else(other, column, None).dictionary_encode()
            self.matched("identifier", few.dictionary.to_pylist(), few.indices.fill_null(-1).to_numpy())
        keys = self.columns.pop("")
        if keys.null_count:
            told = [None if known else self.resolve(own, self.mapping.name) for known, own in self.told(keys)]
            keys = pc.coalesce(keys, pa.array(told, pa.string()))
        parts = pc.split_pattern(keys, SEPARATOR)
        wrong = pc.fill_null(pc.not_equal(pc.list_value_length(parts), len(names)), False)
        if pc.any(wrong).as_py():
            said = f"Our identifier has not the parts of this mapping's key: {', '.join(names)}."
            path = f"{self.mapping.resource_type}.identifier"
            self.report(wrong.to_numpy(zero_copy_only=False), "value", said, path=path)
            keys = pc.if_else(wrong, pa.scalar(None, pa.string()), keys)
        for place, name in enumerate(names):
            cells = _part(keys, place, len(names))
            self.fill(name, cells, f"{self.mapping.resource_type}.identifier")

    def told(self, keys: pa.Array) -> Iterable[tuple[bool, str]]:
        return zip(keys.is_valid().to_pylist(), self.resources().to_pylist(), strict=True)

    def look_up(self, final: bool) -> np.ndarray:
        """References that nothing resolves yet: where the cell is known, learned from; else the line waits, or is bad."""
        import numpy as np

        waiting = np.zeros(len(self.lines), bool)
        for mask, lookup, column in self.unresolved:
            cells = self.columns[column].to_pylist()
            for place in np.flatnonzero(mask).tolist():
                if cells[place] is None:
                    waiting[place] = True
                elif lookup.part == 0:
                    self.learned.append((lookup.reference, lookup.target, cells[place]))
            if final:
                lost = mask & waiting
                said = f"No resource read says which {lookup.target} of this study the reference means."
                self.report(lost, "not-found", said, column, self.mapping.resource_type)
        return waiting if not final else np.zeros(len(self.lines), bool)

    def check(self, rows: np.ndarray) -> None:
        """What a row needs, whoever wrote the resource."""
        import pyarrow as pa

        def empty(name: str) -> np.ndarray:
            cells = self.columns.get(name)
            if cells is None:
                return rows & ~self.bad
            open_rows: np.ndarray = rows & ~self.bad
            return open_rows & cells.is_null().to_numpy(zero_copy_only=False)

        for name in dict.fromkeys((self.mapping.key[0], *self.mapping.required)):
            if (mask := empty(name)).any():
                self.report(mask, "required", "Nothing in the resource gives this column; it is required.", name)
        if self.mapping.either:
            filled = sum((~empty(name) & rows & ~self.bad).astype(int) for name in self.mapping.either)
            wrong = pa.array(filled != 1).to_numpy(zero_copy_only=False) & rows & ~self.bad
            if wrong.any():
                said = f"Exactly one of {' and '.join(self.mapping.either)} must be there."
                self.report(wrong, "required", said, self.mapping.either[0])
        for name in self.mapping.key[1:]:
            if (mask := empty(name)).any():
                said = "Nothing in the resource gives this part of the key: it is not one of this study's own."
                self.report(mask, "incomplete", said, name, severity="warning")


def _part(keys: pa.Array, place: int, count: int) -> pa.Array:
    """One part of keys that all have `count` parts."""
    import pyarrow.compute as pc

    if count == 1:
        return keys
    pattern = SEPARATOR.join(f"(?P<p{i}>[^{SEPARATOR}]*)" for i in range(count))
    return pc.struct_field(pc.extract_regex(keys, f"^{pattern}$"), [place])
