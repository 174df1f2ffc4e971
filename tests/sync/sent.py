"""A folder of resources sent to a server or into a folder, with a journal beside it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from fhir_ivig.fhir.client import Client
from fhir_ivig.fhir.folder import Folder
from fhir_ivig.sync.journal import Journal, journal_path
from fhir_ivig.sync.plan import plan
from fhir_ivig.sync.push import apply
from fhir_ivig.sync.sending import Pushed
from fhir_ivig.sync.server import Server


def send(
    source: Path,
    target: str | Path,
    *,
    entries: int = 50,
    size: int = 1 << 20,
    progress: Callable[[str, int, int], None] | None = None,
) -> Pushed:
    """All of `source`; what an earlier call sent and it has no more is not looked at."""
    store = Folder(target) if isinstance(target, Path) else Server(Client(target), "batch", entries, size)
    with closing(Journal.open(journal_path(source.parent, str(target)), {"target": str(target)})) as journal:
        return apply(plan(source, store, journal=journal, left=False), store, journal, progress=progress)
