"""The rows of one mapping in one block of lines, put together from the cells of its elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fhir_ivig.issue import Code, Issue, Severity
from fhir_ivig.mapping.filled import check_filled
from fhir_ivig.mapping.identity import SEPARATOR
from fhir_ivig.mapping.keys import Keys
from fhir_ivig.mapping.match import Match
from fhir_ivig.mapping.references import Lookup
from fhir_ivig.mapping.strictjson import strict_json
from fhir_ivig.mapping.template import holes

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from fhir_ivig.mapping.columns import Lines
    from fhir_ivig.mapping.reading import Read, Reader, Resolve


class Rows:
    """One block on its way: `columns` fill up, `bad` marks lines with an error, `void` those of nothing at all."""

    def __init__(self, reader: Reader, lines: Lines, file: str | None, resolve: Resolve) -> None:
        import numpy as np

        self.reader, self.mapping, self.lines = reader, reader.mapping, lines
        self.file, self.resolve = file, resolve
        self.columns: dict[str, pa.Array] = {}
        self.bad = np.zeros(len(lines), bool)
        self.broken = self.bad.copy()  # not JSON: then nothing else that it says can be relied on
        self.void = self.bad.copy()
        self.outside = self.bad.copy()  # not of this study
        self.statuses: list[tuple[np.ndarray, Issue]] = []
        self.issues: list[Issue] = []
        self.unresolved: list[tuple[np.ndarray, Lookup, str, str]] = []

    def read(self, final: bool) -> Read:
        import numpy as np
        import pyarrow as pa

        from fhir_ivig.mapping.reading import Read

        mapping = self.mapping
        self.odd()
        for name in self.reader.members:
            self.member(name)
        for name in self.reader.unmapped:
            self.unmapped(name)
        keys = Keys(self)
        keys.read()
        waiting = keys.look_up(final)
        self.void &= ~self.broken
        check_filled(self, ~(self.void | self.outside | waiting))
        deferred = waiting & ~self.bad & ~self.void
        self.forget(self.void | deferred)
        self.bad &= ~self.void
        self.report_void()
        good = ~(self.bad | self.void | self.outside | deferred)
        count = len(self.lines)
        cells = {name: self.columns.get(name, pa.nulls(count, pa.string())) for name in mapping.columns}
        cells |= {name: pa.array([cell] * count, pa.string()) for name, cell in mapping.rows.items()}
        batch, resources = pa.record_batch(cells), keys.resources()
        if not good.all():
            batch, resources = batch.filter(pa.array(good)), resources.filter(pa.array(good))
        return Read(
            mapping=mapping.name,
            batch=batch,
            resources=resources,
            numbers=self.lines.numbers[good],
            issues=self.issues,
            withheld=int((~good & ~deferred).sum()),
            deferred=np.flatnonzero(deferred).tolist(),
            learned=keys.learned,
        )

    def forget(self, mask: np.ndarray) -> None:
        """Take back what was said of these lines."""
        if mask.any() and self.issues:
            numbers = set(self.lines.numbers[mask].tolist())
            self.issues = [issue for issue in self.issues if issue.row not in numbers]

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

    def replay(self, match: Match, mask: np.ndarray) -> None:
        """What is wrong with an element, for each line that has it."""
        for issue in match.issues:
            self.report(mask, issue.code, issue.text, issue.column, issue.path, issue.severity)
        if match.void is not None:
            self.void |= mask
            self.statuses.append((mask, match.void))
        elif not match.clean:
            self.bad |= mask

    def report_void(self) -> None:
        for mask, said in self.statuses:
            self.report(mask & self.void, said.code, said.text, path=said.path, severity=said.severity)

    def odd(self) -> None:
        """Members that no mapping speaks of: some must not be passed over, a name twice never."""
        for place, (further, whole) in self.lines.odd(self.reader.names).items():
            mask = self.at(place)
            for name, text in further.items():
                self.replay(self.reader.further(name, text), mask)
            if whole:
                continue
            try:
                strict_json(self.lines.text(place))
            except ValueError as error:
                self.broken |= mask
                self.report(mask, "structure", f"This is not FHIR JSON: {error}.")

    def at(self, places: Any) -> np.ndarray:
        import numpy as np

        mask = np.zeros(len(self.lines), bool)
        mask[places] = True
        return mask

    def unmapped(self, name: str) -> None:
        """A member that the template lacks, but `reads` speaks of."""
        if self.lines.raw(name):
            texts, which = self.distinct(self.lines.column(name))
            for place, text in enumerate(texts):
                self.replay(self.reader.further(name, text), which == place)

    def distinct(self, column: pa.Array) -> tuple[list[str], np.ndarray]:
        """The distinct texts of a column, and which of them each line has (-1: none)."""
        few = column.dictionary_encode()
        return few.dictionary.to_pylist(), few.indices.fill_null(-1).to_numpy()

    def member(self, name: str) -> None:
        """The cells of one top-level element."""
        import numpy as np
        import pyarrow.compute as pc

        cut, instead = self.reader.cuts.get(name), self.reader.reads(name).instead
        if cut is None and not instead and (same := self.lines.uniform(name)) is not None:
            self.matched([self.reader.element(name, same)], np.zeros(len(self.lines), np.int64), name)
            return
        column = self.lines.column(name)
        absent = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None
        if cut is not None and (absent is None or not absent.all()):
            cells, other = cut.cells(column)
            self.fill(cut.hole.columns[0], cells, cut.hole.path)
            for implied, cell in cut.implied.items():
                self.fill(implied, pc.if_else(cells.is_valid(), cell, None), cut.hole.path)
            column = None if other is None or not pc.any(other).as_py() else pc.if_else(other, column, None)
        if column is not None and column.null_count < len(column):
            texts, which = self.distinct(column)
            found = [self.reader.element(name, text) for text in texts]
            if instead and not all(match.fits for match in found):
                unfit = np.array([not match.fits for match in found] + [False])[which]
                which = np.where(unfit & ~self.instead(name, unfit), -1, which)
            self.matched(found, which, name)
        if absent is not None:
            self.missing(name, self.instead(name, absent) if instead else absent)
        for other, _ in instead:
            self.surplus(other, absent)

    def instead(self, name: str, mask: np.ndarray) -> np.ndarray:
        """Fills the cells of lines that lack an element from those that may stand for it; the lines that are left."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        left = mask
        for other, node in self.reader.reads(name).instead:
            column = self.lines.column(other)
            here = left & column.is_valid().to_numpy(zero_copy_only=False)
            if not here.any():
                continue
            texts, which = self.distinct(pc.if_else(pa.array(here), column, None))
            found = [self.reader.instead(name, other, node, text) for text in texts]
            telling = [match.fits and bool(match.cells or match.issues) for match in found]
            which = np.where(np.array([*telling, False])[which], which, -1)
            said = f"Read from {other}, as the mapping declares."
            path = f"{self.mapping.resource_type}.{other}"
            self.report(which >= 0, "informational", said, path=path, severity="information")
            self.matched(found, which, other)
            left = left & (which < 0)
        return left

    def surplus(self, other: str, absent: np.ndarray | None) -> None:
        """An element that may stand for another, where the other is there too."""
        if other in self.reader.members or not self.lines.raw(other):
            return
        texts, which = self.distinct(self.lines.column(other))
        for place, text in enumerate(texts):
            here = which == place
            self.replay(self.reader.further(other, text), here if absent is None else here & ~absent)

    def missing(self, name: str, mask: np.ndarray) -> None:
        """An element that is not there: wrong if constant, or if FHIR demands it."""
        node, reads = self.reader.members[name], self.reader.reads(name)
        path = f"{self.mapping.resource_type}.{name}"
        element = self.mapping.element(name)
        if reads.ignored or not mask.any():
            return
        if next(holes(node), None) is None:
            self.report(mask, "required", "It is missing; the mapping expects a fixed value here.", path=path)
        elif element and (element.required or element.choice_required):
            column = next(hole.columns[0] for hole in holes(node))
            said = f"It is missing, and FHIR requires it; `{column}` comes from it."
            self.report(mask, "required", said, column, path)

    def matched(self, found: list[Match], which: np.ndarray, name: str) -> None:
        """The cells of an element by its distinct texts; `which` of them each line has, -1: none."""
        import numpy as np
        import pyarrow as pa

        path = f"{self.mapping.resource_type}.{name}"
        for place, match in enumerate(found):
            if match.issues or match.void is not None:
                self.replay(match, which == place)
        for column in dict.fromkeys(column for match in found for column in match.cells):
            cells: list[str | None] = []
            for place, match in enumerate(found):
                cell = match.cells.get(column)
                if isinstance(cell, Lookup):
                    value = self.resolve(cell.name, cell.target)
                    if value is None:
                        self.unresolved.append((which == place, cell, column, path))
                    cells.append(dict(enumerate((value or "").split(SEPARATOR))).get(cell.part) or None)
                else:
                    cells.append(cell)
            indices = pa.array(which, mask=which < 0) if (which < 0).any() else pa.array(which.astype(np.int64))
            self.fill(column, pa.array(cells, pa.string()).take(indices), path)

    def fill(self, column: str, cells: pa.Array, path: str) -> None:
        """Put cells in their column; where another place gave a different cell, the line is bad."""
        import pyarrow.compute as pc

        before = self.columns.get(column)
        if before is None:
            self.columns[column] = cells
            return
        differ = pc.fill_null(pc.not_equal(before, cells), False)
        if pc.any(differ).as_py():
            said = f"Two places in the resource give different cells for `{column}`."
            self.report(differ.to_numpy(zero_copy_only=False), "conflict", said, column, path)
        self.columns[column] = pc.coalesce(before, cells) if before.null_count else before
