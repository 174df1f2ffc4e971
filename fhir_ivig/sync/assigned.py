"""A server that chooses the ids itself, as the target of a push: resources are known there by their identifiers.

To everybody else it looks like one that takes our ids (see `homes`). A resource is created only where the server has
none with its identifier, which the server checks itself (conditional create) or a search does just before; afterwards
exactly one must be there. Whoever pushes to such a server by search alone from two places at once, may double.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from fhir_ivig.fhir.bundle import Answer, Post, Put, batch
from fhir_ivig.fhir.client import RefusedError, UnansweredError
from fhir_ivig.fhir.files import read_blocks
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.sync.homes import Homes, MissingError, references
from fhir_ivig.sync.identified import Identity, identities, identity, with_id
from fhir_ivig.sync.items import LOOK_UP, chunks, read_items
from fhir_ivig.sync.journal import Journal
from fhir_ivig.sync.searches import escaped
from fhir_ivig.sync.server import HALVED, STALE, Server, seen

# By what a server may be asked for a type, the next where it does not take the one before: by identifier; by Patients
# (R4 cannot search AdverseEvent by identifier: https://hl7.org/fhir/R4/adverseevent.html#search); for all of it.
Asked = Literal["identifier", "subject", "all"]
_NEXT: dict[Asked, Asked] = {"identifier": "subject", "subject": "all"}
_DEPENDS = 424  # as if the server had said so: https://www.rfc-editor.org/rfc/rfc4918#section-11.4
_PATIENTS = 50  # a search


class Assigned:
    """The `server`, asked for what the study has by identifiers. `homes` are learned from its answers, and noted in
    the `journal`; FHIR `version` says by what can be searched."""

    at_once = True

    def __init__(self, server: Server, homes: Homes, journal: Journal, version: str) -> None:
        self.server, self.homes, self.journal, self.base = server, homes, journal, server.base
        self.entries, self.size, self.connections = server.entries, server.size, server.connections
        self._conditional = server.strategy == "conditional-create"
        self._asked: dict[str, Asked] = {} if version == "R5" else {"AdverseEvent": "subject"}

    def learn(self, path: Path) -> list[Issue]:
        """Where the resources in a file or folder are, of which that is not known; an Issue for each that has no one
        place. IssueError if a look-up fails."""
        wrong: list[Issue] = []
        for block in read_blocks([path]):
            unknown: dict[str, dict[str, bytes | None]] = {}
            for item in read_items(block):
                if item.id and item.ref not in self.homes.own:
                    unknown.setdefault(item.resource_type, {})[item.id] = item.line
            for resource_type, lines in unknown.items():
                for some in chunks(list(lines.items()), LOOK_UP):
                    found = self.look_up(resource_type, dict(some))
                    wrong += [each for each in found.values() if isinstance(each, Issue)]
        return wrong

    def look_up(self, resource_type: str, wanted: Mapping[str, bytes | None]) -> Mapping[str, bytes | Issue]:
        """Those of the resources that the server has, as ours; an Issue for each of which it has several, and for
        those of which nobody can know."""
        found: dict[str, bytes | Issue] = {}
        names: dict[Identity, str] = {}
        for name, line in wanted.items():
            key = identity(line, name) if line else None
            if key:
                names[key] = name
            elif f"{resource_type}/{name}" not in self.homes.own:
                found[name] = _unknown(f"{resource_type}/{name}", left=line is None)
        held: dict[str, dict[str, bytes]] = {}
        for theirs, resource in self._having(resource_type, names, [line for line in wanted.values() if line]):
            for key in identities(resource) & names.keys():
                held.setdefault(names[key], {})[theirs] = resource
        homes = {self._home(resource_type, name): name for name in wanted if name not in held and name not in found}
        for theirs, resource in self._by_id(resource_type, [home for home in homes if home]):
            held[homes[theirs]] = {theirs: resource}
        for name in wanted.keys() - found.keys():
            several = held.get(name, {})
            if len(several) > 1:
                found[name] = _doubled(f"{resource_type}/{name}", [f"{resource_type}/{theirs}" for theirs in several])
                continue
            self.homes.settle(
                f"{resource_type}/{name}", next((f"{resource_type}/{theirs}" for theirs in several), None)
            )
            for resource in several.values():
                found[name] = self.homes.back(with_id(resource, name))
        return found

    def elsewhere(self, patients: Path) -> str | None:
        """Which Patient of the study (the file `patients`) the server has under an id that is not ours, for people;
        None if there is none, or the server cannot be asked."""
        try:
            wrong = self.learn(patients)
        except RefusedError:
            return None
        moved = (f"{ref} as {home}" for ref, home in self.homes.own.items() if home and home != ref)
        return next((issue.text for issue in wrong), next(moved, None))

    def put(self, puts: Sequence[Put]) -> list[Answer]:
        """What became of each resource, all of one type."""
        answers: dict[str, Answer] = {}
        ready = []
        for put in puts:
            try:
                ready.append(replace(put, resource=self.homes.out(put.resource)))
            except MissingError as missing:
                text = f"It refers to {missing}, which the target has not: push again when that one is there."
                answers[put.ref] = Answer(_DEPENDS, issues=(Issue("error", "not-found", text),))
        if ready:
            before = {put.ref: self.homes.own.get(put.ref) for put in ready}
            answers |= zip((put.ref for put in ready), self._sent(ready), strict=True)
            told = [put for put in puts if put.ref in before]
            answers |= self._read_back(told, answers)
            learned = {ref: home for ref in before if (home := self.homes.own.get(ref)) and home != before[ref]}
            self.journal.settle("study", learned)
        return [answers[put.ref] for put in puts]

    def finish(self) -> None:
        """Nothing: what was put is there."""

    def _sent(self, puts: Sequence[Put]) -> list[Answer]:
        """The answers to one bundle, or to its halves if it is refused whole."""
        there = set() if self._checks(puts[0].ref.partition("/")[0]) else self._there_by_now(puts)
        entries = [self._entry(put) for put in puts if put.ref not in there]
        again = not any(isinstance(entry, Post) and not entry.unless for entry in entries)
        said: list[Answer] = []
        try:
            if entries:
                bundle, refs = batch(entries, self.server.kind), [entry.ref for entry in entries]
                said = self.server.client.transact(bundle, refs, self.server.kind, idempotent=again)
        except RefusedError as refused:
            if refused.status not in HALVED:
                raise
            if len(puts) == 1:
                return [Answer(refused.status, issues=tuple(refused.issues))]
            middle = len(puts) // 2
            return self._sent(puts[:middle]) + self._sent(puts[middle:])
        except UnansweredError as lost:
            if again or not lost.sent:
                raise
            said = [Answer(None, issues=tuple(lost.issues)) for _ in entries]
        answers = iter(said)
        return [Answer(200) if put.ref in there else next(answers) for put in puts]

    def _there_by_now(self, puts: Sequence[Put]) -> set[str]:
        """Those of the new ones that the server has by now: from a bundle that it refused, or did not answer."""
        new = {put.ref: put.resource for put in puts if not self.homes.own.get(put.ref)}
        resource_type = puts[0].ref.partition("/")[0]
        lines = {ref.partition("/")[2]: line for ref, line in new.items()}
        found = self.look_up(resource_type, {name: line for name, line in lines.items() if identity(line, name)})
        return {f"{resource_type}/{name}" for name in found}

    def _entry(self, put: Put) -> Put | Post:
        """A resource as it is sent: to its place, or to be created."""
        kind, _, name = put.ref.partition("/")
        if home := self.homes.own.get(put.ref):
            return Put(home, with_id(put.resource, home.partition("/")[2]), put.version)
        key = identity(put.resource, name) if self._checks(kind) else None
        unless = f"identifier={quote(escaped(key[0]), safe=':/')}|{quote(escaped(key[1]), safe='/')}" if key else None
        return Post(f"{kind}/", with_id(put.resource, None), unless)

    def _read_back(self, puts: Sequence[Put], answers: Mapping[str, Answer]) -> dict[str, Answer]:
        """The answers, held against what the server has afterwards: exactly one of each, as it was put."""
        new = {put.ref for put in puts if not self.homes.own.get(put.ref)}
        for put in puts:
            answer = answers[put.ref]
            if put.ref in new and answer.ref and not answer.issues:
                self.homes.settle(put.ref, answer.ref)
        asked = [put for put in puts if not answers[put.ref].issues or answers[put.ref].status in (*STALE, None)]
        lines: dict[str, bytes | None] = {put.ref.partition("/")[2]: put.resource for put in asked}
        held: dict[str, bytes | Issue] = {}
        for some in chunks(list(lines.items()), LOOK_UP):
            held |= self.look_up(puts[0].ref.partition("/")[0], dict(some))
        return {put.ref: self._seen(put, answers[put.ref], put.ref in new, held) for put in asked}

    def _seen(self, put: Put, answer: Answer, new: bool, held: Mapping[str, bytes | Issue]) -> Answer:
        theirs = held.get(put.ref.partition("/")[2])
        if isinstance(theirs, Issue):
            return replace(answer, issues=(theirs,))
        found = seen(put, answer, self.base, theirs)
        if new and answer.status == 200 and any(issue.severity == "error" for issue in found.issues) and theirs:
            text = "The target has it by now, with other content: push again to see what differs."
            return replace(found, issues=(Issue("error", "conflict", text),))
        return found

    def _checks(self, resource_type: str) -> bool:
        """Whether the server itself sees to it that nothing of a type is created twice."""
        return self._conditional and self._asked.get(resource_type, "identifier") == "identifier"

    def _having(
        self, resource_type: str, names: Mapping[Identity, str], lines: Sequence[bytes]
    ) -> Iterator[tuple[str, bytes]]:
        """The server's resources, by their ids, among which are all that have one of the identifiers."""
        asked = self._asked.setdefault(resource_type, "identifier")
        try:
            for search in self._searches(asked, names, lines) if names else ():
                yield from self.server.search(resource_type, search).items()
        except IssueError as error:
            refused = isinstance(error, RefusedError) and error.status == 400
            known = refused or any(issue.code == "not-supported" for issue in error.issues)
            if not known or asked == "all" or resource_type == "Patient":  # nobody wants all Patients of a hospital
                raise
            self._asked[resource_type] = _NEXT[asked]
            yield from self._having(resource_type, names, lines)

    def _searches(
        self, asked: Asked, names: Mapping[Identity, str], lines: Sequence[bytes]
    ) -> Iterator[dict[str, str]]:
        if asked == "identifier":
            value = ",".join(f"{escaped(system)}|{escaped(value)}" for system, value in names)
            yield {"identifier": value, "_count": str(2 * len(names))}
            return
        meant = {ref for line in lines for ref in references(line) if ref.startswith("Patient/")}
        if asked == "all" or not meant:
            yield {"_count": "200"}
            return
        for some in chunks(sorted({home for ref in meant if (home := self.homes.at(ref))}), _PATIENTS):
            yield {"subject": ",".join(some), "_count": "200"}

    def _home(self, resource_type: str, name: str) -> str:
        """The server's id of a resource, as far as it is known."""
        return (self.homes.own.get(f"{resource_type}/{name}") or "").partition("/")[2]

    def _by_id(self, resource_type: str, ids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """What is not found by its identifier, but was there: it lost that, or the server's index is behind."""
        if ids:
            yield from self.server.look_up(resource_type, ids).items()


def _doubled(ref: str, theirs: Sequence[str]) -> Issue:
    text = f"The target has {len(theirs)} of {ref}, where one is due ({', '.join(sorted(theirs))}): nothing is sent. "
    return Issue("error", "duplicate", f"{text}Take the identifier from all but one, or delete them, and push again.")


def _unknown(ref: str, *, left: bool) -> Issue:
    if not left:
        text = "It has no identifier of the study, by which this server could be asked for it: not sent."
        return Issue("error", "not-supported", text)
    text = f"Nobody can know whether {ref} is at the target: a push died while sending it, and its row has left the "
    return Issue("error", "incomplete", f"{text}study since. Put the row back, push, and remove it again.")
