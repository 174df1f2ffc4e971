"""What changed since the last pull, put together with what that one got."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import msgspec

from fhir_ivig.fhir.body import json_body
from fhir_ivig.fhir.bundle import LOCATION, head
from fhir_ivig.fhir.client import Client, RefusedError
from fhir_ivig.fhir.folder import create
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.sync.instants import instant, seconds
from fhir_ivig.sync.manifest import shown
from fhir_ivig.sync.receiving import about
from fhir_ivig.sync.search import Known, Search
from fhir_ivig.sync.whole import read_manifest

OVERLAP = timedelta(minutes=5)  # what a server commits late, with an earlier time, is not missed
PAGES = 1000


def known_from(out: Path, store: Client, asked: Sequence[Search]) -> tuple[Known | None, list[Issue]]:
    """What the pull in `out` knows, if a later one may build on it; else an information Issue why not."""
    before, why = read_manifest(out / "fhir"), ""
    since = instant(str(before.get("server_time")))
    if before.get("complete") is not True:
        why = "there is no complete earlier pull"
    elif before.get("source") != store.gate.base:
        why = "the earlier pull is from another server"
    elif since is None:
        why = "the earlier pull does not know the server's time"
    elif _asked(before.get("asked")) != _asked([shown(search) for search in asked]):
        why = "the earlier pull asked for something else"
    if why or since is None:
        text = f"Everything was asked for, since {why}."
        return None, [Issue("information", "informational", text, str(out))]
    patients = frozenset(head(line).ref for line in _lines(out / "fhir" / "Patient.ndjson"))
    return Known(seconds(since - OVERLAP), seconds(since), patients), []


def _asked(told: object) -> list[tuple[str, ...]]:
    """What of a manifest's `asked` must be the same: not who, since of new Patients everything is asked for."""
    listed = told if isinstance(told, list) else []
    return sorted(
        (str(each.get("type")), str(each.get("parameters")), str(each.get("subjects")))
        for each in listed
        if isinstance(each, dict) and each.get("subjects")
    )


class _Request(msgspec.Struct):
    method: str = ""
    url: str = ""


class _Response(msgspec.Struct):
    lastModified: str | None = None  # noqa: N815 (the element's name)


class _Entry(msgspec.Struct):
    fullUrl: str | None = None  # noqa: N815
    request: _Request = msgspec.field(default_factory=_Request)
    response: _Response | None = None


class _Link(msgspec.Struct):
    relation: str | None = None
    url: str | None = None


class _History(msgspec.Struct):
    type: str | None = None
    entry: list[_Entry] = msgspec.field(default_factory=list)
    link: list[_Link] = msgspec.field(default_factory=list)


@dataclass(slots=True)
class Gone:
    """The resources (`Type/id`) that were deleted since, and what could not be found out."""

    refs: set[str] = field(default_factory=set)
    issues: list[Issue] = field(default_factory=list)


def deleted_since(client: Client, kinds: Iterable[str], time: str) -> Gone:
    """What a server's history tells of deletions, type by type; a warning for a type whose history it has not.

    https://hl7.org/fhir/R4/http.html#history: newest first, a deletion as an entry with the method DELETE.
    """
    gone, unknown = Gone(), []
    for kind in kinds:
        last: dict[str, bool] = {}  # whether the newest entry of a resource deletes it
        try:
            for entry in _history(client, kind, time):
                found = LOCATION.search(entry.request.url) or LOCATION.search(entry.fullUrl or "")
                if found:
                    last.setdefault(found[1], entry.request.method == "DELETE")
        except RefusedError:
            unknown.append(kind)
        gone.refs |= {ref for ref, deleted in last.items() if deleted}
    if unknown:
        text = (
            f"The server has no history of {', '.join(unknown)}: what was deleted since the last pull is not "
            "noticed. Pull everything (without --since) from time to time."
        )
        gone.issues.append(Issue("warning", "not-supported", text))
    return gone


def _history(client: Client, kind: str, time: str) -> Iterator[_Entry]:
    """The entries of a type's history since a time, newest first."""
    since, seen = instant(time), set[str]()
    if since:  # a second before: some servers compare texts, by which 09:30:05Z is later than 09:30:05.2Z
        since -= timedelta(seconds=1)
        time = seconds(since)
    link = f"{kind}/_history?_since={quote(time)}&_count=200"
    while link not in seen:
        if len(seen) >= PAGES:
            break
        seen.add(link)
        page = _page(json_body(client.transport.ask("GET", link, headers={"Cache-Control": "no-cache"})))
        yield from page.entry
        times = [instant(entry.response.lastModified) for entry in page.entry if entry.response]
        follow = next((each.url for each in page.link if each.relation == "next" and each.url), None)
        if follow is None or (since and any(each and each < since for each in times)):
            return
        link = client.gate.admit(follow)
    text = f"the server's pages of the history of {kind} go round or never end: pull again, without --since"
    raise IssueError(Issue("error", "incomplete", text))


def _page(body: bytes) -> _History:
    try:
        page = msgspec.json.decode(body, type=_History)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        page = _History()
    if page.type != "history":
        text = "the server answered with something else than a history: pull again, without --since"
        raise IssueError(Issue("error", "structure", text))
    return page


def merge(earlier: Path, new: Path, kinds: Iterable[str], gone: set[str], patients: frozenset[str]) -> None:
    """Puts what the earlier pull holds of some types, and nothing newer is known of, before what came now.

    Left out are `gone` and what belongs to any of the `patients`, who are of the cohort no more.
    """
    for kind in kinds:
        file, before = new / f"{kind}.ndjson", earlier / f"{kind}.ndjson"
        came = {head(line).ref for line in _lines(file)} | gone
        part = new / f"{kind}.part"
        with create(part) as out:
            out.writelines(
                line + b"\n"
                for line in _lines(before)
                if head(line).ref not in came and not (patients and about(line) & patients)
            )
            out.writelines(line + b"\n" for line in _lines(file))
            written = out.tell()
        part.replace(file) if written else part.unlink()


def _lines(file: Path) -> Iterator[bytes]:
    if file.exists():
        with file.open("rb") as stream:
            yield from (line.rstrip(b"\n") for line in stream)
