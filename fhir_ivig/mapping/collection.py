"""All mappings of a study: which rows and which resources are whose.

`Mappings` are the files, checked, for one FHIR version. `Bound` are the same for one study: base, parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.mapping.columns import LineDecoder, Lines
from fhir_ivig.mapping.identity import join_key
from fhir_ivig.mapping.loading import load_all
from fhir_ivig.mapping.mapping import Mapping
from fhir_ivig.mapping.reading import Read, Reader
from fhir_ivig.mapping.references import References, Told
from fhir_ivig.mapping.soundness import misfits
from fhir_ivig.mapping.strictjson import primitive, strict_json
from fhir_ivig.mapping.unclaimed import unclaimed
from fhir_ivig.mapping.writing import Writer, Written

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from fhir_ivig.mapping.echo import Shape

ECHO = 64  # lines that a block must have for it to be worth a look whether all are as a mapping writes them


@dataclass(frozen=True)
class Mappings:
    """The mappings of one FHIR version by name, those that others refer to first."""

    version: str
    by_name: dict[str, Mapping]

    @classmethod
    def load(cls, version: str = "R4", folders: Iterable[Path] = ()) -> Mappings:
        """Every `*.yaml` of the shipped folder and of further ones; `R5/` in a folder holds what differs in R5.

        A later folder's file replaces an earlier one of the same name. Raises IssueError with the problems of all
        files.
        """
        return cls(version, load_all(version, folders))

    @cached_property
    def tables(self) -> dict[str, list[Mapping]]:
        """The mappings of each table."""
        found: dict[str, list[Mapping]] = {}
        for mapping in self.by_name.values():
            found.setdefault(mapping.table, []).append(mapping)
        return found

    @cached_property
    def elsewhere(self) -> dict[str, frozenset[str]]:
        """For each mapping, the columns of the same rows that other mappings of its table carry."""

        def together(one: Mapping, other: Mapping) -> bool:
            return all(one.rows.get(column, cell) == cell for column, cell in other.rows.items())

        return {
            name: frozenset(
                column
                for other in self.tables[mapping.table]
                if other is not mapping and together(mapping, other)
                for column in other.columns
            )
            for name, mapping in self.by_name.items()
        }

    def bind(self, base: str, given: dict[str, str]) -> Bound:
        """The same for a study. Raises IssueError if a mapping asks for a parameter that is not given."""
        given = {"base": base, **given}
        said = "The mapping asks for the parameter `{}`: add it to `parameters` in study.yaml."
        issues = [
            Issue("fatal", "required", said.format(name), m.file)
            for m in self.by_name.values()
            for name in sorted(m.parameters - given.keys())
        ]
        if issues := issues or [issue for m in self.by_name.values() for issue in misfits(m, given)]:
            raise IssueError(*issues)
        return Bound(self, base, given)


@dataclass(slots=True)
class ReadBlock:
    """What a block of resources gave: `reads` by mapping, what nobody claims (`unclaimed`), lines to `retry`."""

    reads: list[Read] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    count: int = 0
    unclaimed: int = 0
    broken: int = 0
    retry: list[tuple[bytes, int]] = field(default_factory=list)


class Bound:
    """Mappings bound to a study, ready to write and read."""

    def __init__(self, mappings: Mappings, base: str, given: dict[str, str]) -> None:
        self.mappings, self.base = mappings, base
        types = {name: mapping.resource_type for name, mapping in mappings.by_name.items()}
        self.writers = {name: Writer(each, base, given, types) for name, each in mappings.by_name.items()}
        self.targets = {target for mapping in mappings.by_name.values() for target in mapping.targets}
        self.readers = {name: Reader(m, base, given, name in self.targets) for name, m in mappings.by_name.items()}
        self.decoder = LineDecoder(name for reader in self.readers.values() for name in reader.names)
        self.shape: Shape | None = None  # of the lines last read; a hint only

    def write(
        self,
        table: str,
        batch: pa.RecordBatch,
        numbers: np.ndarray,
        file: str,
        known: dict[str, set[str]],
        refused: dict[str, set[int]],
    ) -> Iterator[tuple[Mapping, Written]]:
        """The resources of a table's rows, mapping by mapping, those that others refer to first.

        `known` gets the keys that were written of those that others refer to; the rest as in `Writer.write`.
        """
        for mapping in self.mappings.tables.get(table, []):
            name = mapping.name
            elsewhere, doubled = self.mappings.elsewhere[name], refused.get(name, ())
            written = self.writers[name].write(batch, numbers, file, known, elsewhere, doubled)
            if name in known:
                known[name].update(*(keys.to_pylist() for keys in written.keys))
            yield mapping, written

    def unmapped(self, table: str, batch: pa.RecordBatch, numbers: np.ndarray, file: str) -> list[Issue]:
        """An error Issue for each row that no mapping of the table writes."""
        import numpy as np
        import pyarrow.compute as pc

        mappings = self.mappings.tables.get(table, [])
        mine = np.zeros(batch.num_rows, bool)
        for mapping in mappings:
            masks = [
                pc.fill_null(pc.equal(batch.column(column), cell), False) for column, cell in mapping.rows.items()
            ]
            mine |= True if not masks else reduce(pc.and_, masks).to_numpy(zero_copy_only=False)
        columns = ", ".join(dict.fromkeys(column for mapping in mappings for column in mapping.rows))
        said = "No mapping writes this row: add a mapping file for it, or correct the cell."
        return [Issue("error", "not-supported", said, file, row, columns or None) for row in numbers[~mine].tolist()]

    def read(
        self,
        data: bytes,
        numbers: Sequence[int],
        file: str | None,
        references: References,
        final: bool = False,
        ends: np.ndarray | None = None,
    ) -> ReadBlock:
        """The rows of a block of NDJSON (compact lines, each with its newline); Issues carry the lines' numbers.

        `ends` are the places of the newlines, where these are known, and no other control character is in the block.
        Lines with references that nothing read so far explains come back to `retry`; with `final` they are errors.
        """

        if not len(numbers):
            return ReadBlock()
        if (echo := self.echoed(data, numbers, ends)) is not None:
            return self.finish(echo, ReadBlock(count=len(numbers)), file, references)
        lines, issues = self.decoder.decode(data, numbers, file)
        block = ReadBlock(issues=issues, count=len(lines) + len(issues), broken=len(issues))
        if not len(lines):
            return block
        for kind, places in _by_type(lines):
            part = lines if len(places) == len(lines) else lines.take(places)
            self.read_type(kind, part, file, references, final, block)
        return block

    def read_type(
        self, kind: str, lines: Lines, file: str | None, references: References, final: bool, block: ReadBlock
    ) -> None:
        import numpy as np

        readers = [reader for reader in self.readers.values() if reader.mapping.resource_type == kind]
        claims = [reader.claims(lines) for reader in readers]
        claimed = sum(mask.astype(int) for mask in claims) if claims else np.zeros(len(lines), int)
        self.report_unclaimed(kind, lines, np.flatnonzero(claimed != 1), claimed, file, block)
        for reader, mask in zip(readers, claims, strict=True):
            mine = np.flatnonzero(mask & (claimed == 1))
            if not len(mine):
                continue
            part = lines if len(mine) == len(lines) else lines.take(mine)
            read = reader.read(part, file, references.resolve, final)
            block.retry += [(part.text(place) + b"\n", int(part.numbers[place])) for place in read.deferred]
            self.finish(read, block, file, references)

    def finish(self, read: Read, block: ReadBlock, file: str | None, references: References) -> ReadBlock:
        """Add the rows of a mapping to a block, and what they tell of who others are to the references."""
        reader = self.readers[read.mapping]
        for each in read.learned if not reader.sought else [*read.learned, *_told(reader.mapping, read)]:
            if (before := references.learn(each)) is not None:
                said = f"`{each.name}` was told to be {before}, and now {each.value}: nothing is read by it."
                path = reader.mapping.resource_type
                block.issues.append(Issue("error", "conflict", said, file, each.number, path=path))
        block.reads.append(read)
        return block

    def echoed(self, data: bytes, numbers: Sequence[int], ends: np.ndarray | None) -> Read | None:
        """The rows of a block whose lines are all as a mapping writes them (see `echo`); else None."""
        import numpy as np

        from fhir_ivig.mapping.echo import shape_of

        if len(numbers) < ECHO:
            return None
        places = np.asarray(numbers, np.int64)
        if self.shape is not None and (found := self.shape.read(data, places, ends)) is not None:
            return found
        first = data[: data.find(b"\n") + 1]
        lines, _ = self.decoder.decode(first, [1], None)
        alone = ReadBlock()
        for kind, _ in _by_type(lines) if len(lines) else ():
            self.read_type(kind, lines, None, References(), True, alone)
        shapes = [shape_of(self.writers[read.mapping], read, first) for read in alone.reads]
        if not shapes or shapes[0] is None:
            return None
        self.shape = shapes[0]
        return self.shape.read(data, places, ends)

    def report_unclaimed(
        self, kind: str, lines: Lines, places: np.ndarray, claimed: np.ndarray, file: str | None, block: ReadBlock
    ) -> None:
        readers = [reader for reader in self.readers.values() if reader.mapping.resource_type == kind]
        names = list(dict.fromkeys(name for reader in readers for name in reader.claimed_by()))
        for place in places.tolist():
            block.unclaimed += 1
            found = unclaimed(kind, self.mappings.version, lines, place, names, int(claimed[place]))
            block.issues += [issue.at(file=file, row=int(lines.numbers[place])) for issue in found]


def _told(mapping: Mapping, read: Read) -> Iterator[Told]:
    """The literal references to the resources of a block of rows, and their keys."""
    keys = join_key([read.batch.column(name) for name in mapping.key]).to_pylist()
    for name, key, number in zip(read.resources.to_pylist(), keys, read.numbers.tolist(), strict=True):
        if key is not None and not name.endswith("/"):
            yield Told(name, mapping.name, key, number)


def _by_type(lines: Lines) -> Iterable[tuple[str, Any]]:
    import numpy as np

    if (same := lines.uniform("resourceType")) is not None:
        return [(_word(same), np.arange(len(lines)))]
    few = lines.column("resourceType").fill_null('""').dictionary_encode()
    which = few.indices.to_numpy()
    return [(_word(text), np.flatnonzero(which == place)) for place, text in enumerate(few.dictionary.to_pylist())]


def _word(text: str) -> str:
    return primitive("code", strict_json(text)) or ""
