"""A resource with holes: the template of a mapping file as a checked tree.

A scalar is a constant or exactly one hole:

    {date}                              the cell of a column
    {sex via gender}                    the cell through a code map of the file's `maps`
    {dose * 1000}                       the cell, scaled by a constant
    {criteria...}, {criteria... via m}  a cell of several words separated by ; one list item for each
    {subject -> patient}                a Reference to the resource of another mapping that has this key
    {$mrn_system}                       a parameter of the study; may stand inside other text: {$base}/site

`{{` and `}}` are literal braces. `checker` makes the tree from a file and checks it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from fhir_ivig.mapping.primitives import NUMBER_TYPES

_BRACES = re.compile(r"\{\{|\}\}|\{\$([A-Za-z_][A-Za-z0-9_]*)\}")  # literal ones, and parameters
ALSO = "#"  # marks the path of what is only read, so that it is not taken for the element itself
SEVERAL = ";"  # what separates the words of a cell that holds several
# What is for people, and so not compared: members of a type.
FOR_PEOPLE = {("CodeableConcept", "text"), ("Coding", "display"), ("Reference", "display"), ("Quantity", "unit")}


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that is always written: `text` as a person wrote it, parameters still in it."""

    text: str
    type: str
    path: str
    line: int

    def bound(self, parameters: dict[str, str]) -> str:
        """Its text with the study's parameters filled in."""
        return _BRACES.sub(lambda found: parameters[found[1]] if found[1] else found[0][0], self.text)

    def json(self, parameters: dict[str, str]) -> str:
        """Its JSON token."""
        text = self.bound(parameters)
        bare = self.type in NUMBER_TYPES or self.type == "boolean"
        return text if bare else json.dumps(text, ensure_ascii=False)


@dataclass(frozen=True, slots=True, eq=False)
class Hole:
    """A place that a row fills; see the module for what the fields mean. `type` is FHIR's.

    `entries` holds the code map: for each cell the value that is written and, after it, others understood on
    reading. `codes`, where not empty, are the only cells that a required value set allows; `types`, where not empty,
    the only resource types that a Reference may point to.
    """

    columns: tuple[str, ...]
    type: str
    path: str
    line: int
    via: str | None = None
    entries: dict[str, tuple[Template, ...]] = field(default_factory=dict)
    codes: frozenset[str] = frozenset()
    factor: Decimal | None = None
    target: str | None = None
    types: tuple[str, ...] = ()
    repeat: bool = False

    @property
    def plain(self) -> bool:
        """Whether the cell's text is the value's text."""
        return not (self.via or self.factor or self.target or self.repeat)


@dataclass(frozen=True, slots=True)
class Group:
    """A JSON object: a resource, backbone element or data type. `required` names its members that FHIR demands."""

    type: str
    members: dict[str, Template]
    path: str
    line: int
    required: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Items:
    """A JSON array."""

    items: tuple[Template, ...]
    path: str
    line: int


Template = Constant | Hole | Group | Items


def holes(node: Template) -> Iterator[Hole]:
    """Every hole below a node, in the order of the template."""
    if isinstance(node, Hole):
        yield node
    elif isinstance(node, Group):
        for member in node.members.values():
            yield from holes(member)
    elif isinstance(node, Items):
        for item in node.items:
            yield from holes(item)


def stray_brace(text: str) -> bool:
    """Whether a constant's text has a brace that is neither doubled nor a parameter's."""
    return not {"{", "}"}.isdisjoint(_BRACES.sub("", text))


def parameters(node: Template) -> set[str]:
    """The names of the study parameters that a node asks for."""
    if isinstance(node, Constant):
        return set(filter(None, _BRACES.findall(node.text)))
    if isinstance(node, Hole):
        mapped = (value for values in node.entries.values() for value in values)
        return {column[1:] for column in node.columns if column.startswith("$")}.union(*map(parameters, mapped))
    below = node.members.values() if isinstance(node, Group) else node.items
    return set().union(*map(parameters, below))


def marks(node: Template) -> set[tuple[str, str]]:
    """What reading knows a value by: its constants and whom its References mean, with their paths."""
    if isinstance(node, Constant):
        return {(node.path, node.text)}
    if isinstance(node, Hole):
        return {(node.path, f"-> {node.target}")} if node.target else set()
    if isinstance(node, Items):
        return set().union(*map(marks, node.items))
    known = (child for name, child in node.members.items() if (node.type, name) not in FOR_PEOPLE)
    return set().union(*map(marks, known))


def constants(node: Template) -> Iterator[Constant]:
    """Every constant below a node, in the order of the template."""
    if isinstance(node, Constant):
        yield node
    elif not isinstance(node, Hole):
        for child in node.members.values() if isinstance(node, Group) else node.items:
            yield from constants(child)


def repeats(node: Template) -> list[tuple[Template, Hole]]:
    """The list items that repeat, each with its hole: the outermost ones that hold a repeating hole and no other."""
    if isinstance(node, Group):
        return [found for child in node.members.values() for found in repeats(child)]
    found = []
    for item in node.items if isinstance(node, Items) else ():
        inside = list(holes(item))
        found += [(item, inside[0])] if len(inside) == 1 and inside[0].repeat else repeats(item)
    return found
