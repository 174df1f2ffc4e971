"""Send a folder of resources to a FHIR server or another folder; sending twice is sending once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fhir_ivig.fhir.address import is_address
from fhir_ivig.fhir.bundle import Answer, Put
from fhir_ivig.fhir.client import Client, RefusedError
from fhir_ivig.fhir.compare import fingerprint
from fhir_ivig.fhir.files import read_blocks
from fhir_ivig.fhir.folder import Folder
from fhir_ivig.issue import Issue, IssueError, failed
from fhir_ivig.sync.journal import Entry, Journal
from fhir_ivig.sync.plan import Item, Plan, Target, plan, read_items
from fhir_ivig.sync.server import Server
from fhir_ivig.sync.steps import State

BATCH_ENTRIES = 50
BATCH_BYTES = 1 << 20
UNKNOWN = Entry("failed")  # what the journal knows of a resource that was never there
CHANGED = (
    "changed at the target since it was sent, and not overwritten: see `plan`, then --take ours={ref} or theirs="
)
DELETED = "deleted at the target since it was sent, and not sent again: say --take ours={ref} to send it, or theirs="
NO_MARK = "left the study, but R4 has no way to mark a {kind} as entered in error: {ref} stays as it is at the target"
Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Pushed:
    """How many resources were created, updated, unchanged (not sent), failed, in conflict (not overwritten), and
    withdrawn (marked: they left the study); `left` counts those that left and were not marked."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    conflicts: int = 0
    withdrawn: int = 0
    left: int = 0
    issues: list[Issue] = field(default_factory=list)


def push(
    source: Path,
    target: str | Path | Client,
    *,
    token: str | None = None,
    on_progress: Progress | None = None,
    batch_entries: int = BATCH_ENTRIES,
    batch_bytes: int = BATCH_BYTES,
) -> Pushed:
    """Sends every FHIR resource below `source` (a folder of NDJSON, each resource with its own id) to `target`.

    `target` is a FHIR base address (with its bearer `token`), a `Client`, or a folder, which is merged into. It is
    made equal to the source: without a journal nobody knows what others changed there (see `push_study`).

    Resources go in the order of their references, at most `batch_entries` and about `batch_bytes` at a time; what
    the target already holds is not sent. `on_progress` is told the resource type, how many of the plan's resources
    are sent, and of how many. Every resource that failed has an Issue with its file and row; when the target cannot
    be reached or refuses everything, the rest counts as failed. IssueError when nothing could be begun, or a target
    folder not written.
    """
    store = open_target(target, token)
    made = plan(source, store)
    return apply(made, store, on_progress=on_progress, batch_entries=batch_entries, batch_bytes=batch_bytes)


def open_target(target: str | Path | Client, token: str | None = None) -> Target:
    """A FHIR base address, a client, or a folder, as the target of a push."""
    if isinstance(target, str) and is_address(target):
        target = Client(target, token)
    return Server(target) if isinstance(target, Client) else Folder(Path(target))


def apply(
    made: Plan,
    store: Target,
    journal: Journal | None = None,
    *,
    withdraw: bool = False,
    on_progress: Progress | None = None,
    batch_entries: int = BATCH_ENTRIES,
    batch_bytes: int = BATCH_BYTES,
) -> Pushed:
    """Does what a plan says, and notes it in the journal: the intent before each request, the outcome after it.

    What left the study is marked only with `withdraw`.
    """
    counts = made.counts()
    pushed = Pushed(
        unchanged=counts["unchanged"],
        failed=counts["refused"] + made.unsent,
        conflicts=counts["conflict"],
        left=counts["left"],
        issues=[*made.issues, *_said(made)],
    )
    if journal:
        journal.write(made.adopted)
    wanted = counts["create"] + counts["update"]
    sending = _Sending(made, store, journal, pushed)
    try:
        for group in _batches(_to_send(made), batch_entries, batch_bytes):
            sending.group(group)
            if on_progress:
                on_progress(group[0].resource_type, sending.done, wanted)
        if withdraw:
            for group in _batches(_to_withdraw(made), batch_entries, batch_bytes):
                sending.group(group, withdraw=True)
    except IssueError as error:
        text = f"{wanted - sending.done} resources were not sent, or the server did not say so: push again"
        pushed.issues += [*error.issues, Issue("error", "incomplete", text)]
        pushed.failed += wanted - sending.done
    store.finish()
    pushed.issues = _warned_once(pushed.issues)
    return pushed


