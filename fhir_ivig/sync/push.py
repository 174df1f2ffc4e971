"""Send a folder of resources to a FHIR server or another folder; sending twice is sending once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fhir_ivig.fhir.address import is_address
from fhir_ivig.fhir.bundle import batch, head, put_entry
from fhir_ivig.fhir.client import Client, RefusedError
from fhir_ivig.fhir.compare import compare
from fhir_ivig.fhir.files import read_blocks
from fhir_ivig.fhir.folder import Folder
from fhir_ivig.issue import Issue, IssueError, failed
from fhir_ivig.sync.plan import LOOK_UP, Item, Plan, Target, chunks, plan, read_items

BATCH_ENTRIES = 50
BATCH_BYTES = 1 << 20
# A whole batch refused with one of these may hold one bad entry; servers that cannot parse a value answer so.
_HALVED = {400, 409, 412, 413, 422, 500}
DIGITS_LOST = (
    "the server returns decimals with other digits than were sent (10.50 as 10.5): their precision is lost there"
)


@dataclass(slots=True)
class Pushed:
    """How many resources were created, updated, unchanged (not sent) and failed; together, all in the source."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    issues: list[Issue] = field(default_factory=list)


class Server:
    """A FHIR server as the target of a push: every resource is put at its own id, then read back."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def look_up(self, resource_type: str, ids: Sequence[str]) -> dict[str, bytes]:
        """Those of the resources that the server has, by id."""
        found: dict[str, bytes] = {}
        for page in self.client.search(resource_type, {"_id": ",".join(ids), "_count": str(len(ids))}):
            found |= {head(resource).id or "": resource for resource in page.matches}
        return found

    def put(self, resources: Sequence[tuple[str, bytes]]) -> list[list[Issue]]:
        """The Issues of each resource, all of one type: sent as one batch, or as halves if it is refused whole."""
        try:
            entries = [put_entry(ref, resource) for ref, resource in resources]
            answers = self.client.transact(batch(entries), [ref for ref, _ in resources])
        except RefusedError as refused:
            if refused.status not in _HALVED:
                raise
            if len(resources) == 1:
                return [refused.issues]
            middle = len(resources) // 2
            return self.put(resources[:middle]) + self.put(resources[middle:])
        return [list(said.issues) or read for said, read in zip(answers, self._read_back(resources), strict=True)]

    def finish(self) -> None:
        """Nothing: what was put is there."""

    def _read_back(self, resources: Sequence[tuple[str, bytes]]) -> list[list[Issue]]:
        """What the server does not hold as it was sent."""
        resource_type = resources[0][0].partition("/")[0]
        held: dict[str, bytes] = {}
        for some in chunks([ref.partition("/")[2] for ref, _ in resources], LOOK_UP):
            held |= self.look_up(resource_type, some)
        return [self._difference(resource, held.get(ref.partition("/")[2])) for ref, resource in resources]

    def _difference(self, sent: bytes, held: bytes | None) -> list[Issue]:
        if held is None:
            return [Issue("error", "incomplete", "the server said it stored the resource, but does not return it")]
        found = compare(sent, held, self.client.gate.base)
        text = "the server stored something else than was sent: does it support this element?"
        altered = [Issue("error", "processing", text, path=path) for path in sorted(found.content)]
        return altered or [Issue("warning", "value", DIGITS_LOST)] * bool(found.digits)


def push(
    source: Path,
    target: str | Path | Client,
    *,
    token: str | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
    batch_entries: int = BATCH_ENTRIES,
    batch_bytes: int = BATCH_BYTES,
) -> Pushed:
    """Sends every FHIR resource below `source` (a folder of NDJSON, each resource with its own id) to `target`.

    `target` is a FHIR base address (with its bearer `token`), a `Client`, or a folder, which is merged into.
    Resources go in the order of their references, at most `batch_entries` and about `batch_bytes` at a time; what
    the target already holds is not sent. `on_progress` is told the resource type, how many of the plan's resources
    are sent, and of how many. Every resource that failed has an Issue with its file and row; when the target cannot
    be reached or refuses everything, the rest counts as failed. IssueError when nothing could be begun, or a target
    folder not written.
    """
    store, base = _open(target, token)
    made = plan(source, store, base)
    pushed = Pushed(unchanged=made.count("unchanged"), failed=made.count("refused") + made.unsent, issues=made.issues)
    wanted = made.count("create") + made.count("update")
    done = 0
    try:
        for group in _batches(_to_send(made), batch_entries, batch_bytes):
            for item, said in zip(group, _put(store, group), strict=True):
                _count(pushed, made, item, said)
            done += len(group)
            if on_progress:
                on_progress(group[0].resource_type, done, wanted)
    except IssueError as error:
        text = f"{wanted - done} resources were not sent, or the server did not say so: push again"
        pushed.issues += [*error.issues, Issue("error", "incomplete", text)]
        pushed.failed += wanted - done
    store.finish()
    pushed.issues = _warned_once(pushed.issues)
    return pushed


def _open(target: str | Path | Client, token: str | None) -> tuple[Target, str]:
    if isinstance(target, str) and is_address(target):
        target = Client(target, token)
    return (Server(target), target.gate.base) if isinstance(target, Client) else (Folder(Path(target)), "")


def _put(store: Target, group: Sequence[Item]) -> list[list[Issue]]:
    """The Issues of each resource; a batch whose answer makes no sense is an Issue for each of its resources."""
    try:
        return store.put([(item.ref, item.line) for item in group])
    except IssueError as error:
        if isinstance(error, RefusedError) or any(issue.severity == "fatal" for issue in error.issues):
            raise
        return [error.issues for _ in group]


def _count(pushed: Pushed, made: Plan, item: Item, said: Sequence[Issue]) -> None:
    pushed.issues += [issue.at(file=item.file, row=item.row) for issue in said]
    if failed(said):
        pushed.failed += 1
    elif made.states[item.ref] == "create":
        pushed.created += 1
    else:
        pushed.updated += 1


def _warned_once(issues: Sequence[Issue]) -> list[Issue]:
    """The same warning for many resources said once, at the first of them."""
    times = Counter(issue.text for issue in issues if issue.severity == "warning")
    first = {issue.text: issue for issue in reversed(issues) if times[issue.text] > 1}
    many = [issue.at(text=f"{issue.text} (so for {times[issue.text]} resources)") for issue in first.values()]
    return [issue for issue in issues if issue.text not in first] + many


def _to_send(made: Plan) -> Iterator[Item]:
    for resource_type in (kind for wave in made.waves for kind in wave):
        for block in read_blocks(made.files[resource_type]):
            for item in read_items(block):
                if item.resource_type == resource_type and made.states.get(item.ref) in ("create", "update"):
                    yield item


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
