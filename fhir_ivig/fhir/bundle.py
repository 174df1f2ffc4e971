"""FHIR Bundles as bytes: a batch joined from raw resources, a search page and a batch's answer taken apart.

Resources stay the bytes they are (`msgspec.Raw`), so numbers stay as written.
Bundles: https://hl7.org/fhir/R4/bundle.html, batches: https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from fhir_ivig.issue import Code, Issue, IssueError, from_outcome

_STATUS = re.compile(r"(\d{3})\b")
_ETAG = re.compile(r'(?:W/)?"?([A-Za-z0-9\-.]{1,64})"?')
_HISTORY = re.compile(r"/_history/([A-Za-z0-9\-.]{1,64})$")
LOGICAL_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")  # https://hl7.org/fhir/R4/datatypes.html#id
RESOURCE_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
# `Type/id` at the end of an address or reference, of whatever version.
LOCATION = re.compile(rf"(?:^|/)({RESOURCE_TYPE.pattern}/{LOGICAL_ID.pattern})(?:/_history/[^/?]*)?$")


class Head(msgspec.Struct):
    """What a resource is: its type and logical id, and nothing else of it read."""

    resourceType: str = ""  # noqa: N815 (the element's name)
    id: str | None = None

    @property
    def ref(self) -> str:
        return f"{self.resourceType}/{self.id}"

    @property
    def sound(self) -> bool:
        """Whether type and id are well formed, so that they may stand in a URL and name a file."""
        return bool(RESOURCE_TYPE.fullmatch(self.resourceType) and self.id and LOGICAL_ID.fullmatch(self.id))


_head = msgspec.json.Decoder(Head)


def head(resource: bytes) -> Head:
    """The type and id of a resource; an empty Head when it is no JSON object or these are no text."""
    try:
        return _head.decode(resource)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return Head()


@dataclass(slots=True)
class Page:
    """One page of a search: raw resources that match, those that were only included, and the server's messages."""

    matches: list[bytes] = field(default_factory=list)
    included: list[bytes] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    total: int | None = None
    next: str | None = None
    self: str | None = None


class _Link(msgspec.Struct):
    relation: str | None = None
    url: str | None = None


class _Search(msgspec.Struct):
    mode: str | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """A resource to store at its `Type/id`; with `version` only if that is the one that is there."""

    ref: str
    resource: bytes
    version: str | None = None

    @property
    def entry(self) -> bytes:
        """The entry of a batch or transaction that does it, joined from the bytes as they are."""
        condition = b',"ifMatch":"W/\\"%b\\""' % self.version.encode() if self.version else b""
        request = b'{"method":"PUT","url":"%b"%b}' % (self.ref.encode(), condition)
        return b'{"resource":%b,"request":%b}' % (self.resource.strip(), request)


