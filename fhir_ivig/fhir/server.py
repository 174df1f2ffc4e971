"""From what a person gave as source or target to a client for that server."""

from __future__ import annotations

import os
from pathlib import Path

from fhir_ivig.fhir.address import is_address
from fhir_ivig.fhir.auth import Auth, Bearer
from fhir_ivig.fhir.client import Client, Habits
from fhir_ivig.fhir.gate import Gate
from fhir_ivig.fhir.secret import Secret
from fhir_ivig.fhir.settings import ServerSettings, known_of, read_server
from fhir_ivig.fhir.smart import BackendServices
from fhir_ivig.fhir.transport import Transport
from fhir_ivig.fhir.wire import Wire
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.yamltext import load

__all__ = ["ServerSettings", "connect", "read_server", "server_settings"]

TOKEN = "FHIR_IVIG_TOKEN"  # noqa: S105 (the variable's name)


def server_settings(given: str | Path | ServerSettings, preset: str | None = None) -> ServerSettings | None:
    """The settings behind what a person gave as source or target: a base address, or the path of a server.yaml
    (`.yaml` or `.yml`) or of a file with a `server:` block, such as a study.yaml; None for anything else, which is a
    folder. Settings are what they are.

    For an address alone, a bearer token is taken from the environment variable FHIR_IVIG_TOKEN. IssueError with
    every problem of a server.yaml, or for what looks like an address and is none.
    """
    if isinstance(given, ServerSettings):
        return given
    if str(given).lower().endswith((".yaml", ".yml")) and "://" not in str(given):
        root = load(Path(given))
        keys = root.value if root.kind == "mapping" else {}
        if "tables" in keys and "server" not in keys:
            text = "This is a study that names no server: put one under `server:`, or give an address."
            raise IssueError(Issue("fatal", "required", text, str(given)))
        return read_server(keys.get("server") or root, Path(given))
    if not is_address(str(given)):
        return None
    auth = Secret("env", TOKEN) if os.environ.get(TOKEN) else None
    Gate.of(str(given))
    return ServerSettings(str(given), auth=auth, **known_of(preset or "generic"))


def connect(settings: ServerSettings, token: str | None = None) -> Client:
    """A client for the server; secrets are read now. IssueError if one, or a certificate, cannot be.

    A bearer `token` stands in place of the settings' `auth`, which is not looked at then.
    """
    gate = Gate.of(settings.base, insecure_http=settings.insecure_http)
    wire = Wire(
        (settings.connect_seconds, settings.answer_seconds),
        settings.ca_file,
        settings.client_certificate,
        settings.client_key,
        settings.proxy,
    )
    auth: Auth | None = None
    if token is not None:
        auth = Bearer(lambda: token)
    elif isinstance(settings.auth, Secret):
        auth = Bearer(settings.auth.read)
    elif settings.auth:
        auth = BackendServices(gate, wire, settings.auth)
    transport = Transport(
        gate,
        wire,
        auth,
        {name: value.read() if isinstance(value, Secret) else value for name, value in settings.headers.items()},
        connections=settings.connections,
        deadline=settings.deadline_seconds,
        gzip_requests=settings.gzip_requests,
    )
    habits = Habits(settings.parameters, settings.strict, settings.search_by_get, settings.lower_case_paths)
    return Client(transport, habits=habits)
