"""Rows to resources: one Arrow join of fragments that were cut when the mapping was bound.

A block of rows goes through in four steps: take the rows that are mine, turn each hole's column into checked JSON
tokens, withhold the rows in which something is wrong, join constants and tokens. An element whose holes are all
empty is not written. Nothing is done a row at a time but hashing keys to ids.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fhir_ivig.issue import Issue
from fhir_ivig.mapping import identity
from fhir_ivig.mapping import mapping as language
from fhir_ivig.mapping.demands import demands
from fhir_ivig.mapping.fragments import Fragments
from fhir_ivig.mapping.primitives import utf8
from fhir_ivig.mapping.template import holes

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

BLOCK_ROWS = 1 << 14  # rows a join: enough to spread the overhead of each of its steps, few enough for memory
MEMO = 1 << 18  # references remembered before starting anew


@dataclass(slots=True)
class Written:
    """What became of some rows: rows in = resources + withheld + without, each withheld row with an error Issue.

    `lines` holds one JSON text a resource, each with its newline; `ids` its logical id, `hashes` a number of it to
    find doubles by, `rows` the row's number. `without` counts rows that an optional mapping had nothing to write for.
    """

    lines: list[pa.Array] = field(default_factory=list)
    ids: list[pa.Array] = field(default_factory=list)
    keys: list[pa.Array] = field(default_factory=list)
    hashes: list[np.ndarray] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    withheld: int = 0
    without: int = 0

    @property
    def count(self) -> int:
        """How many resources there are."""
        return sum(map(len, self.ids))

    def json_lines(self) -> list[str]:
        """The resources as JSON texts."""
        return [line.rstrip("\n") for chunk in self.lines for line in chunk.to_pylist()]

    def buffers(self) -> list[np.ndarray]:
        """The resources as NDJSON, as bytes, without a copy."""
        return [utf8(chunk) for chunk in self.lines]


class Writer:
    """A mapping bound to a study, ready to write. `systems` gives for each target mapping its resource type."""

    def __init__(
        self, mapping: language.Mapping, base: str, parameters: dict[str, str], target_types: Mapping[str, str]
    ) -> None:
        self.mapping, self.base, self.parameters, self.target_types = mapping, base, parameters, target_types
        self.system = identity.identifier_system(base, mapping.name)
        self.holes = list(dict.fromkeys(holes(mapping.resource)))
        self.fragments = Fragments(mapping, self.system, parameters)
        self.references: dict[str, dict[str, str]] = {}
        self.many: set[str] = set()  # columns that were seen to have many distinct cells
        self.demands = list(demands(mapping))

    def write(
        self,
        batch: pa.RecordBatch,
        numbers: Sequence[int] | np.ndarray | None = None,
        file: str | None = None,
        known: Mapping[str, Collection[str]] | None = None,
        elsewhere: Collection[str] = (),
        refused: Collection[int] = (),
    ) -> Written:
        """The resources of a batch of string columns (null = empty); rows of other mappings are passed over.

        `numbers` are the rows' numbers for Issues; `known` the keys that References may point to, by mapping;
        `elsewhere` the columns that other mappings of the table carry; `refused` hashes of ids to withhold.
        """
        import numpy as np

        from fhir_ivig.mapping.block import Block

        written = Written()
        rows = np.arange(2, batch.num_rows + 2) if numbers is None else np.asarray(numbers)
        batch, rows = self.mine(batch, rows)
        for start in range(0, batch.num_rows, BLOCK_ROWS):
            block = batch.slice(start, BLOCK_ROWS)
            Block(self, block, rows[start : start + BLOCK_ROWS], file, known or {}, refused).write(written, elsewhere)
        return written

    def mine(self, batch: pa.RecordBatch, rows: np.ndarray) -> tuple[pa.RecordBatch, np.ndarray]:
        """The rows that are this mapping's, and their numbers."""
        import pyarrow.compute as pc

        for name, cell in self.mapping.rows.items():
            if name not in batch.schema.names:
                return batch.slice(0, 0), rows[:0]
            mask = pc.fill_null(pc.equal(batch.column(name), cell), False)
            if not pc.all(mask).as_py():
                batch, rows = batch.filter(mask), rows[mask.to_numpy(zero_copy_only=False)]
        return batch, rows

    def insides(self, target: str, values: list[str], known: Collection[str] | None) -> list[str | None]:
        """The insides of References to the resources with these keys; None where there is none such."""
        import pyarrow as pa

        memo = self.references.setdefault(target, {})
        if len(memo) > MEMO:
            memo.clear()
        if new := [value for value in values if value not in memo]:
            system, kind = identity.identifier_system(self.base, target), self.target_types[target]
            ids, _ = identity.logical_ids(system, pa.array(new, pa.string()))
            for value, name in zip(new, ids.to_pylist(), strict=True):
                identifier = f'{{"system":"{system}","value":"{_quoted(value)}"}}'
                memo[value] = f'"reference":"{kind}/{name}","identifier":{identifier}'
        return [memo[value] if known is None or value in known else None for value in values]


def _quoted(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)[1:-1]
