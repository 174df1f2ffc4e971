"""`manifest.json`: what a pull asked for, what it was promised and what it got, for people and for the next pull."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fhir_ivig.fhir.client import Client
from fhir_ivig.fhir.folder import Folder
from fhir_ivig.issue import many
from fhir_ivig.sync.receiving import Pulled
from fhir_ivig.sync.source import Origin

if TYPE_CHECKING:
    from fhir_ivig.sync.search import Search

_PERSONAL = ("identifier", "_id")  # parameters whose values name persons


def describe(store: Client | Folder, searches: Sequence[Search], pulled: Pulled, server: Origin) -> dict[str, Any]:
    """The manifest of a pull; `complete` is for whoever computes from it. It names no person."""
    return {
        "complete": pulled.complete,
        "source": store.gate.base if isinstance(store, Client) else server.base or str(store.path),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "server_time": pulled.server_time,
        "versions": {"fhir-ivig": version("fhir-ivig"), **server.versions},
        "asked": [shown(search) for search in searches],
        "expected": dict(pulled.expected),
        "received": dict(pulled.received),
        "duplicates": pulled.duplicates,
        "refused": pulled.refused,
        "failed": list(dict.fromkeys(pulled.failed)),
        "issues": [issue.as_dict() for issue in pulled.issues],
    }


def shown(search: Search) -> dict[str, Any]:
    """A search for the manifest, without the values that name persons."""
    return {
        "type": search.resource_type,
        "parameters": {name: _without_names(name, value) for name, value in search.parameters.items()},
        **({"subjects": search.subjects} if search.subjects else {}),
        **({search.any_of: f"{many(len(search.values), 'value')}"} if search.any_of else {}),
    }


def _without_names(name: str, value: str | Sequence[str]) -> str:
    text = value if isinstance(value, str) else " and ".join(value)
    if name not in _PERSONAL:
        return text
    return ",".join(dict.fromkeys(f"{part.partition('|')[0]}|" for part in text.split(",")))
