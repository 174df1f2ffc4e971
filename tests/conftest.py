"""What tests share: an empty FHIR server of their own, and a server that answers what a case tells it to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from fhir_ivig.sync.sandbox import sandbox

pytest_plugins = ["servers.fixtures", "servers.smart"]


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The base address of a real FHIR server; what a test puts there stays for the session."""
    with sandbox() as base:
        yield base


class Scripted(ThreadingHTTPServer):
    """Gives its answers in order (the last one again and again) and keeps the requests it got.

    An answer is `{status, headers, body, longer}`: `longer` promises so many bytes more than it sends. `{base}` in
    headers and body is this server's FHIR base.
    """

    daemon_threads = True

    def __init__(self, answers: list[dict[str, Any]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.base = f"http://127.0.0.1:{self.server_port}/fhir"


class _Handler(BaseHTTPRequestHandler):
    server: Scripted

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answers, number = self.server.answers, len(self.server.requests)
        self.server.requests.append((self.command, self.path, dict(self.headers), body))
        answer = answers[min(number, len(answers) - 1)]
        text = answer.get("body", "").replace("{base}", self.server.base).encode()
        self.send_response(answer.get("status", 200))
        self.send_header("Content-Length", str(len(text) + answer.get("longer", 0)))
        for name, value in {"Content-Type": "application/fhir+json", **answer.get("headers", {})}.items():
            self.send_header(name, str(value).replace("{base}", self.server.base))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def scripted() -> Iterator[Callable[[list[dict[str, Any]]], Scripted]]:
    """Starts scripted servers, and ends them with the test."""
    started: list[Scripted] = []

    def start(answers: list[dict[str, Any]]) -> Scripted:
        made = Scripted(answers)
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        started.append(made)
        return made

    yield start
    for made in started:
        made.shutdown()
        made.server_close()
