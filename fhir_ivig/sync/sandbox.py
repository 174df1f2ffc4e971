"""A small FHIR R4 server of one's own, for trying things and for tests: sekmet in a child process, on loopback."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fhir_ivig.fhir.client import Client
from fhir_ivig.issue import Issue, IssueError

START_SECONDS = 60.0


@contextmanager
def sandbox() -> Iterator[str]:
    """The base address of an empty server, which ends with the block and leaves nothing behind.

    It forgets trailing zeros of decimals and cannot search AdverseEvent, ResearchStudy and ResearchSubject except by
    `_id`. IssueError when it is not installed or does not start.
    """
    if importlib.util.find_spec("sekmet") is None:
        text = 'the sandbox server is not installed: pip install "fhir-ivig[sandbox]"'
        raise IssueError(Issue("fatal", "not-found", text))
    with tempfile.TemporaryDirectory(prefix="fhir-ivig-sandbox-") as folder:
        base = f"http://127.0.0.1:{_free_port()}/fhir"
        process = _start(Path(folder), base)
        try:
            _wait_for(process, base)
            yield base
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(folder: Path, base: str) -> subprocess.Popen[bytes]:
    """Without its simulator, which answers a MedicationRequest with resources of its own making."""
    port = int(base.rpartition(":")[2].partition("/")[0])
    settings = {
        "base_url": base,
        "host": "127.0.0.1",
        "port": port,
        "data_dir": str(folder),
        "simulator": {"enabled": False},
        "log_inbound": False,
    }
    file = folder / "settings.yaml"
    file.write_text(json.dumps(settings))  # JSON is YAML
    command = [sys.executable, "-m", "sekmet.cli", "serve", "-c", str(file)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SEKMET_")}
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 (our own interpreter and settings)
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


def _wait_for(process: subprocess.Popen[bytes], base: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    port = int(base.rpartition(":")[2].partition("/")[0])
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.05)
        else:
            Client(base).capability()
            return
    raise IssueError(Issue("fatal", "exception", "the sandbox server did not start: is its installation whole?"))