@dataclass(frozen=True, slots=True)
class Post:
    """A resource to store at an id that the server chooses; with `unless`, a search, only if that finds none (see
    https://hl7.org/fhir/R4/http.html#ccreate)."""

    ref: str  # `Type/`
    resource: bytes
    unless: str | None = None

    @property
    def entry(self) -> bytes:
        """The entry of a batch or transaction that does it, joined from the bytes as they are."""
        condition = b',"ifNoneExist":%b' % msgspec.json.encode(self.unless) if self.unless else b""
        request = b'{"method":"POST","url":"%b"%b}' % (self.ref.rstrip("/").encode(), condition)
        return b'{"resource":%b,"request":%b}' % (self.resource.strip(), request)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said to one entry: HTTP status (None: not a word), the version it has now, where it stands
    (`Type/id`), and, where it did not store the resource, why."""

    status: int | None
    version: str | None = None
    issues: tuple[Issue, ...] = ()
    ref: str | None = None


class _Response(msgspec.Struct):
    status: str = ""
    location: str | None = None
    etag: str | None = None
    outcome: msgspec.Raw = msgspec.Raw()


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw()
    search: _Search | None = None
    response: _Response | None = None


class _Bundle(msgspec.Struct):
    resourceType: str  # noqa: N815
    type: str | None = None
    total: int | None = None
    link: list[_Link] = msgspec.field(default_factory=list)
    entry: list[_Entry] = msgspec.field(default_factory=list)


_bundle = msgspec.json.Decoder(_Bundle)


def batch(puts: Iterable[Put | Post], kind: str = "batch") -> bytes:
    """A batch (or transaction) Bundle that stores resources."""
    entries = b",".join(put.entry for put in puts)
    return b'{"resourceType":"Bundle","type":"%b","entry":[%b]}' % (kind.encode(), entries)


def read_page(body: bytes) -> Page:
    """A searchset Bundle as a Page; IssueError when it is anything else: no failure passes for an empty result."""
    bundle = _read(body, "searchset")
    page = Page(total=bundle.total)
    for link in bundle.link:
        if link.relation == "next":
            page.next = link.url or ""
        elif link.relation == "self":
            page.self = link.url
    for number, entry in enumerate(bundle.entry, 1):
        resource = bytes(entry.resource)
        mode = entry.search.mode if entry.search else None
        if not resource.startswith(b"{"):
            page.issues.append(Issue("error", "structure", f"entry {number} of the server's answer has no resource"))
        elif mode == "outcome" or head(resource).resourceType == "OperationOutcome":
            page.issues += outcome_issues(resource)
        else:
            (page.included if mode == "include" else page.matches).append(one_line(resource))
    return page


def read_answers(body: bytes, refs: Sequence[str], kind: str = "batch") -> list[Answer]:
    """What a server answered to each entry of a batch (or transaction) of PUTs (`Type/id`) and POSTs (`Type/`): no
    Issue where it was stored (200 or 201).

    IssueError when the answer is no batch-response, has another number of entries, or names others' resources.
    """
    bundle = _read(body, f"{kind}-response")
    if len(bundle.entry) != len(refs):
        text = f"the server gave {len(bundle.entry)} answers to a batch of {len(refs)}: send again to see what it has"
        raise IssueError(Issue("error", "incomplete", text))
    answers = []
    for entry, ref in zip(bundle.entry, refs, strict=True):
        response = entry.response or _Response()
        found = _STATUS.match(response.status)
        status = int(found[1]) if found else None
        if response.location and status in (200, 201) and ref not in response.location:
            text = "the server's answers are not in the order of the batch: send again to see what it has"
            raise IssueError(Issue("error", "structure", text))
        issues = () if status in (200, 201) else _refusal(status, bytes(response.outcome))
        place = LOCATION.search(response.location or "")
        answers.append(Answer(status, _version(response), tuple(issues), place[1] if place else None))
    return answers


def _version(response: _Response) -> str | None:
    """The version id in an entry's etag (`W/"3"`; some say it bare), else at the end of its location."""
    found = _ETAG.fullmatch(response.etag or "") or _HISTORY.search(response.location or "")
    return found[1] if found else None


def _refusal(status: int | None, outcome: bytes) -> list[Issue]:
    said = [issue for issue in outcome_issues(outcome) if issue.severity in ("error", "fatal")]
    code: Code = "conflict" if status in (409, 412) else "processing"
    text = (
        f"the server answered {status} and gave no reason" if status else "the server gave no status for this entry"
    )
    return said or [Issue("error", code, text)]


def outcome_issues(resource: bytes) -> list[Issue]:
    """The issues of an OperationOutcome; none when it is no readable OperationOutcome."""
    try:
        outcome = msgspec.json.decode(resource)
        return from_outcome(outcome) if outcome["resourceType"] == "OperationOutcome" else []
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []


def one_line(resource: bytes) -> bytes:
    """A resource on one line, its numbers as written; untouched when it is on one line already."""
    spread = b"\n" in resource or b"\r" in resource
    return msgspec.json.format(resource, indent=-1) if spread else resource


def _read(body: bytes, kind: str) -> _Bundle:
    if body.lstrip()[:1] == b"<":
        raise IssueError(Issue("error", "structure", "the server answered with a web page or XML, not FHIR JSON"))
    try:
        body.decode()
        found = head(body).resourceType
        if found == "OperationOutcome":
            note = Issue("error", "processing", f"the server answered with an OperationOutcome in place of a {kind}")
            raise IssueError(note, *outcome_issues(body))
        bundle = _bundle.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = f"the server's answer is cut off or is no Bundle of type {kind}: try again"
        raise IssueError(Issue("error", "structure", text)) from None
    if bundle.resourceType != "Bundle" or bundle.type != kind:
        raise IssueError(Issue("error", "structure", f"the server answered with something else than a {kind} Bundle"))
    return bundle
