"""Reading a closed YAML shape: what is not foreseen is an Issue with its line, and reading goes on."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from fhir_ivig.issue import Code, Issue
from fhir_ivig.yamltext import Node

# FHIR's decimal and integer (https://hl7.org/fhir/R4/datatypes.html), with exponents that arithmetic can carry.
DECIMAL = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?"
INTEGER = r"-?(?:0|[1-9][0-9]*)"


@dataclass(slots=True)
class Shape:
    """The Issues found in one file. Each method returns what the node says, or an empty value after an Issue."""

    file: str
    issues: list[Issue] = field(default_factory=list)

    def refuse(self, node: Node, text: str, code: Code = "value") -> None:
        self.issues.append(Issue("error", code, text, self.file, node.line))

    def mapping(self, node: Node, name: str) -> dict[str, Node]:
        """Names and what they hold; nothing at all counts as none."""
        if node.kind == "mapping":
            return dict(node.value)
        if not node.empty:
            self.refuse(node, f"{name}: write `name: value` pairs here.", "structure")
        return {}

    def fields(
        self, node: Node, name: str, known: Collection[str], required: Collection[str] = ()
    ) -> dict[str, Node]:
        """The fields that are filled; Issues for unknown ones and for required ones that are not there."""
        given = self.mapping(node, name)
        for key in given.keys() - set(known):
            choices = ", ".join(known)
            self.refuse(given[key], f"{name}: `{key}` is not known here. Known are: {choices}.", "not-supported")
        filled = {key: child for key, child in given.items() if key in known and not child.empty}
        for key in required:
            if key not in filled:
                self.refuse(node, f"{name}: `{key}` is missing.", "required")
        return filled

    def items(self, node: Node, name: str) -> list[Node]:
        if node.kind == "sequence":
            return list(node.value)
        if not node.empty:
            self.refuse(node, f"{name}: write a list here, `[...]` or lines that begin with `-`.", "structure")
        return []

    def text(self, node: Node, name: str) -> str:
        if node.kind == "scalar" and node.value.strip():
            return str(node.value)
        self.refuse(node, f"{name}: write one text here.", "structure")
        return ""

    def scalar(self, node: Node, name: str) -> str:
        """A text that may be empty or blank."""
        if node.kind == "scalar":
            return "" if node.empty else str(node.value)
        self.refuse(node, f"{name}: write one text here.", "structure")
        return ""

    def match(self, node: Node, name: str, pattern: str, wanted: str) -> str:
        """A text that matches the whole pattern; `wanted` says in words what that is."""
        text = self.text(node, name)
        if text and not re.fullmatch(pattern, text):
            self.refuse(node, f"{name}: `{text}` is not {wanted}.")
            return ""
        return text

    def choice(self, node: Node, name: str, choices: Collection[str]) -> str:
        wanted = f"one of {', '.join(choices)}"
        return self.match(node, name, "|".join(map(re.escape, choices)), wanted)

    def flag(self, node: Node, name: str) -> bool:
        return self.choice(node, name, ("yes", "no")) == "yes"

    def integer(self, node: Node, name: str) -> int:
        return int(self.match(node, name, r"-?(0|[1-9][0-9]{0,8})", "a whole number") or 0)

    def texts(self, node: Node, name: str) -> tuple[str, ...]:
        return tuple(self.text(child, name) for child in self.items(node, name))

    def pairs(self, node: Node, name: str) -> dict[str, str]:
        """A mapping from text to text, the right sides possibly empty."""
        return {key: self.scalar(child, f"{name}.{key}") for key, child in self.mapping(node, name).items()}
