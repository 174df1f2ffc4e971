"""Who is meant: what resources read so far tell of literal references and of other systems' identifiers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fhir_ivig.mapping.identity import SEPARATOR


@dataclass(frozen=True, slots=True)
class Lookup:
    """A cell to be found out: part `part` of the key of the resource of mapping `target` that `name` stands for.

    `whole` says whether that is all of the key.
    `name` is a literal reference (`Patient/1`) or somebody else's identifier (`https://hospital/mrn|0041873`).
    """

    name: str
    target: str
    part: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What a line tells: `name` stands for the resource of mapping `target` whose identifier value is `value`."""

    name: str
    target: str
    value: str
    number: int


class References:
    """What names stand for, in all that was read so far."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], str] = {}

    def learn(self, told: Told) -> str | None:
        """Remember it. If something else was told before, nothing is known any more: then what that was."""
        before = self.values.setdefault((told.name, told.target), told.value)
        if before == told.value:
            return None
        self.values[told.name, told.target] = ""
        return before

    def resolve(self, name: str, mapping: str) -> str | None:
        """The identifier value of what a name stands for, if it is known to be of this mapping."""
        return self.values.get((name, mapping)) or None


def whom(value: Any, system: str, count: int) -> list[str] | str | None:
    """Whom a Reference means: the `count` parts of a key under our identifier system, else the name to look up.

    The name is `Type/id`, without the server's address and the version, or `system|value`. None: it names nobody.
    """
    literal = value.get("reference") if isinstance(value, dict) else None
    theirs, key = identifier_of(value)
    if theirs == system:
        parts = key.split(SEPARATOR)
        if len(parts) == count and all(parts):
            return parts
    if isinstance(literal, str) and "/" in literal and not literal.startswith("#"):
        return "/".join(literal.split("/_history/")[0].split("/")[-2:])
    return f"{theirs}|{key}" if theirs and key else None


def identifier_of(value: Any) -> tuple[str, str]:
    """System and value of a Reference's identifier, empty where they are no texts."""
    given = value.get("identifier") if isinstance(value, dict) else None
    found = [given.get(name) if isinstance(given, dict) else None for name in ("system", "value")]
    system, key = (each if isinstance(each, str) else "" for each in found)
    return system, key
