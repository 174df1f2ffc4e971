"""A plan carried out at a FHIR server or in a folder; sending twice is sending once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fhir_ivig.fhir.files import read_blocks
from fhir_ivig.fhir.folder import Folder
from fhir_ivig.fhir.server import ServerSettings, server_settings
from fhir_ivig.issue import Issue, IssueError, many
from fhir_ivig.sync.items import Item, read_items
from fhir_ivig.sync.journal import CONFLICTS, Journal
from fhir_ivig.sync.plan import Plan, Target
from fhir_ivig.sync.sending import Progress, Pushed, Sending
from fhir_ivig.sync.server import Server, open_server
from fhir_ivig.sync.steps import State


def open_target(
    target: str | Path | ServerSettings, token: str | None = None, version: str | None = None
) -> Server | Folder:
    """A FHIR base address (with its bearer `token`, else that of the environment), a server.yaml, or a folder, as the
    target of a push of FHIR `version`. IssueError as `server.open_server`."""
    if settings := server_settings(target):
        return open_server(settings, version, token)
    folder = Path(str(target))
    if folder.exists() and not folder.is_dir():
        text = "the folder cannot be written (it is a file): choose another"
        raise IssueError(Issue("fatal", "no-store", text, str(target)))
    return Folder(folder)


def apply(
    made: Plan,
    store: Target,
    journal: Journal,
    *,
    withdraw: bool = False,
    versions: bool = False,
    progress: Progress | None = None,
) -> Pushed:
    """Does what a plan says, and notes it in the journal: the intent before each request, the outcome after it.

    So many batches of one resource type are under way at once as the target has connections. What left the study is
    marked only with `withdraw`. The `versions` of all that was stored are kept only if asked for.
    """
    counts = made.counts()
    pushed = Pushed(
        unchanged=counts["unchanged"],
        failed=counts["refused"] + made.unsent,
        conflicts=counts["conflict"],
        left=counts["left"],
        stored={} if versions else None,
        issues=[*made.issues, *_said(made)],
    )
    journal.write(made.adopted)
    journal.remember(CONFLICTS, str(pushed.conflicts))
    sending = Sending(made, store, journal, pushed, progress)
    try:
        sending.all(_batches(_to_send(made), store.entries, store.size), store.connections)
        if withdraw:
            sending.withdraw = True
            sending.all(_batches(_to_withdraw(made), store.entries, store.size), store.connections)
    except IssueError as error:
        lost = sending.wanted - sending.done
        text = many(lost, "resource was", "resources were")
        text += " not sent, or the server did not say so: push again"
        pushed.issues += [*error.issues, Issue("error", "incomplete", text)]
        pushed.failed += lost
    store.finish()
    try:
        sending.note()
        journal.remember(CONFLICTS, str(pushed.conflicts))
    except IssueError as error:
        pushed.issues += [issue for issue in error.issues if issue not in pushed.issues]
    pushed.issues = _warned_once(pushed.issues)
    return pushed


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
            text = f"{ref} left the study, but nothing in a {kind} could say that it was entered in error: it stays."
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
