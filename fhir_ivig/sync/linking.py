"""The hospital's own Patients as the study's subjects, in a push: whom a link leads to, and whether that may be.

A Patient of the hospital is pointed at, never written. Whose link does not lead to exactly one, is not sent at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from fhir_ivig.fhir.bundle import head
from fhir_ivig.fhir.client import Client
from fhir_ivig.fhir.files import read_blocks
from fhir_ivig.fhir.folder import Folder
from fhir_ivig.issue import Issue
from fhir_ivig.mapping.identity import logical_id
from fhir_ivig.sync.links import OWN_MRNS, Link, Match, match
from fhir_ivig.sync.steps import Take

_EVERYBODY = {
    "resourceType",
    "id",
    "meta",
    "identifier",
    "name",
}  # what every Patient of the study says in its own way
_TELLING = {"male", "female"}
_AGAIN = "if that is as it should be, push with --take ours={ref}"


@dataclass(slots=True)
class Linking:
    """Patients of the study (`Patient/id`) and the hospital's that stand for them.

    `linked` are those of this push, `kept` what is known of others from before. `refused` are those for whom there is
    none that can be taken, and why."""

    linked: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    refused: dict[str, Issue] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Case:
    """A Patient of the study, and whom its links lead to (none: it has no link)."""

    ref: str
    line: bytes
    matches: Sequence[Match]


def link_patients(
    store: Client | Folder,
    links: Sequence[Link],
    patients: Path,
    system: str,
    before: Mapping[str, str],
    take: Mapping[str, Take],
) -> Linking:
    """Whom the Patients of the study (the file `patients`) stand for. IssueError if the look-up fails.

    `system` is the identifier system of the study's own Patients. `before` is whom they stood for at the last push
    (`Patient/id` -> the hospital's): another one, or none, is refused unless `take` says for it that it be ours.
    """
    matches: dict[str, list[Match]] = {}
    for found in match(store, links, system):
        matches.setdefault(f"Patient/{logical_id(system, found.link.subject)}", []).append(found)
    run = _Run(before, take)
    for block in read_blocks([patients] if patients.exists() else []):
        for line in block.lines:
            ref = head(line).ref
            run.case(_Case(ref, line, matches.pop(ref, [])))
    run.made.kept |= {ref: home for ref, home in before.items() if ref not in run.met}
    for unmet in matches.values():
        text = "The subject's own row is withheld: its link was not needed."
        run.made.issues.append(unmet[0].link.at("warning", text))
    run.made.issues += run.unsent()
    return run.made


@dataclass(slots=True)
class _Run:
    before: Mapping[str, str]
    take: Mapping[str, Take]
    made: Linking = field(default_factory=Linking)
    met: set[str] = field(default_factory=set)
    unsaid: Counter[str] = field(default_factory=Counter)  # element -> of how many Patients

    def case(self, case: _Case) -> None:
        self.met.add(case.ref)
        earlier, ours = self.before.get(case.ref), self.take.get(case.ref) == "ours"
        if not case.matches:
            if earlier and not ours:
                text = "It was sent as a Patient of the hospital before, and has no link now: link it again; "
                self.refuse(case, text + _AGAIN.format(ref=case.ref) + ".")
            return
        wrong = _wrong(case)
        if wrong:
            self.refuse(case, wrong)
            return
        [home] = case.matches[0].theirs
        if earlier not in (None, home) and not ours:
            text = "Its link leads to another Patient than before, to whom all its resources would go: "
            self.refuse(case, text + _AGAIN.format(ref=case.ref) + ".")
            return
        self.made.linked[case.ref] = home
        theirs, mine = (_decoded(line) for line in (case.matches[0].theirs[home], case.line))
        told = {name for name in ("gender", "birthDate") if name in theirs}
        self.unsaid.update(name for name in mine.keys() - _EVERYBODY - told if mine[name] != theirs.get(name))

    def refuse(self, case: _Case, text: str) -> None:
        link = case.matches[0].link if case.matches else None
        named = f"{Path(link.file).name} row {link.row}: " if link and link.column != OWN_MRNS else ""
        column = OWN_MRNS if link and link.column == OWN_MRNS else "subject"
        if case.ref in self.before:
            self.made.kept[case.ref] = self.before[case.ref]
        self.made.refused[case.ref] = Issue("error", "not-found", f"{named}{text}", column=column)

    def unsent(self) -> list[Issue]:
        """What of the study's Patients is not at the hospital's, which stay as they are."""
        said = ", ".join(f"{name} (of {count})" for name, count in sorted(self.unsaid.items()))
        text = "The hospital's Patients stay as they are. What the study says beside them is not sent: Patient."
        return [Issue("warning", "incomplete", f"{text}{said}.")] if said else []


def _wrong(case: _Case) -> str | None:
    """Why a subject cannot be who its links lead to."""
    if len(case.matches) > 1:
        return f"The subject has {len(case.matches)} links, where one is due."
    [found] = case.matches
    if found.wrong:
        return f"{found.wrong}: the subject is not sent."
    if not found.theirs:
        return "No Patient of the hospital has this identifier, only the study's own: the subject is not sent."
    [line] = found.theirs.values()
    theirs, mine = _decoded(line), _decoded(case.line)
    if any(isinstance(link, dict) and link.get("type") == "replaced-by" for link in theirs.get("link") or ()):
        return "The hospital has put another Patient in this one's place: ask for the identifier of that one."
    if theirs.get("active") is False:
        return "The hospital's Patient is marked as not active: ask for the one that is."
    if not _may_be_one(mine.get("birthDate"), theirs.get("birthDate")):
        return "The hospital's Patient has another birth date: is it the right one? The subject is not sent."
    if {mine.get("gender"), theirs.get("gender")} == _TELLING:
        return "The hospital's Patient has another sex: is it the right one? The subject is not sent."
    return None


def _decoded(line: bytes) -> dict[str, Any]:
    return msgspec.json.decode(line, type=dict[str, Any])


def _may_be_one(mine: Any, theirs: Any) -> bool:
    """Whether two dates, each as exact as it is known, may be the same."""
    if not (isinstance(mine, str) and isinstance(theirs, str)):
        return True
    return mine.startswith(theirs) or theirs.startswith(mine)
