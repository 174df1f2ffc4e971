"""Resources as they come from a server or folder: told apart, written once as received, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import IO, Literal

import msgspec

from fhir_ivig.fhir.bundle import LOCATION, RESOURCE_TYPE, Head, head
from fhir_ivig.fhir.files import BLOCK_BYTES
from fhir_ivig.fhir.folder import create
from fhir_ivig.issue import Issue, failed


@dataclass(slots=True)
class Pulled:
    """What a pull gave.

    `received` counts the resources written, `expected` those that the server promised (its total, else its answer to
    a count query), by type; `duplicates` came again with equal content; `refused` were no resource of the type asked
    for and left out; `failed` are the types of searches that came to nothing or to an early end; `changed_only` those
    of which only what changed was asked for; `broken_off` if the server was lost on the way. `server_time` is the
    instant from which a later pull must ask again.
    `complete` is no error among the issues.
    """

    received: Counter[str] = field(default_factory=Counter)
    expected: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    refused: int = 0
    failed: list[str] = field(default_factory=list)
    changed_only: set[str] = field(default_factory=set)
    broken_off: bool = False
    server_time: str | None = None
    patients: dict[str, None] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return not failed(self.issues)


Taker = Callable[[str, bytes, int], None]  # of a type, lines as received, and the number of the first in its file


class _Meta(msgspec.Struct):
    lastUpdated: str | None = None  # noqa: N815 (the element's name)


class _Reference(msgspec.Struct):
    reference: str | None = None


class _Told(msgspec.Struct):
    meta: _Meta | None = None
    individual: _Reference | None = None  # of an R4 ResearchSubject
    subject: _Reference | None = None  # of an R5 ResearchSubject, and of most else
    patient: _Reference | None = None


_told = msgspec.json.Decoder(_Told)


class Receiving:
    """The files of one pull. `last_updated` is the largest `meta.lastUpdated` as a text.

    Where servers write it in several zones that may be an earlier instant than the true largest, never a later one.
    """

    def __init__(self, folder: Path, pulled: Pulled, taker: Taker | None = None) -> None:
        self.folder, self.pulled, self.taker = folder, pulled, taker
        self.last_updated = ""
        self.led_to: dict[str, None] = {}  # Patients that ResearchSubjects of the cohort refer to
        self._first: dict[int, int] = {}  # 56 bits of what came under each name, and of its content
        self._others: set[tuple[int, int]] = set()
        self._files: dict[str, IO[bytes]] = {}
        self._new: dict[str, list[bytes]] = {}  # what the taker has not had, by type
        self._size = 0

    def hand_on(self) -> None:
        """Gives the taker what is new."""
        for kind, lines in self._new.items():
            if self.taker:
                self.taker(kind, b"".join(lines), self.pulled.received[kind] - len(lines) + 1)
        self._new, self._size = {}, 0

    def close(self) -> None:
        """Finish the files."""
        for file in self._files.values():
            file.close()

    def keep(self, line: bytes, asked: str, included: bool = False) -> None:
        """Writes a resource of a search for `asked`, unless it came before; notes the Patients of the cohort."""
        found, pulled = head(line), self.pulled
        kind = found.resourceType
        if not RESOURCE_TYPE.fullmatch(kind) or not (included or kind == asked):
            pulled.refused += 1
            text = f"the answer to a search for {asked} holds something else, which was left out"
            pulled.issues.append(Issue("error", "structure", text))
            return
        came = self._came(found, line)
        if came == "the same":
            pulled.duplicates += 1
            return
        name = f"{kind}.ndjson"
        if name not in self._files:
            self._files[name] = create(self.folder / name)
        whole = line + b"\n"
        self._files[name].write(whole)
        pulled.received[kind] += 1
        self._to_hand_on(kind, whole)
        row = pulled.received[kind]
        if not found.sound:
            text = "the resource came without a sound id, so it cannot be told from others"
            pulled.issues.append(Issue("warning", "structure", text, file=name, row=row))
        elif came == "another":
            text = "a resource with the same id and other content came before: both were kept"
            pulled.issues.append(Issue("warning", "duplicate", text, file=name, row=row))
        self._note(found, line, cohort=not (included and asked == kind))

    def _to_hand_on(self, kind: str, line: bytes) -> None:
        if self.taker:
            self._new.setdefault(kind, []).append(line)
            self._size += len(line)
            if self._size >= BLOCK_BYTES:
                self.hand_on()

    def _came(self, found: Head, line: bytes) -> Literal["nothing", "the same", "another"]:
        """What came before under the name of a resource. One is left out only if both its numbers are known."""
        if not found.sound:
            return "nothing"
        name, content = _number(found.ref.encode()), _number(line)
        first = self._first.get(name)
        if first is None:
            self._first[name] = content
            return "nothing"
        if first == content or (name, content) in self._others:
            return "the same"
        self._others.add((name, content))
        return "another"

    def _note(self, found: Head, line: bytes, cohort: bool) -> None:
        """What a resource tells besides its content: when it was changed, and who is of the cohort."""
        if found.resourceType == "Patient" and found.sound and cohort:
            self.pulled.patients[found.ref] = None
        told = _tell(line)
        if told.meta and told.meta.lastUpdated:
            self.last_updated = max(self.last_updated, told.meta.lastUpdated)
        if found.resourceType == "ResearchSubject":
            self.led_to |= dict.fromkeys(sorted(_patients(told)))


def about(line: bytes) -> set[str]:
    """The Patients (`Patient/id`) that a resource belongs to."""
    return _patients(_tell(line))


def _tell(line: bytes) -> _Told:
    try:
        return _told.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _Told()


def _patients(told: _Told) -> set[str]:
    literals = [each.reference or "" for each in (told.individual, told.subject, told.patient) if each]
    found = {place[1] for literal in literals if (place := LOCATION.search(literal))}
    return {ref for ref in found if ref.startswith("Patient/")}


def digest(line: bytes) -> bytes:
    """What stands for a resource's content."""
    return blake2b(line, digest_size=16).digest()


def _number(text: bytes) -> int:
    """56 bits, since Python needs half as much again for the 64 that there could be."""
    return int.from_bytes(blake2b(text, digest_size=7).digest(), "little")
