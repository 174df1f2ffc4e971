"""The two ends between which the proxy is tried: a tiny FHIR-like server, and plain clients."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

PAGES = 3
SECRET = {"Authorization": "Bearer t0ken"}
BATCH = (
    '{"resourceType":"Bundle","type":"batch-response","entry":['
    '{"response":{"status":"201 Created","location":"Patient/1","etag":"1"}},'
    '{"response":{"status":"200 OK","location":"Patient/2"}},'
    '{"response":{"status":"200 OK","location":"Patient/3"}}]}'
)


class Upstream(ThreadingHTTPServer):
    """`received` are method, path, headers and body of every request; `base` is the FHIR base address.

    GET `Patient?page=n` is a search page with a link to the next, POST to the base a batch, `$export` the start of a
    bulk export, `chunked` an answer in chunks, `cut` one that breaks off; anything else comes back as it was sent.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[tuple[str, str, dict[str, str], bytes]] = []
        self.base = f"http://127.0.0.1:{self.server_port}/fhir"


class _Handler(BaseHTTPRequestHandler):
    server: Upstream

    def do_GET(self) -> None:
        base, body = self.server.base, self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.received.append((self.command, self.path, dict(self.headers), body))
        parts = urlsplit(self.path)
        match parts.path.removeprefix("/fhir").strip("/"):
            case "Patient":
                self.answer(200, _page(base, int(parse_qs(parts.query)["page"][0])))
            case "":
                self.answer(200, BATCH)
            case "$export":
                links = {"Content-Location": f"{base}/status/1", "Location": base, "Link": f"<{base}/a>; rel=self"}
                self.answer(202, "", **links)
            case "chunked":
                self.answer(
                    200,
                    '5;x=y\r\n{"a":\r\n5\r\n10.50\r\n1\r\n}\r\n0\r\nX: y\r\n\r\n',
                    **{"Transfer-Encoding": "chunked"},
                )
            case "cut":
                self.answer(200, "{}", **{"Content-Length": "9"})
                self.close_connection = True
            case _:
                self.answer(200, body.decode(), **{"Content-Type": self.headers.get("Content-Type", "text/plain")})

    do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815

    def answer(self, status: int, body: str, **headers: str) -> None:
        self.send_response(status)
        framing = {} if "Transfer-Encoding" in headers else {"Content-Length": str(len(body.encode()))}
        for name, value in ({"Content-Type": "application/fhir+json"} | framing | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _page(base: str, number: int) -> str:
    links = [{"relation": "self", "url": f"{base}/Patient?page={number}"}]
    if number < PAGES:
        links.append({"relation": "next", "url": f"{base}/Patient?page={number + 1}"})
    entry = f'{{"resource":{{"resourceType":"Patient","id":"{number}","x":10.50}}}}'
    start = f'{{"resourceType":"Bundle","type":"searchset","total":{PAGES}'
    return f'{start},"link":{json.dumps(links)},"entry":[{entry}]}}'


@contextmanager
def upstream() -> Iterator[Upstream]:
    """The server, for as long as the block."""
    with Upstream() as made:
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield made
        made.shutdown()


def ask(method: str, url: str, **kwargs: Any) -> requests.Response:
    """The answer to a request with a token, redirects not followed."""
    return requests.request(method, url, headers=SECRET, allow_redirects=False, timeout=5, **kwargs)


def on_the_wire(url: str) -> bytes:
    """All bytes of the answer to a GET, until the server closes."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port or 80), 5) as connection:
        connection.sendall(
            f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
        return b"".join(iter(lambda: connection.recv(4096), b""))


def ids(base: str, limit: int = 10) -> list[str]:
    """The ids that a client finds who follows the next links."""
    found: list[str] = []
    url: str | None = f"{base}/Patient?page=1"
    while url is not None and limit:
        page, limit = ask("GET", url).json(), limit - 1
        found += [entry["resource"]["id"] for entry in page["entry"]]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    return found


def locations(answer: requests.Response) -> list[str]:
    """The ids that the answer to a batch names, in order."""
    return [entry["response"]["location"][-1] for entry in answer.json()["entry"]]
