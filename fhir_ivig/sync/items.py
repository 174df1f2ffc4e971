"""The resources of a source one by one, each with its place there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from fhir_ivig.fhir.bundle import head
from fhir_ivig.fhir.lines import Block

_T = TypeVar("_T")
LOOK_UP = 200  # ids a search: more than this, some servers give in several pages


@dataclass(frozen=True, slots=True)
class Item:
    """One resource of the source and its place there."""

    resource_type: str
    id: str
    line: bytes
    file: str
    row: int

    @property
    def ref(self) -> str:
        return f"{self.resource_type}/{self.id}"


def read_items(block: Block) -> Iterator[Item]:
    """The resources of a block; one without a sound type and id has empty ones."""
    for row, line in zip(block.numbers, block.lines, strict=True):
        found = head(line)
        kind, name = (found.resourceType, found.id or "") if found.sound else ("", "")
        yield Item(kind, name, line, block.file, row)


def chunks(things: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    """The things in runs of `size`."""
    for start in range(0, len(things), size):
        yield things[start : start + size]
