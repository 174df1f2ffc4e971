"""A small FHIR REST client: capability, search by POST, batches; one gate for URLs, bounded retries, Issues.

What it sends and expects: https://hl7.org/fhir/R4/http.html and https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from fhir_ivig.fhir.bundle import RESOURCE_TYPE, Answer, Page, outcome_issues, read_answers, read_page
from fhir_ivig.fhir.gate import Gate
from fhir_ivig.issue import Code, Issue, IssueError

if TYPE_CHECKING:
    import requests

FHIR_JSON = "application/fhir+json"
ATTEMPTS = 5
BODY_LIMIT = 256 << 20
PAGE_LIMIT = 10_000
PATIENCE = 120.0  # seconds; a server that wants a longer wait than this is left
_TRY_AGAIN = {408, 425, 429, 502, 503, 504}
_CODES: dict[int, Code] = {404: "not-found", 410: "not-found", 409: "conflict", 412: "conflict", 413: "too-long"}
_CONTROL = re.compile(r"_(count|total|sort|summary|elements|contained|include|revinclude|format|pretty)\b")
_PERSON = re.compile(r"\b(Patient|Person|RelatedPerson)/[A-Za-z0-9\-.]+")
_TOKEN_VALUE = re.compile(r"\|[^\s,;'\"\])]+")


class RefusedError(IssueError):
    """The server understood the request and refused it; `status` is the HTTP status."""

    def __init__(self, status: int, *issues: Issue) -> None:
        super().__init__(*issues)
        self.status = status


class _BusyError(Exception):
    """Why a request may be tried again, and the seconds the server wants left before."""

    def __init__(self, issue: Issue, wait: float = 0.0) -> None:
        super().__init__(issue.text)
        self.issue, self.wait = issue, wait


class Client:
    """One FHIR server. Requests are idempotent (reads, searches, batches of PUT by id), so each may be tried again.

    `base` is the FHIR base address; http only for loopback unless `insecure_http`. `token` is a bearer token and
    `headers` go with every request. `timeout` is seconds to connect and between two bytes. A `session` may bring its
    own certificates; proxies and passwords from the environment are never used, redirects never followed.
    """

    def __init__(
        self,
        base: str,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: tuple[float, float] = (10.0, 120.0),
        session: requests.Session | None = None,
        *,
        insecure_http: bool = False,
    ) -> None:
        import requests

        self.gate = Gate.of(base, insecure_http=insecure_http)
        self._token = token
        self._headers = {"Accept": FHIR_JSON, **(headers or {})}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        for value in self._headers.values():
            if not value.isascii() or not value.isprintable() or value != value.strip():
                raise _fatal("security", "a token or header for the server holds characters that HTTP does not allow")
        self._timeout = timeout
        self._session = session or requests.Session()
        self._session.trust_env = False

    def __repr__(self) -> str:
        return f"Client({self.gate.base!r})"

    def capability(self) -> dict[str, Any]:
        """The server's CapabilityStatement."""
        body = self._ask("GET", "metadata")
        try:
            statement = msgspec.json.decode(body)
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
        page_limit: int = PAGE_LIMIT,
    ) -> Iterator[Page]:
        """The pages of a search, asked by POST (nothing of a patient in the URL), unknown parameters refused.

        IssueError when a page is no searchset, when the server ignored a parameter, or when its next links repeat,
        lead elsewhere or go beyond `page_limit` pages. Messages in a page are its `issues`.
        """
        if not RESOURCE_TYPE.fullmatch(resource_type):
            raise _fatal("invalid", f"{resource_type!r} is no FHIR resource type")
        pairs = [(k, v) for k, vs in (params or {}).items() for v in ([vs] if isinstance(vs, str) else vs)]
        fresh = {"Prefer": "handling=strict", "Cache-Control": "no-cache"}
        form = {**fresh, "Content-Type": "application/x-www-form-urlencoded"}
        page = self._page(self._ask("POST", f"{resource_type}/_search", urlencode(pairs).encode(), form))
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
            page = self._page(self._ask("GET", url, headers=fresh))

    def transact(self, bundle: bytes, refs: Sequence[str], kind: str = "batch") -> list[Answer]:
        """What the server said to each entry of a batch (or transaction) of PUTs (see `bundle.read_answers`)."""
        body = self._ask("POST", "", bundle, {"Content-Type": FHIR_JSON, "Prefer": "return=minimal"})
        try:
            answers = read_answers(body, refs, kind)
            return [replace(answer, issues=tuple(self._masked(answer.issues))) for answer in answers]
        except IssueError as error:
            raise IssueError(*self._masked(error.issues)) from None

    def _page(self, body: bytes) -> Page:
        try:
            page = read_page(body)
        except IssueError as error:
            raise IssueError(*self._masked(error.issues)) from None
        page.issues = self._masked(page.issues)
        if any(issue.severity in ("error", "fatal") for issue in page.issues):
            raise IssueError(*page.issues)
        return page

    def _ask(
        self, method: str, link: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """The body of a good answer, after as many attempts as it takes and `ATTEMPTS` allows."""
        url, attempt = self.gate.admit(link) if link else self.gate.base, 1
        while True:
            try:
                status, answer = self._once(method, url, body, {**self._headers, **(headers or {})})
            except _BusyError as busy:
                if attempt == ATTEMPTS or busy.wait > PATIENCE:
                    raise IssueError(busy.issue) from None
                jitter = random.uniform(0, min(30.0, 0.25 * 2**attempt))  # noqa: S311 (spreads load, keeps no secret)
                time.sleep(max(busy.wait, jitter))
                attempt += 1
            else:
                self._check(status, answer)
                return answer

    def _once(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body; _BusyError when the same may be asked again."""
        import requests

        place = self.gate.base
        try:
            with self._session.request(
                method, url, data=body, headers=headers, timeout=self._timeout, allow_redirects=False, stream=True
            ) as response:
                if response.status_code in _TRY_AGAIN:
                    code: Code = "throttled" if response.status_code == 429 else "transient"
                    text = f"{place} is busy or down (HTTP {response.status_code}): try again later"
                    raise _BusyError(Issue("fatal", code, text), _wait(response.headers.get("Retry-After")))
                return response.status_code, _body(response)
        except requests.exceptions.SSLError:
            raise _fatal("security", f"the certificate of {place} is not trusted: nothing was sent") from None
        except requests.exceptions.Timeout:
            text = f"{place} did not answer in time: try again later"
            raise _BusyError(Issue("fatal", "timeout", text)) from None
        except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError):
            text = f"{place} cannot be reached or broke off its answer: is the address right, is it running?"
            raise _BusyError(Issue("fatal", "transient", text)) from None
        except requests.exceptions.RequestException as error:
            raise _fatal("processing", f"asking {place} failed ({type(error).__name__})") from None

    def _check(self, status: int, body: bytes) -> None:
        if 200 <= status < 300:
            return
        if 300 <= status < 400:
            text = f"{self.gate.base} redirects (HTTP {status}): redirects are not followed, give the final address"
            raise RefusedError(status, Issue("fatal", "security", text))
        said = self._masked(outcome_issues(body))
        code: Code = "security" if status in (401, 403) else _CODES.get(status, "processing")
        hint = ": check the token and its scopes" if status in (401, 403) else ""
        text = f"{self.gate.base} refused the request (HTTP {status}){hint}"
        raise RefusedError(status, Issue("fatal" if hint else "error", code, text), *said)

    def _masked(self, issues: Sequence[Issue]) -> list[Issue]:
        """The server's words, shortened and without the token, references to persons and identifier values."""

        def mask(text: str) -> str:
            text = text.replace(self._token, "…") if self._token else text
            return _TOKEN_VALUE.sub("|…", _PERSON.sub(r"\1/…", text))[:300]

        return [issue.at(text=mask(str(issue.text))) for issue in issues]


def _fatal(code: Code, text: str) -> IssueError:
    return IssueError(Issue("fatal", code, text))


def _body(response: requests.Response) -> bytes:
    parts, size = [], 0
    for part in response.iter_content(1 << 16):
        parts.append(part)
        size += len(part)
        if size > BODY_LIMIT:
            raise _fatal("too-long", f"the server's answer is longer than {BODY_LIMIT} bytes: ask for smaller pages")
    return b"".join(parts)


def _wait(retry_after: str | None) -> float:
    """Seconds from a Retry-After header, which is seconds or a date (RFC 9110, 10.2.3)."""
    if not retry_after:
        return 0.0
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


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
