"""HTTP/1.1 messages as plain data, read from and written to asyncio streams (RFC 9112)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import responses

# What holds for one connection only, or is worked out anew for every message.
_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
_FRAMING = _HOP | {"content-length"}
_BODILESS = {204, 304}


@dataclass(frozen=True, slots=True)
class Request:
    """`path` is path and query as sent; header names are in lower case, values of the same name joined by a comma."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, and how it goes over the wire.

    With `until`, only so many of its bytes (head and body; negative: all but so many) are sent, and the connection
    is closed. With `piece`, it goes out so many bytes at a time, with `pause` seconds after each.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    until: int | None = None
    piece: int | None = None
    pause: float = 0.0


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection, or nothing when the client has closed it."""
    if reader.at_eof():
        return None
    try:
        start, headers = await _read_head(reader)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    method, path, _ = start.split(" ", 2)
    return Request(method, path, headers, await _read_body(reader, headers, b""))


async def read_response(reader: asyncio.StreamReader, method: str) -> Response:
    """The whole answer to a request; IncompleteReadError when it is cut off."""
    start, headers = await _read_head(reader)
    status = int(start.split(" ", 2)[1])
    if method == "HEAD" or status in _BODILESS:
        return Response(status, headers)
    return Response(status, headers, await _read_body(reader, headers, None))


async def send(writer: asyncio.StreamWriter, response: Response) -> None:
    """Writes an answer as it says."""
    headers = _framed(response.headers, response.body)
    if response.status in _BODILESS:
        del headers["content-length"]
    start = f"HTTP/1.1 {response.status} {responses.get(response.status, '')}"
    message = (_head(start, headers) + response.body)[: response.until]
    piece = response.piece or max(1, len(message))
    for at in range(0, len(message), piece):
        writer.write(message[at : at + piece])
        await writer.drain()
        await asyncio.sleep(response.pause)


def forwardable(request: Request, host: str) -> bytes:
    """A request as a server gets it from the proxy: to its own host, one a connection, the answer not compressed."""
    own = {"host": host, "accept-encoding": "identity", "connection": "close"}
    headers = _framed(request.headers, request.body) | own
    return _head(f"{request.method} {request.path} HTTP/1.1", headers) + request.body


def _framed(headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    kept = {name: value for name, value in headers.items() if name not in _FRAMING}
    return {**kept, "content-length": str(len(body))}


def _head(start: str, headers: Mapping[str, str]) -> bytes:
    lines = [start, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip("\r\n").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        key, value = name.lower(), value.strip()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return start, headers


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str], unframed: bytes | None) -> bytes:
    """The body by its length or its chunks; without either `unframed`, or where that is None all until the end."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return await _read_chunks(reader)
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    return await reader.read() if unframed is None else unframed


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers say nothing that matters here
    return b"".join(parts)
