"""What sending a folder of resources would do: read once, compared with what the target holds, nothing written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from fhir_ivig.fhir.bundle import head
from fhir_ivig.fhir.compare import compare
from fhir_ivig.fhir.files import Block, read_blocks
from fhir_ivig.issue import Issue

_T = TypeVar("_T")
State = Literal["create", "update", "unchanged", "digits", "refused"]
LOOK_UP = 100  # ids a search
_REFERENCE = re.compile(rb'"reference"\s*:\s*"([A-Z][A-Za-z]+)/')
# What others refer to goes first where the references themselves leave it open.
_USUAL = ("Organization", "Practitioner", "ResearchStudy", "Patient", "ResearchSubject", "Condition", "Medication")


class Target(Protocol):
    """Where resources are sent: a server or a folder."""

    def look_up(self, resource_type: str, ids: Sequence[str]) -> dict[str, bytes]: ...

    def put(self, resources: Sequence[tuple[str, bytes]]) -> list[list[Issue]]: ...

    def finish(self) -> None: ...


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


@dataclass(slots=True)
class Plan:
    """What is to be done with each resource, by `Type/id`.

    `waves` are the resource types in the order of sending: each refers only to types before it. `files` says which
    files hold a type. `unsent` counts the lines that stand for no state: no resource, or an id met before.
    """

    waves: list[list[str]] = field(default_factory=list)
    files: dict[str, list[str]] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    unsent: int = 0
    issues: list[Issue] = field(default_factory=list)

    def count(self, state: State) -> int:
        return sum(found == state for found in self.states.values())


def plan(source: Path, target: Target, base: str = "") -> Plan:
    """The plan of sending every resource below `source` to `target` (at `base`, if a server).

    An id that occurs twice is refused wherever it stands: which of the two is meant cannot be known. Memory: the ids,
    and one block.
    """
    made, needs = Plan(), dict[str, set[str]]()
    first_digits: Item | None = None
    exact = False
    for block in read_blocks([source]):
        made.issues += block.issues
        for resource_type, items in _fresh(block, made).items():
            files = made.files.setdefault(resource_type, [])
            files += [] if block.file in files else [block.file]
            found = needs.setdefault(resource_type, set())
            for item in items:
                found.update(kind.decode() for kind in _REFERENCE.findall(item.line))
            for group in chunks(items, LOOK_UP):
                held = target.look_up(resource_type, [item.id for item in group])
                for item in group:
                    made.states[item.ref], shows = _state(item, held.get(item.id), base)
                    exact = exact or shows
                    if made.states[item.ref] == "digits":
                        first_digits = first_digits or item
    made.waves = waves(needs)
    if first_digits is not None:
        _settle_digits(made, exact, first_digits)
    return made


def read_items(block: Block) -> Iterator[Item]:
    """The resources of a block; one without a sound type and id has empty ones."""
    for row, line in zip(block.numbers, block.lines, strict=True):
        found = head(line)
        kind, name = (found.resourceType, found.id or "") if found.sound else ("", "")
        yield Item(kind, name, line, block.file, row)


def _fresh(block: Block, made: Plan) -> dict[str, list[Item]]:
    """The block's resources by type, without those that cannot be sent or were met before."""
    fresh: dict[str, dict[str, Item]] = {}
    for item in read_items(block):
        if not item.id:
            made.unsent += 1
            text = "the line is no FHIR resource with a type and an id, so it cannot be sent"
            made.issues.append(Issue("error", "structure", text, item.file, item.row))
        elif item.ref in made.states or item.id in fresh.get(item.resource_type, {}):
            made.states[item.ref] = "refused"
            fresh.get(item.resource_type, {}).pop(item.id, None)
            made.unsent += 1
            text = "another resource of this type has the same id: none of them was sent, give each its own key"
            made.issues.append(Issue("error", "duplicate", text, item.file, item.row))
        else:
            fresh.setdefault(item.resource_type, {})[item.id] = item
    return {kind: list(found.values()) for kind, found in fresh.items()}


def _state(item: Item, held: bytes | None, base: str) -> tuple[State, bool]:
    if held is None:
        return "create", False
    try:
        found = compare(item.line, held, base)
    except (ValueError, RecursionError):
        return "update", False
    return ("update" if found.content else "digits" if found.digits else "unchanged"), found.exact


def _settle_digits(made: Plan, exact: bool, first: Item) -> None:
    """Resources that differ in digits only: changed here, if the target keeps digits; else the target lost them."""
    count = made.count("digits")
    settled: State = "update" if exact else "unchanged"
    made.states = {ref: settled if state == "digits" else state for ref, state in made.states.items()}
    if not exact:
        text = (
            f"{count} resources (first: this one) differ from the target's only in the digits of decimals, as 10.50 "
            "and 10.5 do; nothing it returned shows that it keeps digits: they were taken as unchanged, not sent"
        )
        made.issues.append(Issue("warning", "value", text, file=first.file, row=first.row))


def waves(needs: Mapping[str, Set[str]]) -> list[list[str]]:
    """Resource types in levels, each after all it refers to; a circle is opened where the usual order says."""

    def rank(kind: str) -> tuple[int, str]:
        return (_USUAL.index(kind) if kind in _USUAL else len(_USUAL), kind)

    left, levels = sorted(needs, key=rank), list[list[str]]()
    while left:
        free = [kind for kind in left if not (needs[kind] - {kind}) & set(left)]
        levels.append(free or left[:1])
        left = [kind for kind in left if kind not in levels[-1]]
    return levels


def chunks(things: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    """The things in runs of `size`."""
    for start in range(0, len(things), size):
        yield things[start : start + size]
