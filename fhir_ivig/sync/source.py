"""Where a pull comes from: a server or a folder, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path

import msgspec

from fhir_ivig.fhir.address import is_address
from fhir_ivig.fhir.client import Client, RefusedError
from fhir_ivig.fhir.folder import Folder
from fhir_ivig.fhir.server import connect, server_settings
from fhir_ivig.issue import Issue, IssueError

_VERSIONS = {"R4": ("4.0",), "R4B": ("4.1", "4.3"), "R5": ("5.0",)}  # https://hl7.org/fhir/versions.html


@dataclass(frozen=True, slots=True)
class Server:
    """What is known of a server before anything is pulled: its and FHIR's versions, and its time, an instant.

    `base` is its address, where its resources are in a folder (a bulk export).
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    time: str | None = None
    base: str | None = None


NOWHERE = Server()


class _Software(msgspec.Struct):
    name: str = ""
    version: str = ""


class _Statement(msgspec.Struct):
    resourceType: str  # noqa: N815 (the element's name)
    fhirVersion: str = ""  # noqa: N815
    software: _Software = msgspec.field(default_factory=_Software)


def open_source(source: str | Path | Client | Folder, token: str | None = None) -> Client | Folder:
    """The server or folder that `source` means: an address (with its bearer `token`), a server.yaml, or a path."""
    if isinstance(source, (Client, Folder)):
        return source
    if isinstance(source, str) and token is not None and is_address(source):
        return Client(source, token)
    settings = server_settings(source)
    return connect(settings) if settings else Folder(Path(source))


def ask_server(store: Client | Folder, version: str) -> Server:
    """What a server says of itself; nothing where it refuses to, as some do.

    IssueError if it is no FHIR server, or speaks another FHIR version than the study's (`R4`, `R4B`, `R5`).
    """
    if isinstance(store, Folder):
        return NOWHERE
    try:
        reply = store.ask("GET", "metadata")
        try:
            statement = msgspec.json.decode(reply.body, type=_Statement)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            store.capability()  # says what is wrong with it, if it is not this reading alone
            return Server({}, _instant(reply.headers.get("Date")))
    except RefusedError:
        return NOWHERE
    if statement.resourceType != "CapabilityStatement":
        store.capability()
    if statement.fhirVersion and not statement.fhirVersion.startswith(_VERSIONS[version]):
        said = f"The server speaks FHIR {statement.fhirVersion} and the study {version}: "
        raise IssueError(Issue("fatal", "not-supported", f"{said}give --fhir-version, or another address."))
    software = f"{statement.software.name} {statement.software.version}".strip()
    versions = {"fhir": statement.fhirVersion, "server": software}
    return Server({name: text for name, text in versions.items() if text}, _instant(reply.headers.get("Date")))


def _instant(header: str | None) -> str | None:
    """An HTTP date (RFC 9110, 5.6.7) as an instant."""
    try:
        return parsedate_to_datetime(header or "").isoformat()
    except ValueError:
        return None
