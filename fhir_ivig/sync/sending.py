"""A plan on its way: batch after batch into the journal, to the target, into the journal, into the counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from fhir_ivig.fhir.bundle import Answer, Put
from fhir_ivig.fhir.client import RefusedError
from fhir_ivig.fhir.compare import fingerprint
from fhir_ivig.issue import Issue, IssueError, failed
from fhir_ivig.sync.items import Item
from fhir_ivig.sync.journal import Entry, Journal
from fhir_ivig.sync.plan import AHEAD, Plan, Target

UNKNOWN = Entry("failed")  # what the journal knows of a resource that was never there
Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Pushed:
    """How many resources were created, updated, unchanged (not sent), failed, in conflict (not overwritten), and
    withdrawn (marked: they left the study); `left` counts those that left and were not marked.

    `stored` are the versions, by `Type/id`, of those that were sent and are there; None where nobody asked for them.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    conflicts: int = 0
    withdrawn: int = 0
    left: int = 0
    stored: dict[str, str | None] | None = None
    issues: list[Issue] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A batch on its way: its resources, their hashes, what the journal knew of them, and the answers to come."""

    group: Sequence[Item]
    hashes: Sequence[bytes]
    before: Mapping[str, Entry]
    answers: Future[list[Answer]]


class Sending:
    """Batch after batch: into the journal, to the target, into the journal, into the counts."""

    def __init__(
        self, made: Plan, store: Target, journal: Journal, pushed: Pushed, progress: Progress | None
    ) -> None:
        self.made, self.store, self.journal, self.pushed, self.progress = made, store, journal, pushed, progress
        self.outcomes: dict[str, Entry] = {}
        self.wanted, self.done, self.withdraw = made.counts()["create"] + made.counts()["update"], 0, False

    def all(self, groups: Iterable[Sequence[Item]], connections: int) -> None:
        """All batches; those of one type are there before the next type begins. IssueError if the target is lost."""
        under_way: deque[_Sent] = deque()
        with ThreadPoolExecutor(connections) as pool:
            try:
                for group in groups:
                    other = under_way and under_way[0].group[0].resource_type != group[0].resource_type
                    while under_way and (other or len(under_way) == AHEAD * connections):
                        self.settle(under_way.popleft())
                    under_way.append(self.begin(group, pool))
                while under_way:
                    self.settle(under_way.popleft())
            except IssueError:
                for sent in under_way:
                    with suppress(IssueError):
                        self.settle(sent)
                raise

    def begin(self, group: Sequence[Item], pool: Executor) -> _Sent:
        steps = self.made.steps
        puts = [Put(i.ref, i.line, steps[i.ref].version if i.ref in steps else None) for i in group]
        hashes = [fingerprint(item.line, self.store.base) for item in group]
        before = self.journal.entries(item.ref for item in group)
        known = [before.get(item.ref, UNKNOWN) for item in group]
        sent = [Entry("sent", k.hash, k.version, ours) for k, ours in zip(known, hashes, strict=True)]
        self.journal.write({item.ref: entry for item, entry in zip(group, sent, strict=True)})
        return _Sent(group, hashes, before, pool.submit(self.put, puts))

    def put(self, puts: Sequence[Put]) -> list[Answer]:
        """The answers; those of a batch whose answer makes no sense are an Issue for each of its resources."""
        try:
            return self.store.put(puts)
        except IssueError as error:
            if isinstance(error, RefusedError) or any(issue.severity == "fatal" for issue in error.issues):
                raise
            return [Answer(None, issues=tuple(error.issues)) for _ in puts]

    def settle(self, sent: _Sent) -> None:
        answers = sent.answers.result()
        for item, answer in zip(sent.group, answers, strict=True):
            self.count(item, answer)
        self.done += 0 if self.withdraw else len(sent.group)
        self.outcomes |= {
            item.ref: _outcome(answer, ours, sent.before.get(item.ref, UNKNOWN), self.withdraw)
            for item, answer, ours in zip(sent.group, answers, sent.hashes, strict=True)
        }
        if self.store.at_once:
            self.note()
        if self.progress and not self.withdraw:
            self.progress(sent.group[0].resource_type, self.done, self.wanted)

    def note(self) -> None:
        """The outcomes into the journal."""
        self.journal.write(self.outcomes)
        self.outcomes = {}

    def count(self, item: Item, answer: Answer) -> None:
        pushed = self.pushed
        place = {"file": item.file, "row": item.row} if item.row else {}
        pushed.issues += [issue.at(**place) for issue in answer.issues]
        if failed(answer.issues):
            if answer.status in (409, 412) and item.ref in self.made.steps:
                pushed.conflicts += 1
            else:
                pushed.failed += 1
            return
        if pushed.stored is not None:
            pushed.stored[item.ref] = answer.version
        if self.withdraw:
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
