"""Which cells need others: an object that is begun must have what FHIR demands of it, half a key names nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fhir_ivig.mapping.mapping import Mapping
from fhir_ivig.mapping.template import Group, Hole, Items, Template, holes

Columns = tuple[str, ...]  # a hole is filled where all of its columns are


@dataclass(frozen=True, slots=True)
class Demand:
    """Where any of `begun` is filled (none given: in every row), one of `needed` must be, for the sake of `path`."""

    path: str
    begun: tuple[Columns, ...]
    needed: tuple[Columns, ...]


def demands(mapping: Mapping) -> Iterator[Demand]:
    """The demands of a mapping's template, each once."""
    yield from dict.fromkeys(each for each in _below(mapping.resource, True) if () not in each.needed)
    named = [(hole, name) for hole in holes(mapping.resource) for name in hole.columns]
    for hole in holes(mapping.resource):
        carried = {*mapping.key, *(name for other, name in named if other is not hole)}
        for name in _own(hole):
            if name not in carried and len(_own(hole)) > 1:
                yield Demand(hole.path, ((name,),), (_own(hole),))


def _below(node: Template, always: bool = False) -> Iterator[Demand]:
    """The demands of a node; `always`: it is there in every row."""
    if isinstance(node, Group):
        begun = () if always else tuple(_own(hole) for hole in holes(node))
        for name, child in node.members.items():
            needed = tuple(_own(hole) for hole in holes(child))
            if name in node.required and needed and not _fixed(child):
                yield Demand(child.path, () if () in begun else begun, needed)
            yield from _below(child)
    elif isinstance(node, Items):
        for item in node.items:
            yield from _below(item)


def _fixed(node: Template) -> bool:
    """Whether a list has an item that is always written."""
    return isinstance(node, Items) and any(next(holes(item), None) is None for item in node.items)


def _own(hole: Hole) -> Columns:
    """The columns that fill a hole; the study's parameters are always there."""
    return tuple(name for name in hole.columns if name[0] != "$")
