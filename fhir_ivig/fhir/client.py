"""A FHIR REST client: capability, search by POST, batches; what it sends and what it takes.

https://hl7.org/fhir/R4/http.html and https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

import msgspec

from fhir_ivig.fhir.auth import Bearer
from fhir_ivig.fhir.body import json_body
from fhir_ivig.fhir.bundle import RESOURCE_TYPE, Answer, Page, read_answers, read_page
from fhir_ivig.fhir.gate import Gate
from fhir_ivig.fhir.retry import UnansweredError
from fhir_ivig.fhir.transport import FHIR_JSON, RefusedError, Transport
from fhir_ivig.fhir.wire import Reply, Wire
from fhir_ivig.issue import Code, Issue, IssueError

__all__ = ["Client", "Habits", "RefusedError", "Reply", "UnansweredError"]

PAGE_LIMIT = 10_000
_CONTROL = re.compile(r"_(count|total|sort|summary|elements|contained|include|revinclude|format|pretty)\b")
_DATE = re.compile(r"([a-z]{2})?\d{4}-\d\d(-\d\d(T.*)?)?|[a-z]{2}\d{4}")
_BETWEEN = re.compile(r"[,|]")


@dataclass(frozen=True, slots=True)
class Habits:
    """How a server wants to be asked, where that is not as FHIR says.

    `parameters` go with every search. `strict` asks it to refuse unknown parameters. With `search_by_get` what is
    searched for stands in URLs and so in logs. `lower_case_paths` writes `observation/_search`.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)
    strict: bool = True
    search_by_get: bool = False
    lower_case_paths: bool = False


