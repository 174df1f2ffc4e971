"""The servers as fixtures: one process of each for a whole test run, shared by its workers.

Tests share what is in a server, so each keeps to identifiers of its own. A server that cannot be had on this machine
skips its tests and says what is missing; in continuous integration (CI is set) it fails them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest
import requests
from servers.processes import MissingError, hapi, medplum, sekmet
from servers.redcap import TOKEN, RedcapServer, redcap

from sample_bundles.redcap import FOLDER


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The temporary folder of the whole run; each worker of pytest-xdist has its own inside it."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def sekmet_url() -> Iterator[str]:
    """The base address of sekmet (R4)."""
    yield from _had(sekmet())


@pytest.fixture(scope="session")
def hapi_r4(run_folder: Path) -> Iterator[str]:
    """The base address of a HAPI FHIR JPA server with R4."""
    yield from _had(hapi("R4", run_folder))


@pytest.fixture(scope="session")
def hapi_r5(run_folder: Path) -> Iterator[str]:
    """The base address of a HAPI FHIR JPA server with R5."""
    yield from _had(hapi("R5", run_folder))


@pytest.fixture(scope="session")
def hapi_own_ids(run_folder: Path) -> Iterator[str]:
    """The base address of a HAPI FHIR JPA server with R4 that lets no client choose ids."""
    yield from _had(hapi("R4", run_folder, client_ids=False))


@pytest.fixture(scope="session")
def medplum_url(run_folder: Path) -> Iterator[str]:
    """The base address of Medplum's FHIR router (R4) with its memory repository."""
    yield from _had(medplum(run_folder))


@pytest.fixture(scope="module")
def own_medplum() -> Iterator[str]:
    """As `medplum_url`, used by one file of tests alone."""
    yield from _had(medplum())


@pytest.fixture
def empty_medplum(own_medplum: str) -> str:
    """As `medplum_url`, holding nothing: each of its searches looks at all that it holds."""
    requests.delete(own_medplum, timeout=60).raise_for_status()
    return own_medplum


@pytest.fixture
def redcap_project(monkeypatch: pytest.MonkeyPatch) -> Iterator[RedcapServer]:
    """A stand-in for REDCap with the sample as its project, its token in the environment."""
    monkeypatch.setenv("FHIR_IVIG_REDCAP_TOKEN", TOKEN)
    with redcap(FOLDER) as server:
        yield server


def _had(server: AbstractContextManager[str]) -> Iterator[str]:
    with ExitStack() as stack:
        try:
            base = stack.enter_context(server)
        except MissingError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(error))
        yield base
