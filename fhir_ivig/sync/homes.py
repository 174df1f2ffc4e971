"""Where the study's resources are at a target, if not under their own ids: references turned from ours to theirs, and
back.

Everything of a push but the target itself speaks of a resource by the id made from its key. Two things stand
elsewhere: a Patient of the study that is the hospital's own (linked), and whatever got its id from the server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fhir_ivig.fhir.bundle import Answer, Put
from fhir_ivig.issue import Issue
from fhir_ivig.sync.plan import Target

_REFERENCE = re.compile(rb'"reference"\s*:\s*"((?:[^"\\]|\\.)*)"')
_HISTORY = "/_history/"
_ITSELF = " itself"  # a resource of the study that stands at the target, where another stands for it now


class MissingError(Exception):
    """A resource refers to one of the study, named by the text, that the target has not."""


class Homes:
    """Our `Type/id` and the target's, which the other stands for.

    `linked` are Patients: ours -> the hospital's. `own` are the study's resources that the target gave an id: ours ->
    the target's, None while it has them not. `base` is what may stand before `Type/id` in the target's references.
    """

    def __init__(self, base: str, linked: Mapping[str, str], own: Mapping[str, str | None] | None = None) -> None:
        self._prefix = f"{base}/" if base else ""
        self.linked, self.own = dict(linked), dict(own or {})
        self._ours = {home: ref for ref, home in {**self.own, **self.linked}.items() if home}

    def settle(self, ref: str, home: str | None) -> None:
        """The target has a resource of the study there, or (None) has it not."""
        self.own[ref] = home
        if home and ref not in self.linked:
            self._ours[home] = ref

    def out(self, resource: bytes) -> bytes:
        """Ours, with the references as the target has them. MissingError if it has not all that are meant."""
        return _REFERENCE.sub(lambda found: _reference(self._there(_text(found[1]))), resource)

    def back(self, resource: bytes) -> bytes:
        """Theirs, with references to the study's resources as ours; the rest as it is."""
        return _REFERENCE.sub(lambda found: _reference(self._here(_text(found[1]))), resource)

    def shown(self, value: Any) -> Any:
        """A value of ours or of what `back` gave, as it stands at the target, for people."""
        if isinstance(value, dict):
            return {
                name: self._at(child) if name == "reference" and isinstance(child, str) else self.shown(child)
                for name, child in value.items()
            }
        return [self.shown(child) for child in value] if isinstance(value, list) else value

    def at(self, ref: str) -> str | None:
        """What of the target stands for a resource of the study; None if it has none, the same for any other."""
        return self.linked.get(ref) or self.own.get(ref, ref)

    def _at(self, ref: str) -> str:
        return ref.removesuffix(_ITSELF) if ref.endswith(_ITSELF) else self.at(ref) or ref

    def _there(self, text: str) -> str:
        ref, history, version = text.partition(_HISTORY)
        home = self.at(ref)
        if home is None:
            raise MissingError(ref)
        return f"{home}{history}{version}"

    def _here(self, text: str) -> str:
        ref, history, version = text.removeprefix(self._prefix).partition(_HISTORY)
        if ref in self._ours:
            ref = self._ours[ref]
        elif ref in self.linked:
            ref += _ITSELF
        else:
            return text
        return f"{ref}{history}{version}"


def references(resource: bytes) -> Iterator[str]:
    """The literal references in a resource."""
    return (_text(found) for found in _REFERENCE.findall(resource))


def _text(found: bytes) -> str:
    return found.decode("utf-8", "surrogateescape").replace("\\/", "/")


def _reference(text: str) -> bytes:
    return b'"reference":"%b"' % text.encode("utf-8", "surrogateescape")


class Pointing:
    """A target at which some Patients of the study are the hospital's own: these are pointed at, and never sent."""

    def __init__(self, target: Target, homes: Homes) -> None:
        self._target, self._homes = target, homes
        self.base, self.entries, self.size = target.base, target.entries, target.size
        self.connections, self.at_once = target.connections, target.at_once

    def look_up(self, resource_type: str, wanted: Mapping[str, bytes | None]) -> Mapping[str, bytes | Issue]:
        """As the target's, with references to the study's resources as ours."""
        found = self._target.look_up(resource_type, wanted)
        return {name: held if isinstance(held, Issue) else self._homes.back(held) for name, held in found.items()}

    def put(self, puts: Sequence[Put]) -> list[Answer]:
        """As the target's, with references as the target has them."""
        return self._target.put([replace(put, resource=self._homes.out(put.resource)) for put in puts])

    def finish(self) -> None:
        """As the target's."""
        self._target.finish()
