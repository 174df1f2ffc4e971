"""Real FHIR servers for tests: each a process of its own on a free loopback port, built when it is not yet.

A server is shared by all who name the same run folder (the workers of one test run) and ends with the last of them,
however that one ends: everyone holds the writing end of the pipe that is the server's standard input, and the server
ends when its input does.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import requests

from fhir_ivig.sync.sandbox import sandbox

HERE = Path(__file__).parent
START_SECONDS = 300.0  # HAPI R5 on a busy machine; 40 on an idle one
JAVA = ("-XX:TieredStopAtLevel=1", "-XX:+UseParallelGC", "-Xms256m")  # the first halves the start-up
HOW_TO_GET = {
    "java": "a Java runtime, 17 or later (Debian: apt-get install openjdk-17-jdk-headless)",
    "mvn": "Maven (Debian: apt-get install maven)",
    "node": "Node.js, 20.19 or later",
    "npm": "npm, which comes with Node.js",
}


class MissingError(Exception):
    """A program that a server needs is not on this machine; the text says which, and how to get it."""


@dataclass(frozen=True)
class Server:
    name: str
    folder: Path
    sources: tuple[str, ...]  # what it is built from, in its folder
    build: tuple[str, ...]
    stamp: str  # a file in its folder that says when it was last built whole
    command: Callable[[Path, int], list[str]]  # from the run's folder for it, and the port


@contextmanager
def sekmet() -> Iterator[str]:
    """The base address of sekmet (R4), the server of the sandbox; one process for each who asks. Or MissingError."""
    if importlib.util.find_spec("sekmet") is None:
        raise MissingError('the test server sekmet is missing: pip install "fhir-ivig[sandbox]"')
    with sandbox() as base:
        yield base


@contextmanager
def hapi(
    version: Literal["R4", "R5"], run: Path | None = None, *, client_ids: bool = True, heap: str = "1g"
) -> Iterator[str]:
    """The base address of a HAPI FHIR JPA server, in-memory; `run` is where it runs and who shares it. Without
    `client_ids` it gives every resource an id itself, and refuses a PUT to one that it has not given. All that it
    holds is in its `heap`.

    MissingError, or RuntimeError with the last lines of its log when it cannot be built or does not start.
    """
    folder = HERE / "hapi"

    def command(home: Path, port: int) -> list[str]:
        ids = "ALPHANUMERIC" if client_ids else "NOT_ALLOWED"
        options = [f"--port={port}", f"--fhir={version.lower()}", f"--fhir.client-ids={ids}"]
        return [
            "java",
            *JAVA,
            f"-Xmx{heap}",
            f"-Djava.io.tmpdir={home}",
            "-jar",
            str(folder / "target/hapi.jar"),
            *options,
        ]

    build = ("mvn", "-q", "-B", "package")
    name = f"hapi-{version}" if client_ids else f"hapi-{version}-own-ids"
    server = Server(name, folder, ("pom.xml", "src/**/*.java"), build, "target/.built", command)
    with _running(server, run) as base:
        yield base


@contextmanager
def medplum(run: Path | None = None) -> Iterator[str]:
    """The base address of Medplum's FHIR router (R4) with its memory repository; otherwise as `hapi`."""
    folder = HERE / "medplum"

    def command(_: Path, port: int) -> list[str]:
        return ["node", "server.js", str(port)]

    build = ("npm", "ci", "--no-audit", "--no-fund")
    sources = ("package.json", "package-lock.json")
    with _running(Server("medplum", folder, sources, build, "node_modules/.built", command), run) as base:
        yield base


@contextmanager
def _running(server: Server, run: Path | None) -> Iterator[str]:
    if run is None:
        with (
            tempfile.TemporaryDirectory(prefix="fhir-server-", ignore_cleanup_errors=True) as own,
            _running(server, Path(own)) as base,
        ):
            yield base
        return
    home = run / server.name
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home):
        _build(server, home)
        held = _join(home)
        if held is None:
            held = _start(server, home)
    try:
        yield (home / "address").read_text()
    finally:
        os.close(held)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _build(server: Server, home: Path) -> None:
    """Builds it, once among all processes, when it was never built or its sources are newer."""
    sources = [file for pattern in server.sources for file in server.folder.glob(pattern)]
    stamp = server.folder / server.stamp
    with _locked(sources[0]):
        if stamp.exists() and stamp.stat().st_mtime >= max(file.stat().st_mtime for file in sources):
            return
        _need(server, server.build[0])
        log = home / "build.log"
        with log.open("wb") as out:
            command = [*server.build]
            done = subprocess.run(command, cwd=server.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        if done.returncode:
            raise RuntimeError(f"{server.name} could not be built: {_end_of(log)}")
        stamp.touch()


def _need(server: Server, program: str) -> None:
    if shutil.which(program) is None:
        raise MissingError(f"the test server {server.name} needs {program}, which is missing: {HOW_TO_GET[program]}")


def _join(home: Path) -> int | None:
    """The end of the pipe that keeps the running server alive; None when none runs or it is about to end."""
    try:
        held = os.open(home / "input", os.O_WRONLY | os.O_NONBLOCK)  # refused when no server reads it
    except OSError:
        return None
    if _answers((home / "address").read_text()):
        return held
    os.close(held)
    return None


def _start(server: Server, home: Path) -> int:
    """Starts it, waits until it answers, and gives the end of the pipe that keeps it alive."""
    pipe, port = home / "input", _free_port()
    base = f"http://127.0.0.1:{port}/fhir"
    command = server.command(home, port)
    _need(server, command[0])
    if not pipe.exists():
        os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # opening would wait for a writer otherwise
    held = os.open(pipe, os.O_WRONLY)
    os.set_blocking(reading, True)
    log = home / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=server.folder, stdin=reading, stdout=out, stderr=out)
    os.close(reading)
    try:
        _wait_for(server, process, base, log)
    except BaseException:
        os.close(held)
        process.kill()
        process.wait()
        raise
    threading.Thread(target=process.wait, daemon=True).start()  # who started it need not be who ends it
    (home / "address").write_text(base)
    return held


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(server: Server, process: subprocess.Popen[bytes], base: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(base):
            return
        time.sleep(0.1)
    raise RuntimeError(f"{server.name} did not start (exit code {process.poll()}): {_end_of(log)}")


def _answers(base: str) -> bool:
    """Within a minute: HAPI makes its first CapabilityStatement when it is asked for it."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            return session.get(f"{base}/metadata", timeout=60).ok
        except requests.RequestException:
            return False


def _end_of(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").splitlines()
    return "\n".join([f"the end of {log}:", *lines[-30:]])
