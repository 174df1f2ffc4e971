"""A proxy on loopback that stands between a client and a FHIR server and does wrong what it is told to."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType
from urllib.parse import urlsplit

from faults.fault import Call, Fault, Kind, MisfitError
from faults.kinds import KINDS
from faults.wire import Request, Response, forwardable, read_request, read_response, send

Answer = Callable[[Request], Awaitable[Response]]
START_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class When:
    """Which requests a fault strikes: of those with this method ("": any) whose path and query match the regular
    expression `path` (searched, so a plain part of them does), the `nth` and on, so many `times` (None: for ever)."""

    method: str = ""
    path: str = ""
    nth: int = 1
    times: int | None = 1


@dataclass(slots=True)
class Seen:
    """A request that came, and what came of it.

    `forwarded` is whether it reached the server. `status` is what the client was told, None while that is under way
    and when the connection closes without a word. `faults` are the kinds that struck.
    """

    request: Request
    forwarded: bool = False
    status: int | None = None
    faults: list[Kind] = field(default_factory=list)


@dataclass(slots=True)
class _Rule:
    fault: Fault
    when: When
    matched: int = 0
    struck: bool = False

    def strikes(self, request: Request) -> bool:
        when = self.when
        if when.method not in ("", request.method) or not re.search(when.path, request.path):
            return False
        self.matched += 1
        return when.nth <= self.matched and (when.times is None or self.matched < when.nth + when.times)


class FaultProxy:
    """Forwards everything to the server at `upstream` (http, loopback) and answers as it did, until told otherwise.

    A context manager: it listens within the block, in a thread of its own. `url` is the base address for the client;
    the server's own address in headers and JSON bodies becomes the proxy's, so that links lead through it. `log` has
    every request, in order. `elsewhere` is the base address of another origin (another port), which answers all with
    an empty searchset; `elsewhere_log` has what it got.
    """

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream.rstrip("/"))
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._own = re.compile(re.escape(f"{parts.scheme}://{parts.netloc}") + r"(?![0-9])")
        self._own_bytes = re.compile(self._own.pattern.encode())
        self.log: list[Seen] = []
        self.elsewhere_log: list[Request] = []
        self._rules: list[_Rule] = []
        self._kept: dict[str, Callable[[], Response]] = {}
        self._sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self._origin, self._other = (f"http://127.0.0.1:{each.getsockname()[1]}" for each in self._sockets)
        self.url, self.elsewhere = self._origin + parts.path, self._other + parts.path
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        assert self._started.wait(START_SECONDS), "the fault proxy did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def inject(self, fault: Fault, when: When = When()) -> None:
        """From now on `fault` strikes `when`; of two that strike one request, the later is nearer to the client."""
        self._rules.append(_Rule(fault, when))

    @property
    def idle(self) -> list[Fault]:
        """The faults that struck nothing so far: their time did not come, or the answer was none that they fit."""
        return [rule.fault for rule in self._rules if not rule.struck]

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        first, second = self._sockets
        self._server = await asyncio.start_server(partial(_serve, self._answer), sock=first)
        other = await asyncio.start_server(partial(_serve, self._answer_elsewhere), sock=second)
        self._started.set()
        await self._stop.wait()
        self._server.close()
        other.close()  # what is still under way is cancelled with the loop

    async def _answer_elsewhere(self, request: Request) -> Response:
        self.elsewhere_log.append(request)
        body = b'{"resourceType":"Bundle","type":"searchset","total":0}'
        return Response(200, {"content-type": "application/fhir+json"}, body)

    async def _answer(self, request: Request) -> Response:
        seen = Seen(request)
        self.log.append(seen)
        ask: Answer = partial(self._forward, seen)
        for rule in [rule for rule in self._rules if rule.strikes(request)]:
            ask = partial(self._strike, rule, seen, ask)
        answer = await ask(request)
        seen.status = None if answer.until == 0 else answer.status
        return answer

    async def _strike(self, rule: _Rule, seen: Seen, ask: Answer, request: Request) -> Response:
        call = Call(request, ask, self.url, self.elsewhere, self._keep, self._shut)
        try:
            answer = await KINDS[rule.fault.kind].act(rule.fault, call)
        except MisfitError as misfit:
            return misfit.answer
        rule.struck = True
        seen.faults.append(rule.fault.kind)
        return answer

    async def _forward(self, seen: Seen, request: Request) -> Response:
        """The server's answer, or none where the server gave none."""
        if request.path in self._kept:
            return self._kept[request.path]()
        try:
            reader, writer = await asyncio.open_connection(self._host, self._port)
            try:
                seen.forwarded = True
                writer.write(forwardable(request, f"{self._host}:{self._port}"))
                await writer.drain()
                return self._readdressed(await read_response(reader, request.method))
            finally:
                writer.close()
        except (OSError, asyncio.IncompleteReadError):
            return Response(502, until=0)

    def _readdressed(self, answer: Response) -> Response:
        headers = {name: self._own.sub(self._origin, value) for name, value in answer.headers.items()}
        if "json" not in headers.get("content-type", ""):
            return replace(answer, headers=headers)
        return replace(answer, headers=headers, body=self._own_bytes.sub(self._origin.encode(), answer.body))

    def _keep(self, make: Callable[[], Response]) -> str:
        url = f"{self.url}?_fault_page={len(self._kept) + 1}"
        self._kept[url.removeprefix(self._origin)] = make
        return url

    def _shut(self, seconds: float) -> None:
        if self._server.is_serving():
            self._server.close()
            self._reopening = self._loop.create_task(self._reopen(seconds))

    async def _reopen(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        port = urlsplit(self._origin).port
        self._server = await asyncio.start_server(partial(_serve, self._answer), "127.0.0.1", port)


async def _serve(answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection: requests and answers in turn, until the client or an answer ends it."""
    try:
        while request := await read_request(reader):
            response = await answer(request)
            await send(writer, response)
            if response.until is not None or request.headers.get("connection", "").lower() == "close":
                return
    except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
        pass  # the client left, or the proxy ends
    finally:
        writer.close()
