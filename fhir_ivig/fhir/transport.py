"""A request to the one server: through the gate, with who we are, again if that may help, redirected by hand."""

from __future__ import annotations

import gzip
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from urllib.parse import urljoin

from fhir_ivig.fhir.auth import Auth, sendable
from fhir_ivig.fhir.bundle import outcome_issues
from fhir_ivig.fhir.gate import Gate
from fhir_ivig.fhir.retry import Pace, busy_answer, persist
from fhir_ivig.fhir.wire import Reply, Stream, Wire, origin
from fhir_ivig.issue import Code, Issue, IssueError

FHIR_JSON = "application/fhir+json"
DEADLINE = 600.0  # seconds for one request with all its attempts
REDIRECTS = 3
_REDIRECTED = {301, 302, 303, 307, 308}
_GZIP_FROM = 1024  # bytes; less is not worth it
_CODES: dict[int, Code] = {404: "not-found", 410: "not-found", 409: "conflict", 412: "conflict", 413: "too-long"}
_PERSON = re.compile(r"\b(Patient|Person|RelatedPerson)/[A-Za-z0-9\-.]+")
_TOKEN_VALUE = re.compile(r"\|[^\s,;'\"\])]+")


class RefusedError(IssueError):
    """The server understood the request and refused it; `status` is the HTTP status."""

    def __init__(self, status: int, *issues: Issue) -> None:
        super().__init__(*issues)
        self.status = status


class Transport:
    """Everything between a FHIR interaction and the wire, for one server and several threads.

    `headers` go with every request to the server's own origin; `deadline` is seconds for one request with all its
    attempts; with `gzip_requests`, bodies are sent compressed.
    """

    def __init__(
        self,
        gate: Gate,
        wire: Wire,
        auth: Auth | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        connections: int = 4,
        deadline: float = DEADLINE,
        gzip_requests: bool = False,
    ) -> None:
        self.gate, self.pace = gate, Pace(connections)
        self._wire, self._auth, self._deadline, self._gzip = wire, auth, deadline, gzip_requests
        self._headers = {name: sendable(value) for name, value in (headers or {}).items()}
        self._secrets = {value for value in self._headers.values() if len(value) > 3}

    def ask(
        self,
        method: str,
        link: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        idempotent: bool = True,
        hide: Collection[str] = (),
    ) -> Reply:
        """The answer, if it is a good one (2xx). `link` is relative to the base, or a link that the server gave.

        RefusedError for any other answer; UnansweredError when there was none after all attempts (what is not
        `idempotent` is tried again only if it cannot have arrived); IssueError for a link, redirect or answer that
        may not be taken. The server's words are in the Issues, without secrets, persons and the texts in `hide`.
        """
        url = self.gate.admit(link) if link else self.gate.base
        given = {"Accept": FHIR_JSON, **(headers or {})}
        if body is not None and self._gzip and len(body) >= _GZIP_FROM:
            body, given = gzip.compress(body, 5, mtime=0), {**given, "Content-Encoding": "gzip"}

        def attempt(until: float) -> Reply:
            token = self._token()
            reply = self._once(method, url, body, self._with_us(given, token), until)
            if reply.status == 401 and self._auth and token and self._auth.renew(token):
                reply = self._once(method, url, body, self._with_us(given, self._token()), until)
            said = [] if reply.status < 400 else self.masked(outcome_issues(reply.body), hide)
            self._check(reply, said)
            return reply

        return persist(attempt, self.pace, self._deadline, idempotent=idempotent)

    @contextmanager
    def file(
        self,
        link: str,
        headers: Mapping[str, str] | None = None,
        *,
        allowed_origins: Collection[str] = (),
        credentials: bool = True,
    ) -> Iterator[Stream]:
        """A bulk file to read piece by piece, of any length; tried once, for the caller knows where to go on.

        Who we are is told to the server's own origin only, and only with `credentials` (the manifest's
        `requiresAccessToken`); once more with another token after a 401. Redirects lead where links may lead.
        RefusedError, BusyError, IssueError as they come.
        """
        url = self.gate.admit_file(link, allowed_origins)
        ours, given = self.gate.owns(url), {"Accept": "application/fhir+ndjson", **(headers or {})}
        token = self._token() if credentials and ours else None
        with ExitStack() as stack:
            stack.enter_context(self.pace.turn())

            def ask() -> Stream:
                told = self._with_us(given, token) if ours else given
                return stack.enter_context(self._wire.open("GET", url, None, told, None, limit=None))

            stream = ask()
            if stream.status == 401 and self._auth and token and self._auth.renew(token):
                token = self._token()
                stream = ask()
            for _ in range(REDIRECTS):
                if stream.status not in _REDIRECTED:
                    break
                url = self.gate.admit_file(urljoin(url, stream.headers.get("Location", "")), allowed_origins)
                ours = ours and self.gate.owns(url)  # who was led away once is not trusted to lead back
                stream = ask()
            if stream.status not in (200, 206):
                # Its first piece is enough for an OperationOutcome, and no more than that is read.
                reply = Reply(stream.status, stream.headers, next(stream.pieces, b""))
                self._check(reply, self.masked(outcome_issues(reply.body)), origin(url))
                text = f"{origin(url)} gave no file (HTTP {reply.status})"
                raise RefusedError(reply.status, Issue("error", "processing", text))
            yield stream

    def masked(self, issues: Sequence[Issue], hide: Collection[str] = ()) -> list[Issue]:
        """The server's words, shortened and without secrets, references to persons, identifier values and `hide`."""
        words = sorted({*self._secrets, *hide}, key=len, reverse=True)

        def mask(text: str) -> str:
            for word in words:
                text = text.replace(word, "…")
            return _TOKEN_VALUE.sub("|…", _PERSON.sub(r"\1/…", text))[:300]

        return [issue.at(text=mask(str(issue.text)), path=issue.path and mask(str(issue.path))) for issue in issues]

    def _token(self) -> str | None:
        token = self._auth.token() if self._auth else None
        if token:
            self._secrets.add(token)
        return token

    def _with_us(self, headers: Mapping[str, str], token: str | None) -> dict[str, str]:
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        return {"User-Agent": "fhir-ivig", **self._headers, **bearer, **headers}

    def _once(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], until: float) -> Reply:
        for _ in range(REDIRECTS + 1):
            reply = self._wire.exchange(method, url, body, headers, until, self.gate.base)
            if reply.status not in _REDIRECTED:
                return reply
            if method != "GET":
                text = f"{self.gate.base} redirects (HTTP {reply.status}): give its final address"
                raise RefusedError(reply.status, Issue("fatal", "security", text))
            url = self.gate.admit(urljoin(url, reply.headers.get("Location", "")))
        text = f"{self.gate.base} redirects more than {REDIRECTS} times: give its final address"
        raise RefusedError(reply.status, Issue("fatal", "security", text))

    def _check(self, reply: Reply, said: list[Issue], place: str = "") -> None:
        """Nothing for a good answer; else BusyError or RefusedError."""
        status, place = reply.status, place or self.gate.base
        if 200 <= status < 300:
            return
        busy = busy_answer(status, reply.headers, said, place)
        if busy:
            raise busy
        code: Code = "security" if status in (401, 403) else _CODES.get(status, "processing")
        hint = ": check the token and its scopes" if status in (401, 403) else ""
        text = f"{place} refused the request (HTTP {status}){hint}"
        raise RefusedError(status, Issue("fatal" if hint else "error", code, text), *said)
