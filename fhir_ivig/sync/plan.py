"""What sending a folder of resources would do: held against the target and the journal, nothing written."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fhir_ivig.fhir.bundle import Answer, Put
from fhir_ivig.fhir.files import read_blocks
from fhir_ivig.fhir.lines import Block
from fhir_ivig.issue import Issue, IssueError, many
from fhir_ivig.sync.items import LOOK_UP, Item, chunks, read_items
from fhir_ivig.sync.journal import Entry, Journal
from fhir_ivig.sync.linking import Linking
from fhir_ivig.sync.steps import State, Step, Take, step_of, step_of_left
from fhir_ivig.sync.waves import waves

AHEAD = 2  # begun for each connection, so that none waits for what is done with the answers
_REFERENCE = re.compile(rb'"reference"\s*:\s*"(([A-Z][A-Za-z]+)/[^"]*)"')


class Target(Protocol):
    """Where resources are sent: a server or a folder. `base` is what stands before `Type/id` in its references; it
    takes so many `entries` and about so many `size` bytes at a time, over so many `connections`. What was put is
    there `at_once`, or when all is finished."""

    base: str
    entries: int
    size: int
    connections: int
    at_once: bool

    def look_up(self, resource_type: str, wanted: Mapping[str, bytes | None], /) -> Mapping[str, bytes | Issue]:
        """What it holds of resources, by id; an Issue in place of what cannot be told. `wanted` are ours by id, None
        for what left the study."""

    def put(self, puts: Sequence[Put]) -> list[Answer]: ...

    def finish(self) -> None: ...


@dataclass(slots=True)
class Plan:
    """What is to be done with each resource, by `Type/id`.

    `steps` say more of those that are neither new nor unchanged. `places` are the files and rows of these and of the
    refused. `adopted` is what the journal does not know yet of unchanged ones. `waves` are the resource types in the
    order of sending: each refers only to types before it. `files` says which files hold a type. `unsent` counts the
    lines that stand for no state: no resource, or an id met before.
    """

    waves: list[list[str]] = field(default_factory=list)
    files: dict[str, list[str]] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    places: dict[str, tuple[str, int]] = field(default_factory=dict)
    adopted: dict[str, Entry] = field(default_factory=dict)
    unsent: int = 0
    issues: list[Issue] = field(default_factory=list)

    def counts(self) -> Counter[State]:
        """How many resources are in each state."""
        return Counter(self.states.values())


def plan(
    source: Path,
    target: Target,
    *,
    journal: Journal,
    take: Mapping[str, Take] | None = None,
    version: str = "R4",
    left: bool = True,
    linking: Linking | None = None,
) -> Plan:
    """The plan of sending every resource below `source` to `target`.

    What somebody else changed at the target since the `journal` knows it is a conflict, unless `take` says for its
    `Type/id` whose to take. What the journal knows and the source has no more has left the study (not looked for
    unless `left`); FHIR `version` says how that is marked. An id that occurs twice is refused wherever it stands:
    which of the two is meant cannot be known. Of `linking`, a linked Patient is not sent, nor whoever was refused,
    nor what refers to them. IssueError if `take` names another. Memory: the ids, one block.
    """
    with ThreadPoolExecutor(target.connections) as pool:
        planner = _Planner(target, journal, take or {}, version, linking or Linking(), pool)
        try:
            for block in read_blocks([source]):
                planner.block(block)
            planner.settle()
        finally:
            pool.shutdown(cancel_futures=True)
    if left:
        planner.left()
    planner.end()
    return planner.made


class _Planner:
    """A plan under way."""

    def __init__(
        self,
        target: Target,
        journal: Journal,
        take: Mapping[str, Take],
        version: str,
        linking: Linking,
        pool: Executor,
    ) -> None:
        self.target, self.journal, self.take, self.version = target, journal, take, version
        self.linking, self.pool = linking, pool
        self.under_way: deque[tuple[Sequence[Item], Future[Mapping[str, bytes | Issue]]]] = deque()
        self.made, self.needs = Plan(), dict[str, set[str]]()
        self.exact = False
        self.first_digits: Item | None = None

    def block(self, block: Block) -> None:
        made = self.made
        made.issues += block.issues
        for resource_type, items in _fresh(block, made).items():
            files = made.files.setdefault(resource_type, [])
            files += [] if block.file in files else [block.file]
            found = self.needs.setdefault(resource_type, set())
            for item in items:
                found.update(kind.decode() for _, kind in _REFERENCE.findall(item.line))
            for group in chunks([item for item in items if not self.aside(item)], LOOK_UP):
                made.states.update((item.ref, "create") for item in group)  # until more is known
                wanted = {item.id: item.line for item in group}
                self.under_way.append((group, self.pool.submit(self.target.look_up, resource_type, wanted)))
                self.settle(AHEAD * self.target.connections)

    def settle(self, ahead: int = 0) -> None:
        """What is looked up, held against ours, in the order of the source, until no more than so many are ahead."""
        while len(self.under_way) > ahead:
            group, answer = self.under_way.popleft()
            held, known = answer.result(), self.journal.entries(item.ref for item in group)
            for item in group:
                if self.made.states[item.ref] != "refused":  # its id was met again meanwhile
                    self.item(item, held.get(item.id), known)

    def aside(self, item: Item) -> bool:
        """Whether an item is not sent for a link: a Patient of the hospital, whom there is none for, or what is of
        such a one."""
        linking = self.linking
        if item.ref in linking.linked:
            self.made.states[item.ref] = "linked"
            return True
        issue = linking.refused.get(item.ref)
        if linking.refused and not issue:
            whom = {ref.decode() for ref, _ in _REFERENCE.findall(item.line)} & linking.refused.keys()
            said = "Its subject has no Patient at the target: not sent."
            issue = Issue("error", "not-found", said) if whom else None
        if issue:
            self.refuse(item, issue)
        return bool(issue)

    def refuse(self, item: Item, issue: Issue) -> None:
        self.made.states[item.ref] = "refused"
        self.made.places[item.ref] = item.file, item.row
        self.made.issues.append(issue.at(file=item.file, row=item.row))

    def item(self, item: Item, held: bytes | Issue | None, known: Mapping[str, Entry]) -> None:
        if isinstance(held, Issue):
            self.refuse(item, held)
            return
        ref = item.ref
        step = step_of(item.line, held, known.get(ref), self.target.base, self.take.get(ref))
        self.exact = self.exact or step.exact
        self.note(ref, step)
        if step.state not in ("create", "unchanged"):
            self.made.places[ref] = item.file, item.row
        if step.state == "digits":
            self.first_digits = self.first_digits or item

    def note(self, ref: str, step: Step) -> None:
        self.made.states[ref] = step.state
        if step.adopt:
            self.made.adopted[ref] = step.adopt
        if step.state not in ("create", "unchanged", "digits"):
            self.made.steps[ref] = step

    def left(self) -> None:
        """What is at the target of the study and in the study no more."""
        gone: dict[str, list[str]] = {}
        for ref in self.journal.refs("confirmed", "sent", "failed"):
            if self.made.states.get(ref) in (None, "linked"):  # linked by now: its own Patient is one too many
                gone.setdefault(ref.partition("/")[0], []).append(ref)
        for resource_type, refs in gone.items():
            for group in chunks(refs, LOOK_UP):
                held = self.target.look_up(resource_type, {ref.partition("/")[2]: None for ref in group})
                known = self.journal.entries(group)
                for ref in group:
                    theirs = held.get(ref.partition("/")[2])
                    if isinstance(theirs, Issue):
                        self.made.issues += [theirs] * (known[ref].state != "failed")  # that was never there
                        continue
                    named = known[ref], self.target.base, self.version, self.take.get(ref)
                    step = step_of_left(resource_type, theirs, *named)
                    if step and step.adopt:
                        self.made.adopted[ref] = step.adopt
                    elif step:
                        self.note(ref, step)

    def end(self) -> None:
        self.made.waves = waves(self.needs)
        if self.first_digits is not None:
            _settle_digits(self.made, self.exact, self.first_digits)
        text = "is named to be taken, but is no resource that this study sends or has sent. Nothing was sent."
        if unknown := sorted(self.take.keys() - self.made.states.keys() - self.made.adopted.keys()):
            raise IssueError(*(Issue("error", "not-found", f"{ref} {text}") for ref in unknown))


def _fresh(block: Block, made: Plan) -> dict[str, list[Item]]:
    """The block's resources by type, without those that cannot be sent or were met before."""
    fresh: dict[str, dict[str, Item]] = {}
    for item in read_items(block):
        if not item.id:
            made.unsent += 1
            text = "the line is no FHIR resource with a type and an id, so it cannot be sent"
            made.issues.append(Issue("error", "structure", text, item.file, item.row))
        elif item.ref in made.states or item.id in fresh.get(item.resource_type, {}):
            made.states[item.ref] = "refused"
            fresh.get(item.resource_type, {}).pop(item.id, None)
            made.unsent += 1
            text = "another resource of this type has the same id: none of them was sent, give each its own key"
            made.issues.append(Issue("error", "duplicate", text, item.file, item.row))
        else:
            fresh.setdefault(item.resource_type, {})[item.id] = item
    return {kind: list(found.values()) for kind, found in fresh.items()}


def _settle_digits(made: Plan, exact: bool, first: Item) -> None:
    """Resources that differ in digits only: changed here, if the target keeps digits; else the target lost them."""
    count = made.counts()["digits"]
    settled: State = "update" if exact else "unchanged"
    made.states = {ref: settled if state == "digits" else state for ref, state in made.states.items()}
    if not exact:
        text = (
            f"{many(count, 'resource differs', 'resources (first: this one) differ')} from the target's only in "
            "the digits of decimals, as 10.50 and 10.5; nothing shows that it keeps digits: taken as unchanged"
        )
        made.issues.append(Issue("warning", "value", text, file=first.file, row=first.row))
