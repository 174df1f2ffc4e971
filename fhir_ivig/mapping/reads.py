"""What a mapping file understands besides what it writes: its `reads`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from fhir_ivig.mapping.checker import Checker
from fhir_ivig.mapping.elements import Element, elements
from fhir_ivig.mapping.primitives import fits
from fhir_ivig.mapping.template import ALSO, Constant, Group, Hole, Items, Template, holes
from fhir_ivig.yamltext import Node as Yaml
from fhir_ivig.yamltext import plain


@dataclass(frozen=True, slots=True)
class Reads:
    """What else is understood for one element when reading.

    Its constants are not compared (`ignored`), may have other values (`constants`, `patterns`), its values other
    `units`, or another element of the resource may stand `instead` of it: its name and template.
    """

    ignored: bool = False
    constants: tuple[str, ...] = ()
    patterns: tuple[Template, ...] = ()
    instead: tuple[tuple[str, Template], ...] = ()
    units: tuple[tuple[str, Decimal], ...] = ()


class ReadsReader:
    """Reads that part of a mapping file; what is wrong goes to `refuse(node, text, path)`."""

    def __init__(self, resource: Group, checker: Checker, refuse: Callable[[Yaml, str, str], None]) -> None:
        self.resource, self.checker, self.version, self.refuse = resource, checker, checker.version, refuse

    def all(self, parts: dict[str, Yaml]) -> Iterator[tuple[str, Reads]]:
        """By FHIRPath."""
        for dotted, node in parts.items():
            path = f"{self.resource.type}.{dotted}"
            if (found := self.one(dotted, path, node)) is not None:
                yield path, found
            else:
                self.refuse(node, f"`{dotted}` is not an element that can be read like this.", path)

    def one(self, dotted: str, path: str, node: Yaml) -> Reads | None:
        target = _find(self.resource, dotted.split("."))
        element = _element(self.version, self.resource.type, dotted)
        if node.kind == "scalar":
            return Reads(ignored=True) if node.value == "any" and element else None
        if node.kind == "mapping" and node.value.keys() == {"instead"}:
            others = node.value["instead"]
            if "." in dotted or target is None or others.kind != "mapping":
                return None
            return self.instead((name, self.other(name, child)) for name, child in others.value.items())
        if node.kind == "mapping":
            is_quantity = isinstance(target, Group) and target.type == "Quantity"
            return Reads(units=tuple(self.units(node, path))) if is_quantity else None
        if isinstance(target, Hole) and all(item.kind == "scalar" for item in node.value):
            return self.instead(self.placed(target, item) for item in node.value) if "." not in dotted else None
        if element and isinstance(target, Constant) and all(item.kind == "scalar" for item in node.value):
            for item in node.value:
                self.checker.check_constant(item, item.value, element, path)
            return Reads(constants=tuple(str(item.value) for item in node.value))
        if element is None:
            return None
        single = replace(element, codes=None)  # a required value set binds what is written
        patterns = [self.checker.value(_as_concept(item, element), single, f"{path}{ALSO}") for item in node.value]
        return Reads(patterns=tuple(pattern for pattern in patterns if pattern is not None))

    def instead(self, found: Iterator[tuple[str, Template | None]]) -> Reads:
        return Reads(instead=tuple((name, template) for name, template in found if template is not None))

    def other(self, name: str, node: Yaml) -> Template | None:
        """The template of an element that may stand for another."""
        path = f"{self.resource.type}.{name}"
        element = elements(self.version, self.resource.type).get(name)
        if element is None:
            self.refuse(node, f"`{name}` is no element of {self.resource.type} in FHIR {self.version}.", path)
            return None
        found = self.checker.element(node, element, path)
        filled = {column for hole in holes(self.resource) for column in hole.columns}
        for column in {column for hole in holes(found) for column in hole.columns} - filled if found else ():
            self.refuse(node, f"`{column}` fills no hole of the resource.", path)
        return found

    def placed(self, hole: Hole, item: Yaml) -> tuple[str, Template | None]:
        """A hole at the end of a path such as `effectivePeriod.start`."""
        path, type_name = self.resource.type, self.resource.type
        chain: list[tuple[str, Element]] = []
        for name in item.value.split("."):
            path = f"{path}.{name}"
            element = elements(self.version, type_name).get(name)
            if element is None:
                self.refuse(item, f"`{name}` is no element of {type_name} in FHIR {self.version}.", path)
                return "", None
            chain.append((path, element))
            type_name = element.type
        inner: Template = replace(hole, path=path)
        for place in range(len(chain) - 1, -1, -1):
            path, element = chain[place]
            if place < len(chain) - 1:
                inner = Group(element.type, {chain[place + 1][1].name: inner}, path, item.line)
            inner = Items((inner,), path, item.line) if element.many else inner
        return chain[0][1].name, inner

    def units(self, node: Yaml, path: str) -> Iterator[tuple[str, Decimal]]:
        for unit, factor in node.value.items():
            if factor.kind == "scalar" and fits("decimal", factor.value) and Decimal(factor.value) != 0:
                yield unit, Decimal(factor.value)
            else:
                self.refuse(factor, f"`{unit}` needs a number to multiply by.", path)


def _find(node: Template, names: list[str]) -> Template | None:
    """The node at a dotted path; a list of one item stands for its item."""
    if isinstance(node, Items):
        return _find(node.items[0], names) if len(node.items) == 1 else (node if not names else None)
    if not names:
        return node
    member = node.members.get(names[0]) if isinstance(node, Group) else None
    return _find(member, names[1:]) if member is not None else None


def _element(version: str, type_name: str, dotted: str) -> Element | None:
    """What FHIR says of the element at a dotted path."""
    element = None
    for name in dotted.split("."):
        element = elements(version, type_name).get(name)
        if element is None:
            return None
        type_name = element.type
    return element


def _as_concept(node: Yaml, element: Element) -> Yaml:
    """A Coding written where a CodeableConcept is due, as that concept."""
    shown: Any = plain(node)
    if element.type == "CodeableConcept" and isinstance(shown, dict) and not shown.keys() & {"coding", "text"}:
        listed = Yaml("sequence", [node], node.line)
        return Yaml("mapping", {"coding": listed}, node.line)
    return node
