"""Where a pull comes from: a server or a folder, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path

from fhir_ivig.fhir.capability import check_release, examine, software
from fhir_ivig.fhir.client import Client, RefusedError
from fhir_ivig.fhir.folder import Folder
from fhir_ivig.fhir.retry import Pace
from fhir_ivig.fhir.server import ServerSettings, connect, read_server, server_settings
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.study.study import Study


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of a server before anything is pulled: its and FHIR's versions, and its time, an instant.

    `base` is its address, where its resources are in a folder (a bulk export). It is asked for so many resources a
    `page`, over so many `connections`.
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    time: str | None = None
    base: str | None = None
    page: int = 200
    connections: int = 1


NOWHERE = Origin()


def server_of(study: Study) -> ServerSettings | None:
    """The server that a study.yaml names; IssueError with every problem of it, at its line."""
    return read_server(study.server, study.path) if study.server else None


def named(study: Study, given: str | None, option: str) -> str | ServerSettings:
    """The server or folder that a person gave with `option`, else the study's server; IssueError without both."""
    found = server_of(study) if given is None else given
    if found is None:
        text = f"Say {option}, or name a server under `server:` in {study.path.name}."
        raise IssueError(Issue("fatal", "required", text, study.path.name))
    return found


def open_source(source: str | Path | ServerSettings | Client | Folder, token: str | None = None) -> Client | Folder:
    """The server or folder that `source` means: an address, a server.yaml, or a path. A bearer `token` stands in
    place of what the environment or the server.yaml says."""
    if isinstance(source, (Client, Folder)):
        return source
    settings = server_settings(source)
    return connect(settings, token) if settings else Folder(Path(str(source)))


def ask_server(store: Client | Folder, version: str, settings: ServerSettings | None = None) -> Origin:
    """What a server says of itself; nothing where it refuses to, as some do. By that, its `settings` are completed,
    and the store uses so many connections; without settings, as many as it did.

    IssueError if it is no FHIR server, or speaks another FHIR version than the study's (`R4`, `R4B`, `R5`).
    """
    if isinstance(store, Folder):
        return NOWHERE
    try:
        reply = store.transport.ask("GET", "metadata")
    except RefusedError:
        use = settings or ServerSettings(store.gate.base)
        return Origin(page=use.page, connections=min(use.connections, store.transport.pace.limit))
    statement = store.statement(reply)
    check_release(statement, version, store.gate.base)
    versions = {"fhir": str(statement.get("fhirVersion") or ""), "server": software(statement)}
    use = examine(statement, settings or ServerSettings(store.gate.base)).settings
    if settings:
        store.transport.pace = Pace(use.connections)
    return Origin(
        {name: text for name, text in versions.items() if text},
        _instant(reply.headers.get("Date")),
        page=use.page,
        connections=min(use.connections, store.transport.pace.limit),
    )


def _instant(header: str | None) -> str | None:
    """An HTTP date (RFC 9110, 5.6.7) as an instant."""
    try:
        return parsedate_to_datetime(header or "").isoformat()
    except ValueError:
        return None
