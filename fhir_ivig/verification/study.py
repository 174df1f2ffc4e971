"""A study held against a hospital's record, wherever that is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fhir_ivig.study.steady import steady
from fhir_ivig.study.study import Study
from fhir_ivig.verification.compare import compare
from fhir_ivig.verification.difference import Verification
from fhir_ivig.verification.record import record_of

if TYPE_CHECKING:
    from fhir_ivig.fhir.client import Client
    from fhir_ivig.fhir.server import ServerSettings


def diff_study(
    study: Study,
    against: str | Path | ServerSettings | Client,
    *,
    incomplete: bool = False,
    links: str | Path | None = None,
    token: str | None = None,
    progress: Callable[..., None] | None = None,
) -> Verification:
    """A study's own tables held against a hospital's record, cell by cell.

    `against` is a folder of tables, as `pull` writes them, or what is pulled first into a temporary folder: a server
    (its base URL, a server.yaml, a `Client`) or a folder of FHIR; `links` and `token` as `pull` has them. IssueError
    for another study's record, for one that is not known to be complete, unless `incomplete`, and for tables that are
    written meanwhile.
    """
    with record_of(study, against, incomplete=incomplete, links=links, token=token, progress=progress) as record:
        with steady(study), steady(record.study):
            found = compare(study, record.study, record.named, record.passing, record.carried)
        found.issues[:0] = record.issues
        return found
