"""A FHIR server as the target of a push: every resource is put at its own id, then read back.

Where the server chooses the ids, `assigned.Assigned` stands before it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from fhir_ivig.fhir.bundle import Answer, Put, batch, head
from fhir_ivig.fhir.capability import check_release, examine
from fhir_ivig.fhir.client import Client, RefusedError
from fhir_ivig.fhir.compare import Comparison, UnreadableError, compare
from fhir_ivig.fhir.compare import version as version_of
from fhir_ivig.fhir.retry import Pace
from fhir_ivig.fhir.server import ServerSettings, connect
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.sync.items import LOOK_UP, chunks

# A whole batch refused with one of these may hold one bad entry; servers that cannot parse a value answer so.
HALVED = {400, 409, 412, 413, 422, 500}
STALE = (409, 412)  # the version that was to be replaced is not the server's
DIGITS_LOST = (
    "the server returns decimals with other digits than were sent (10.50 as 10.5): their precision is lost there"
)


class Server:
    """A server that is sent bundles of a `kind` (a batch, or a transaction where the server takes it back as a
    whole), so many `entries` and about so many `size` bytes each, over so many `connections` at once."""

    at_once = True

    def __init__(
        self,
        client: Client,
        kind: str = "batch",
        entries: int = 50,
        size: int = 1 << 20,
        connections: int = 1,
        strategy: str = "client-id",
    ) -> None:
        self.client, self.kind, self.base, self.strategy = client, kind, client.gate.base, strategy
        self.entries, self.size, self.connections = entries, size, connections
        self._totals = True  # whether it takes _total
        self._on_one_page = True  # whether it gives all that is looked up on one page, and keeps nothing for others

    def look_up(self, resource_type: str, ids: Collection[str]) -> dict[str, bytes]:
        """Those of the resources that the server has, by id. IssueError as `search`."""
        return self.search(resource_type, _by_id(ids), most=len(ids))

    def search(self, resource_type: str, wanted: Mapping[str, str], most: int | None = None) -> dict[str, bytes]:
        """The resources that a search finds, by id; no more than `most` can match. IssueError if the server gives
        fewer than it says it has: what is held back would be taken for new, and overwritten or doubled."""
        if most and self._on_one_page:
            with suppress(RefusedError):
                found, total = self._counted(resource_type, wanted, most)
                if len(found) >= (most if total is None else total):
                    return found
            self._on_one_page = False  # its pages are shorter, or it minds being asked so
        found, total = self._counted(resource_type, wanted)
        if len(found) < (total or 0):
            text = f"the server has {total} {resource_type} of those asked for and gave {len(found)}: push again"
            raise IssueError(Issue("error", "incomplete", text))
        return found

    def _counted(
        self, resource_type: str, wanted: Mapping[str, str], most: int | None = None
    ) -> tuple[dict[str, bytes], int | None]:
        """What a search finds, and how much the server says it has, where it takes `_total`."""
        total = {"_total": "accurate"} if self._totals else {}
        try:
            return self._found(resource_type, {**wanted, **total}, most)
        except RefusedError as refused:
            if not total or refused.status != 400:
                raise
            found = self._found(resource_type, wanted, most)  # refused again, it is something else that it minds
            self._totals = False
            return found

    def _found(
        self, resource_type: str, asked: Mapping[str, str], most: int | None
    ) -> tuple[dict[str, bytes], int | None]:
        found: dict[str, bytes] = {}
        total = None
        for page in self.client.search(resource_type, asked, most=most):
            found |= {head(resource).id or "": resource for resource in page.matches}
            total = total if page.total is None else max(total or 0, page.total)
        return found, total

    def put(self, puts: Sequence[Put]) -> list[Answer]:
        """What became of each resource, all of one type: sent as one bundle, or as halves if it is refused whole."""
        try:
            answers = self.client.transact(batch(puts, self.kind), [put.ref for put in puts], self.kind)
        except RefusedError as refused:
            if refused.status not in HALVED:
                raise
            if len(puts) == 1:
                return self._read_back(puts, [Answer(refused.status, issues=tuple(refused.issues))])
            middle = len(puts) // 2
            return self.put(puts[:middle]) + self.put(puts[middle:])
        return self._read_back(puts, answers)

    def finish(self) -> None:
        """Nothing: what was put is there."""

    def _read_back(self, puts: Sequence[Put], answers: Sequence[Answer]) -> list[Answer]:
        """The answers, with an Issue where the server does not hold what it said it stored; and without one where it
        has it though it refuses the version: then an earlier attempt, the answer of which was lost, stored it."""
        resource_type = puts[0].ref.partition("/")[0]
        stored = [
            put.ref.partition("/")[2]
            for put, answer in zip(puts, answers, strict=True)
            if not answer.issues or answer.status in STALE
        ]
        held: dict[str, bytes] = {}
        for some in chunks(stored, LOOK_UP):
            held |= self._stored(resource_type, some)
        return [
            seen(put, answer, self.base, held.get(put.ref.partition("/")[2]))
            if not answer.issues or answer.status in STALE
            else answer
            for put, answer in zip(puts, answers, strict=True)
        ]

    def _stored(self, resource_type: str, ids: Sequence[str]) -> dict[str, bytes]:
        """As `look_up`, of what should be there: nothing is to be counted if it is."""
        if self._on_one_page:
            with suppress(RefusedError):
                found, _ = self._found(resource_type, _by_id(ids), len(ids))
                if found.keys() >= set(ids):
                    return found
        return self.look_up(resource_type, ids)


def _by_id(ids: Collection[str]) -> dict[str, str]:
    return {"_id": ",".join(ids), "_count": str(len(ids))}


def open_server(settings: ServerSettings, version: str | None, token: str | None = None) -> Server:
    """The server, treated as it says of itself, as is known of its kind, and as its server.yaml wants it.

    A bearer `token` stands for what the settings say of one. IssueError if it is no FHIR server, speaks another FHIR
    version than `version` (R4, R4B, R5; any if None).
    """
    client = connect(settings, token)
    statement = client.capability()
    if version:
        check_release(statement, version, settings.base)
    use = examine(statement, settings).settings
    client.transport.pace = Pace(use.connections)
    return Server(client, use.bundle, use.batch_entries, use.batch_bytes, use.connections, use.strategy)


def seen(put: Put, answer: Answer, base: str, held: bytes | None) -> Answer:
    """What is true of an answer: nothing is wrong if the server `held` afterwards what was put, whatever it said."""
    if held is None:
        text = "the server said it stored the resource, but does not return it"
        return answer if answer.issues else replace(answer, issues=(Issue("error", "incomplete", text),))
    try:
        found = compare(put.resource, held, base)
    except UnreadableError:
        found = Comparison({put.ref.partition("/")[0]: (put.resource, held)})
    if answer.issues and found.content:
        return answer
    text = "the server stored something else than was sent: does it support this element?"
    altered = [Issue("error", "processing", text, path=path) for path in sorted(found.content)]
    lost = [Issue("warning", "value", DIGITS_LOST)] * bool(found.digits)
    return replace(answer, version=version_of(held) or answer.version, issues=tuple(altered or lost))