class Client:
    """One FHIR server, for several threads.

    `server` is its base address (https, or http on this machine), which `token`, a bearer token, and `headers` go
    with, or a Transport that knows all that (see `fhir_ivig.fhir.server.connect`).
    """

    def __init__(
        self,
        server: str | Transport,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        habits: Habits | None = None,
    ) -> None:
        if isinstance(server, str):
            auth = None if token is None else Bearer(lambda: token)
            server = Transport(Gate.of(server), Wire(), auth, headers)
        self.transport, self.gate, self.habits = server, server.gate, habits or Habits()

    def __repr__(self) -> str:
        return f"Client({self.gate.base!r})"

    def capability(self) -> dict[str, Any]:
        """The server's CapabilityStatement; IssueError if it has none."""
        try:
            return self.statement(self.transport.ask("GET", "metadata"))
        except RefusedError as error:
            if error.status not in (404, 410):
                raise
        raise _fatal("not-found", f"{self.gate.base}/metadata is not there: is this a FHIR address?")

    def statement(self, reply: Reply) -> dict[str, Any]:
        """The CapabilityStatement in the answer to `metadata`; IssueError if it is none."""
        try:
            statement = msgspec.json.decode(json_body(reply))
            if statement["resourceType"] == "CapabilityStatement":
                return dict(statement)
        except (ValueError, LookupError, TypeError, RecursionError):
            pass
        raise _fatal("structure", f"{self.gate.base}/metadata is no CapabilityStatement: is this a FHIR address?")

    def search(
        self,
        resource_type: str,
        params: Mapping[str, str | Sequence[str]] | None = None,
        *,
        most: int | None = None,
        page_limit: int = PAGE_LIMIT,
    ) -> Iterator[Page]:
        """The pages of a search, asked by POST (nothing of a patient in the URL), unknown parameters refused.

        Where no more than `most` can match, and one page may hold them, HAPI need not keep what it found for the
        pages to come (https://hapifhir.io/hapi-fhir/docs/server_jpa/configuration.html#disabling-search-caching-per-request).
        IssueError when a page is no searchset, when the server ignored a parameter, or when its next links repeat,
        lead elsewhere or go beyond `page_limit` pages. Messages in a page are its `issues`.
        """
        if not RESOURCE_TYPE.fullmatch(resource_type):
            raise _fatal("invalid", f"{resource_type!r} is no FHIR resource type")
        asked = {**self.habits.parameters, **(params or {})}
        pairs = [(k, v) for k, vs in asked.items() for v in ([vs] if isinstance(vs, str) else vs)]
        hide = _told_of(pairs)
        cache = f"no-store, max-results={most}" if most else "no-cache"
        fresh = {"Cache-Control": cache, **({"Prefer": "handling=strict"} if self.habits.strict else {})}
        page = self._page(self._searched(resource_type, urlencode(pairs), fresh, hide), hide)
        _check_self(page.self, [name for name, _ in pairs])
        seen: set[str] = set()
        while True:
            yield page
            if page.next is None:
                return
            url = self.gate.admit(page.next) if page.next else ""
            if not url or url in seen or len(seen) + 1 >= page_limit:
                text = f"the server's next links for {resource_type} go round or never end: the result is not whole"
                raise IssueError(Issue("error", "incomplete", text))
            seen.add(url)
            page = self._page(self._following(resource_type, url, fresh, hide), hide)

    def transact(
        self, bundle: bytes, refs: Sequence[str], kind: str = "batch", *, idempotent: bool = True
    ) -> list[Answer]:
        """What the server said to each entry of a batch (or transaction) that stores (see `bundle.read_answers`).

        One that is not `idempotent` (that creates without a condition) is not sent again once it may have arrived:
        UnansweredError with `sent`, and what became of it has to be looked up.
        """
        given = {"Content-Type": FHIR_JSON, "Prefer": "return=minimal"}
        reply = self.transport.ask("POST", "", bundle, given, idempotent=idempotent)
        masked = self.transport.masked
        try:
            answers = read_answers(json_body(reply), refs, kind)
            return [replace(answer, issues=tuple(masked(answer.issues))) for answer in answers]
        except IssueError as error:
            raise IssueError(*masked(error.issues)) from None

    def _searched(self, resource_type: str, query: str, headers: Mapping[str, str], hide: Sequence[str]) -> Reply:
        path = resource_type.lower() if self.habits.lower_case_paths else resource_type
        if self.habits.search_by_get:
            return self.transport.ask("GET", f"{path}?{query}", headers=headers, hide=hide)
        form = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
        return self.transport.ask("POST", f"{path}/_search", query.encode(), form, hide=hide)

    def _following(self, resource_type: str, url: str, headers: Mapping[str, str], hide: Sequence[str]) -> Reply:
        """The next page; by POST where its link repeats whom is asked for, as that of some servers does."""
        query = urlsplit(url).query
        if not self.habits.search_by_get and any(word in unquote_plus(query) for word in hide):
            return self._searched(resource_type, query, headers, hide)
        return self.transport.ask("GET", url, headers=headers, hide=hide)

    def _page(self, reply: Reply, hide: Sequence[str]) -> Page:
        try:
            page = read_page(json_body(reply))
        except IssueError as error:
            raise IssueError(*self.transport.masked(error.issues, hide)) from None
        page.issues = self.transport.masked(page.issues, hide)
        if any(issue.severity in ("error", "fatal") for issue in page.issues):
            raise IssueError(*page.issues)
        return page


def _fatal(code: Code, text: str) -> IssueError:
    return IssueError(Issue("fatal", code, text))


def _told_of(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """What of a search may tell who is meant: values with a digit that are no date."""
    values = (word for name, value in pairs if not _CONTROL.match(name) for word in _BETWEEN.split(value))
    return [word for word in values if len(word) > 2 and re.search(r"\d", word) and not _DATE.fullmatch(word)]


def _check_self(link: str | None, asked: Sequence[str]) -> None:
    """A server that drops a filter shows it in its self link: https://hl7.org/fhir/R4/search.html#conformance."""
    parts = urlsplit(link or "")
    if not parts.query or parts.path.endswith("/_search"):
        return
    used = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    ignored = sorted({name for name in asked if not _CONTROL.match(name)} - used)
    if ignored:
        text = f"the server ignored the search parameter {', '.join(ignored)}: its answer was not taken"
        raise IssueError(Issue("error", "not-supported", text))