class _Sending:
    """Batch after batch: to the target, into the journal, into the counts."""

    def __init__(self, made: Plan, store: Target, journal: Journal | None, pushed: Pushed) -> None:
        self.made, self.store, self.journal, self.pushed = made, store, journal, pushed
        self.done = 0

    def group(self, group: Sequence[Item], withdraw: bool = False) -> None:
        steps = self.made.steps
        puts = [Put(i.ref, i.line, steps[i.ref].version if i.ref in steps else None) for i in group]
        hashes = [fingerprint(item.line, self.store.base) for item in group] if self.journal else []
        before = self.journal.entries(item.ref for item in group) if self.journal else {}
        if self.journal:
            intents = {}
            for item, ours in zip(group, hashes, strict=True):
                known = before.get(item.ref, UNKNOWN)
                intents[item.ref] = Entry("sent", known.hash, known.version, ours)
            self.journal.write(intents)
        answers = self._put(puts)
        self.done += len(group) * (not withdraw)
        outcomes = {}
        for place, (item, answer) in enumerate(zip(group, answers, strict=True)):
            self.count(item, answer, withdraw)
            if self.journal:
                outcomes[item.ref] = _outcome(answer, hashes[place], before.get(item.ref, UNKNOWN), withdraw)
        if self.journal:
            self.journal.write(outcomes)

    def _put(self, puts: Sequence[Put]) -> list[Answer]:
        """The answers; those of a batch whose answer makes no sense are an Issue for each of its resources."""
        try:
            return self.store.put(puts)
        except IssueError as error:
            if isinstance(error, RefusedError) or any(issue.severity == "fatal" for issue in error.issues):
                raise
            return [Answer(None, issues=tuple(error.issues)) for _ in puts]

    def count(self, item: Item, answer: Answer, withdraw: bool) -> None:
        pushed = self.pushed
        place = {"file": item.file, "row": item.row} if item.row else {}
        pushed.issues += [issue.at(**place) for issue in answer.issues]
        if failed(answer.issues):
            if answer.status in (409, 412) and item.ref in self.made.steps:
                pushed.conflicts += 1
            else:
                pushed.failed += 1
        elif withdraw:
            pushed.withdrawn += 1
            pushed.left -= 1
        elif self.made.states[item.ref] == "create":
            pushed.created += 1
        else:
            pushed.updated += 1


def _outcome(answer: Answer, ours: bytes, before: Entry, withdraw: bool) -> Entry:
    """What the journal knows after an answer: what was refused is there as it was."""
    if not failed(answer.issues):
        return Entry("withdrawn" if withdraw else "confirmed", ours, answer.version)
    code = answer.issues[0].code
    if answer.status is None or 200 <= answer.status < 300:  # it may be there all the same
        return Entry("sent", before.hash, before.version, ours, code)
    return Entry("failed", before.hash, before.version, code=code)


def _said(made: Plan) -> Iterator[Issue]:
    """An Issue for each conflict, and for each resource that left the study and cannot be marked."""
    for ref, step in made.steps.items():
        file, row = made.places.get(ref, (None, None))
        if step.state == "conflict":
            what = "changed" if step.before else "deleted"
            text = f"{ref} was {what} at the target since it was sent, and was not overwritten: "
            text += f"see `plan`, then push with --take ours={ref} or --take theirs={ref}."
            yield Issue("error", "conflict", text, file, row)
        elif step.state == "left" and step.mark is None:
            kind = ref.partition("/")[0]
            text = f"{ref} left the study, but R4 has no way to mark a {kind} as entered in error: it stays as it is."
            yield Issue("warning", "not-supported", text)


def _warned_once(issues: Sequence[Issue]) -> list[Issue]:
    """The same warning for many resources said once, at the first of them."""
    times = Counter(issue.text for issue in issues if issue.severity == "warning")
    first = {issue.text: issue for issue in reversed(issues) if times[issue.text] > 1}
    many = [issue.at(text=f"{issue.text} (so for {times[issue.text]} resources)") for issue in first.values()]
    return [issue for issue in issues if issue.text not in first] + many


def _to_send(made: Plan) -> Iterator[Item]:
    wanted: tuple[State, ...] = ("create", "update")
    for resource_type in (kind for wave in made.waves for kind in wave):
        for block in read_blocks(made.files[resource_type]):
            for item in read_items(block):
                if item.resource_type == resource_type and made.states.get(item.ref) in wanted:
                    yield item


def _to_withdraw(made: Plan) -> Iterator[Item]:
    """What left the study, as it will be marked, in the reverse order of the references."""
    order = {kind: place for place, kind in enumerate(kind for wave in made.waves for kind in wave)}
    marks = [(ref, step.mark) for ref, step in made.steps.items() if step.state == "left" and step.mark]
    for ref, mark in sorted(marks, key=lambda each: (-order.get(each[0].partition("/")[0], 0), each[0])):
        kind, _, name = ref.partition("/")
        yield Item(kind, name, mark, "", 0)


def _batches(items: Iterable[Item], entries: int, size: int) -> Iterator[list[Item]]:
    """Runs of one resource type, of at most so many entries and bytes (a larger resource goes alone)."""
    group: list[Item] = []
    held = 0
    for item in items:
        full = len(group) == entries or held + len(item.line) > size
        if group and (full or group[0].resource_type != item.resource_type):
            yield group
            group, held = [], 0
        group.append(item)
        held += len(item.line)
    if group:
        yield group
