"""Who is meant: what resources read so far tell of literal references and of other systems' identifiers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from fhir_ivig.mapping.identity import SEPARATOR

_ABSOLUTE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^|]+)/([A-Za-z]+/[A-Za-z0-9.-]+)")


@dataclass(frozen=True, slots=True)
class Lookup:
    """A cell to be found out: part `part` of the key of the resource of mapping `target` that `name` stands for.

    `whole` says whether that is all of the key.
    `name` is a literal reference (`Patient/1`, `https://hospital/fhir/Patient/1`) or somebody else's identifier
    (`https://hospital/mrn|0041873`).
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
    """What names stand for, in all that was read so far.

    `base` is the address of the server that all comes from: what is absolute there is the same as relative. Where it
    is not known, the first absolute reference tells. At any other address, somebody else has the same `Type/id`.
    """

    def __init__(self, base: str | None = None) -> None:
        self.values: dict[tuple[str, str], str] = {}
        self.base = base and base.rstrip("/")

    def learn(self, told: Told) -> str | None:
        """Remember it. If something else was told before, nothing is known any more: then what that was."""
        name = self._here(told.name)
        before = self.values.setdefault((name, told.target), told.value)
        if before == told.value:
            return None
        self.values[name, told.target] = ""
        return before

    def resolve(self, name: str, mapping: str) -> str | None:
        """The identifier value of what a name stands for, if it is known to be of this mapping."""
        return self.values.get((self._here(name), mapping)) or None

    def _here(self, name: str) -> str:
        """The name as it is relative to the server, if it is there."""
        absolute = _ABSOLUTE.fullmatch(name)
        if absolute is None:
            return name
        self.base = self.base or absolute[1]
        return absolute[2] if absolute[1] == self.base else name


def whom(value: Any, system: str, count: int) -> list[str] | str | None:
    """Whom a Reference means: the `count` parts of a key under our identifier system, else the name to look up.

    The name is the reference without the version, or `system|value`. None: it names nobody.
    """
    literal = value.get("reference") if isinstance(value, dict) else None
    theirs, key = identifier_of(value)
    if theirs == system:
        parts = key.split(SEPARATOR)
        if len(parts) == count and all(parts):
            return parts
    if isinstance(literal, str) and "/" in literal and not literal.startswith("#"):
        return literal.split("/_history/")[0]
    return f"{theirs}|{key}" if theirs and key else None


def identifier_of(value: Any) -> tuple[str, str]:
    """System and value of a Reference's identifier, empty where they are no texts."""
    given = value.get("identifier") if isinstance(value, dict) else None
    found = [given.get(name) if isinstance(given, dict) else None for name in ("system", "value")]
    system, key = (each if isinstance(each, str) else "" for each in found)
    return system, key
