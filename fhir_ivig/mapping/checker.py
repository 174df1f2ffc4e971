"""From the YAML of a mapping file to a template: every element checked against FHIR, every problem with its line.

Checked: element names, types, cardinality, choices, required elements, constants against their type's grammar and
required value set, code maps as values of the element that they fill.
"""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from itertools import combinations

from fhir_ivig.issue import Code, Issue
from fhir_ivig.mapping.elements import Element, elements
from fhir_ivig.mapping.primitives import expected, fits
from fhir_ivig.mapping.template import (
    ALSO,
    Constant,
    Group,
    Hole,
    Items,
    Template,
    holes,
    marks,
    parameters,
    stray_brace,
)
from fhir_ivig.yamltext import Node as Yaml

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_HOLE = re.compile(
    rf"\{{(?P<columns>\$?{NAME}(\s*,\s*{NAME})*)"
    rf"(?P<repeat>\.\.\.)?"
    rf"(\s+via\s+(?P<via>{NAME})|\s*\*\s*(?P<factor>[0-9.]+)|\s*->\s*(?P<target>{NAME}))?\s*\}}"
)


class Checker:
    """Turns YAML nodes into template nodes for one FHIR version, gathering `issues`; None where a node is wrong."""

    def __init__(self, version: str, file: str, maps: dict[str, Yaml]) -> None:
        self.version, self.file, self.maps = version, file, maps
        self.issues: list[Issue] = []

    def refuse(self, node: Yaml, path: str, text: str, code: Code = "structure") -> None:
        self.issues.append(Issue("fatal", code, text, self.file, node.line, path=path.replace(ALSO, "")))

    def resource(self, node: Yaml, path: str | None = None) -> Group | None:
        """A whole resource; `resourceType` says which. `path` is where it is contained."""
        if node.kind != "mapping" or "resourceType" not in node.value:
            first = next(iter(node.value.values()), node) if node.kind == "mapping" else node
            self.refuse(first, path or "", "A resource is a mapping that begins with its `resourceType`.", "required")
            return None
        said = node.value["resourceType"]
        if said.kind != "scalar":
            self.refuse(said, path or "", "`resourceType` is one code: this is not its shape.")
            return None
        name = said.value
        if "implicitRules" not in elements(self.version, name):  # which every resource has, and no data type
            self.refuse(said, path or "", f"`{name}` is no resource type of FHIR {self.version}.", "code-invalid")
            return None
        return self.group(node, name, path or name)

    def element(self, node: Yaml, element: Element, path: str) -> Template | None:
        """The value of an element: a list where it repeats."""
        if element.many:
            if node.kind != "sequence":
                self.refuse(node, path, f"`{element.name}` repeats in FHIR: write a list.")
                return None
            if not node.value:
                self.refuse(node, path, "An empty list is not FHIR: leave the element out.")
            found = [self.value(item, element, path) for item in node.value]
            self.check_apart(found, element, path)
            return Items(tuple(item for item in found if item is not None), path, node.line)
        if node.kind == "sequence":
            self.refuse(node, path, f"`{element.name}` does not repeat in FHIR: write one value, not a list.")
            return None
        return self.value(node, element, path)

    def check_apart(self, found: list[Template | None], element: Element, path: str) -> None:
        """Items must differ in what is fixed, or reading would take one for another that comes before it."""
        for one, other in combinations([item for item in found if item is not None], 2):
            if marks(one) <= marks(other):
                said = f"Nothing fixed tells this item of `{element.name}` from one before it: reading confuses them."
                self.issues.append(Issue("fatal", "structure", said, self.file, other.line, path=path))

    def value(self, node: Yaml, element: Element, path: str) -> Template | None:
        """One value of an element."""
        if node.kind == "scalar":
            return self.scalar(node, element, path)
        if node.kind == "sequence" or element.primitive:
            kind = f"one {element.type}" if element.primitive else f"a {element.type}"
            self.refuse(node, path, f"`{element.name}` is {kind}: this is not its shape.")
            return None
        if element.type == "Resource":
            return self.resource(node, path)
        group = self.group(node, element.type, path)
        if group and element.codes and element.type == "CodeableConcept":
            self.check_codings(node, group, element)
        if element.type == "CodeableReference" and isinstance(hole := group.members.get("reference"), Hole):
            group.members["reference"] = replace(hole, types=element.targets)
        return group

    def group(self, node: Yaml, type_name: str, path: str) -> Group:
        """An object of a known type: every name known, every required element there, one of each choice."""
        known = elements(self.version, type_name)
        members: dict[str, Template] = {}
        for name, child in node.value.items():
            if name == "resourceType" and type_name == child.value and "implicitRules" in known:
                members[name] = Constant(type_name, "code", f"{path}.{name}", child.line)
            elif name not in known:
                near = ", ".join(sorted(n for n in known if n.lower().startswith(name[:3].lower())))
                said = f"`{name}` is no element of {type_name} in FHIR {self.version}"
                self.refuse(child, f"{path}.{name}", f"{said}{f'; there is {near}' if near else ''}.")
            elif (member := self.element(child, known[name], f"{path}.{name}")) is not None:
                members[name] = member
        self.check_choices(node, known, path)
        for name in sorted(name for name, each in known.items() if each.required and name not in node.value):
            self.refuse(node, path, f"{type_name} needs `{name}`.", "required")
        needed = {
            name for name in members.keys() & known.keys() if known[name].required or known[name].choice_required
        }
        if type_name == "Quantity":  # a unit without a value says nothing, a value without its unit is a guess
            needed |= members.keys() - {"comparator"}
        return Group(type_name, members, path, node.line, frozenset(needed))

    def check_choices(self, node: Yaml, known: dict[str, Element], path: str) -> None:
        chosen: dict[str, list[str]] = {}
        for name, element in known.items():
            if element.choice and (name in node.value or element.choice_required):
                chosen.setdefault(element.choice, []).extend([name] if name in node.value else [])
        for choice, names in chosen.items():
            if len(names) > 1:
                self.refuse(node, path, f"{choice}[x] is a choice: keep one of {', '.join(names)}.")
            elif not names:
                self.refuse(node, path, f"One of {choice}[x] is required.", "required")

    def scalar(self, node: Yaml, element: Element, path: str) -> Template | None:
        text = node.value
        if node.empty:
            self.refuse(node, path, "An empty value is not FHIR: leave the element out.")
            return None
        found = _HOLE.fullmatch(text)
        if found and (found["target"] or not found["columns"].startswith("$")):
            return self.hole(node, element, path, found)
        if stray_brace(text):
            self.refuse(node, path, f"`{text}` is not a hole that the language knows; a literal brace is `{{{{`.")
            return None
        if not element.primitive:
            self.refuse(node, path, f"`{element.name}` is a {element.type}: write its elements.")
            return None
        constant = Constant(text, element.type, path, node.line)
        if not parameters(constant):
            self.check_constant(node, constant.bound({}), element, path)
        return constant

    def check_constant(self, node: Yaml, text: str, element: Element, path: str) -> None:
        codes = {code for _, code in element.codes or ()}
        if not fits(element.type, text):
            self.refuse(node, path, f"`{text}` is not {expected(element.type)}.", "value")
        elif codes and element.type == "code" and text not in codes:
            listed = ", ".join(sorted(codes))
            said = f"`{text}` is not in the required value set {element.value_set} ({listed})."
            self.refuse(node, path, said, "code-invalid")

    def hole(self, node: Yaml, element: Element, path: str, found: re.Match[str]) -> Hole | None:
        columns = tuple(re.split(r"\s*,\s*", found["columns"]))
        factor = Decimal(found["factor"]) if found["factor"] and fits("decimal", found["factor"]) else None
        hole = Hole(
            columns=columns,
            type=element.type,
            path=path,
            line=node.line,
            via=found["via"],
            factor=factor,
            target=found["target"],
            types=element.targets if found["target"] else (),
            repeat=bool(found["repeat"]),
        )
        problem = None
        if hole.target and element.type != "Reference":
            problem = f"`->` makes a Reference, but `{element.name}` is a {element.type}."
        elif element.type == "Reference" and not hole.target:
            problem = "A Reference needs the mapping that it points to: {subject -> patient}."
        elif hole.via and hole.via not in self.maps:
            problem = f"`{hole.via}` is not among this file's `maps`."
        elif not element.primitive and not hole.via and not hole.target:
            problem = f"`{element.name}` is a {element.type}: write its elements, or go `via` a map of them."
        elif element.type == "xhtml":
            problem = "A narrative is XHTML, not text: write it without a hole, or leave it out."
        elif len(columns) > 1 and not hole.target:
            problem = "Several columns together can only make a Reference."
        elif found["factor"] and (factor is None or factor == 0 or element.type != "decimal"):
            problem = "Only a decimal can be scaled, and not by zero."
        if problem:
            self.refuse(node, path, problem)
            return None
        codes = frozenset(code for _, code in element.codes or ()) if element.type == "code" else frozenset()
        return replace(hole, codes=codes, entries=self.entries(hole.via, element, path) if hole.via else {})

    def entries(self, name: str, element: Element, path: str) -> dict[str, tuple[Template, ...]]:
        """A code map checked as values of the element that it fills: cell -> written, others read."""
        found = {}
        for cell, node in self.maps[name].value.items():
            values = node.value if node.kind == "sequence" else [node]
            read_only = replace(element, codes=None)  # a required value set binds what is written
            checked = [
                self.value(value, read_only if i else element, f"{path}{ALSO}") for i, value in enumerate(values)
            ]
            found[cell] = tuple(value for value in checked if value is not None)
            if any(next(holes(value), None) for value in found[cell]):
                self.refuse(node, path, "A code map holds constants, no holes.")
        return found

    def check_codings(self, node: Yaml, group: Group, element: Element) -> None:
        """A CodeableConcept under a required binding holds one coding of the value set, whatever fills it."""
        codings = group.members.get("coding")
        found: set[tuple[str, ...]] = set()
        for item in codings.items if isinstance(codings, Items) else ():
            filled = [item] if not isinstance(item, Hole) else [values[0] for values in item.entries.values()]
            for coding in filled:
                parts = [coding.members.get(name) for name in ("system", "code")] if isinstance(coding, Group) else []
                if any(isinstance(part, Hole) for part in parts):
                    return
                found.add(tuple(part.text for part in parts if isinstance(part, Constant)))
        if element.codes and not found & element.codes:
            listed = ", ".join(sorted(code for _, code in element.codes))
            said = f"No coding is in the required value set {element.value_set} ({listed})."
            self.refuse(node, group.path, said, "code-invalid")
