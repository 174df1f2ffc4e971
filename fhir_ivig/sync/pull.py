"""Fetch a cohort's resources from a FHIR server or a folder, as received, with a manifest of what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from fhir_ivig.fhir.client import Client, RefusedError
from fhir_ivig.fhir.folder import Folder
from fhir_ivig.fhir.select import selector
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.sync.asking import UNKNOWN_PARAMETER, Asking, Parameters, incomplete
from fhir_ivig.sync.manifest import earliest, latest, write_manifest
from fhir_ivig.sync.receiving import Pulled, Receiving
from fhir_ivig.sync.source import NOWHERE, Server, open_source
from fhir_ivig.sync.whole import whole_folder

__all__ = ["Known", "Pulled", "Search", "pull"]

PATIENTS = 50  # a search
PAGE = "200"  # resources a page, where the server goes along


@dataclass(frozen=True, slots=True)
class Search:
    """One search: a resource type and its parameters, as FHIR writes them.

    `subjects` names the parameter that takes the Patients found before (subject, patient or individual); without it
    the search stands alone, and its Patients are the cohort. `values` are further values of the parameter `any_of`,
    of which any will do; so many are asked for at a time.
    """

    resource_type: str
    parameters: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    subjects: str | None = None
    any_of: str | None = None
    values: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What an earlier pull knows: of these Patients only what changed since `time` is asked for.

    `server_time` is the earlier pull's own, from which `time` is a little before.
    """

    time: str
    server_time: str
    patients: frozenset[str]


def pull(
    source: str | Path | Client | Folder,
    searches: Sequence[Search],
    out: Path,
    *,
    token: str | None = None,
    filter_here: bool = False,
    known: Known | None = None,
    server: Server = NOWHERE,
    issues: Iterable[Issue] = (),
    on_progress: Callable[[str, int], None] | None = None,
) -> Pulled:
    """Writes what the searches find in `source` to the folder `out`: `<type>.ndjson` as received, `manifest.json`.

    `source` is a FHIR base address (with its bearer `token`), a `Client` or a folder. Searches without `subjects`
    come first, then the Patients that ResearchSubjects among them refer to; all these Patients are given to the other
    searches, so many at a time. A search that gives less than the server promised is asked again in halves, as far
    as it has several Patients.

    With `filter_here`, a search whose parameters the server refuses is asked again without them and its result
    filtered here; without it, that is an error. `known` narrows the searches to what changed, where the server can
    (else all is asked for, and an information Issue says so). Resources are written once; equal ids with other
    content are all kept, with a warning. `server` is what is known of it,
    `issues` what was wrong before. `on_progress` is told the resource type and
    how many of it were received.

    `out` appears (or, if it is an earlier pull, is replaced) all at once, also when the pull is not complete.
    IssueError when `out` holds something else or cannot be written.
    """
    store = open_source(source, token)
    with whole_folder(out) as part:
        run = _Run(store, part, filter_here, known, on_progress)
        run.pulled.issues += issues
        run.all(searches)
        run.pulled.server_time = earliest(server.time, run.receiving.last_updated)
        if known:
            run.pulled.server_time = latest(known.server_time, run.pulled.server_time)
        write_manifest(part, store, searches, run.pulled, server)
    return run.pulled


class _Run:
    """One pull under way."""

    def __init__(
        self,
        store: Client | Folder,
        part: Path,
        filter_here: bool,
        known: Known | None,
        on_progress: Callable[[str, int], None] | None,
    ) -> None:
        self.pulled = Pulled()
        self.receiving = Receiving(part, self.pulled)
        self.asking = Asking(store, self.receiving, on_progress)
        self.store, self.filter_here, self.known = store, filter_here, known

    def all(self, searches: Sequence[Search]) -> None:
        """Every search, the cohort's first; a refused one is an Issue, a lost server the end of all."""
        others = [search for search in searches if search.subjects]
        try:
            for search in searches:
                if not search.subjects:
                    self.one(search)
            further = [ref.partition("/")[2] for ref in self.receiving.led_to if ref not in self.pulled.patients]
            if further:
                self.one(Search("Patient", any_of="_id", values=further))
            if others and not self.pulled.patients:
                kinds = ", ".join(dict.fromkeys(search.resource_type for search in others))
                text = f"No Patient of the study was found, so {kinds} were not asked for: check what was searched."
                self.pulled.issues.append(Issue("error", "not-found", text))
                return
            for search in others:
                self.one(search)
        except IssueError as error:
            self.pulled.issues += error.issues
        finally:
            self.receiving.close()
            self.pulled.issues = list(dict.fromkeys(self.pulled.issues))

    def one(self, search: Search) -> None:
        """One search for all Patients; what is wrong with it is an Issue, and the next goes on."""
        try:
            for asked, group in self.portions(search):
                self.ask(asked, group)
        except _UnknownParameterError:
            self.widen(search)
        except IssueError as error:
            self.pulled.failed.append(search.resource_type)
            if not isinstance(error, RefusedError) and any(issue.severity == "fatal" for issue in error.issues):
                raise
            self.pulled.issues += error.issues

    def portions(self, search: Search) -> Iterator[tuple[Search, Sequence[str]]]:
        """The search with so many values or Patients at a time; of Patients known before, what changed."""
        if search.any_of:
            yield from ((search, group) for group in self.groups(search.values))
        elif not search.subjects:
            yield search, ()
        else:
            patients = list(self.pulled.patients)
            before = self.known.patients if self.known else frozenset()
            yield from ((search, group) for group in self.groups([ref for ref in patients if ref not in before]))
            for group in self.groups([ref for ref in patients if ref in before]):
                time = self.known.time if self.known else ""
                changed = replace(search, parameters={**search.parameters, "_lastUpdated": f"ge{time}"})
                yield changed if self.known else search, group

    def groups(self, values: Sequence[str]) -> Iterator[Sequence[str]]:
        size = PATIENTS if isinstance(self.store, Client) else max(len(values), 1)
        return (values[start : start + size] for start in range(0, len(values), size))

    def ask(self, search: Search, group: Sequence[str]) -> None:
        """One portion, or its halves where it comes short. IssueError when it fails."""
        kind = search.resource_type
        changed = "_lastUpdated" in search.parameters
        try:
            fetched = self.asking.fetch(kind, _parameters(search, group))
        except IssueError as error:
            unknown = isinstance(error, RefusedError) and error.status in UNKNOWN_PARAMETER
            if changed and (unknown or error.issues[0].code == "not-supported"):
                self.ask(self.unchanged_too(search), group)
                return
            if not (unknown and self.filter_here):
                raise
            raise _UnknownParameterError from None
        if changed:
            self.pulled.changed_only.add(kind)
        if fetched.flaw and len(group) > 1:
            middle = len(group) // 2
            self.ask(search, group[:middle])
            self.ask(search, group[middle:])
            return
        if fetched.total is not None:
            self.pulled.expected[kind] += fetched.total
        if fetched.flaw:
            raise incomplete(fetched.flaw)

    def unchanged_too(self, search: Search) -> Search:
        text = f"the server cannot tell which {search.resource_type} changed: all of them were asked for"
        self.pulled.issues.append(Issue("information", "informational", text))
        plain = {name: value for name, value in search.parameters.items() if name != "_lastUpdated"}
        return replace(search, parameters=plain)

    def widen(self, search: Search) -> None:
        """All of the type, filtered here."""
        kind, patients = search.resource_type, list(self.pulled.patients)
        text = f"the server cannot search {kind} so: all were asked for, and filtered here"
        self.pulled.issues.append(Issue("information", "informational", text))
        test = selector(_parameters(search, search.values or patients))
        fetched = self.asking.fetch(kind, {"_count": PAGE}, lambda line: test(msgspec.json.decode(line)))
        if fetched.flaw:
            self.pulled.failed.append(kind)
            self.pulled.issues += incomplete(fetched.flaw).issues


class _UnknownParameterError(Exception):
    """The server does not know a parameter of a search, and may be asked for all instead."""


def _parameters(search: Search, group: Sequence[str]) -> Parameters:
    name = search.subjects or search.any_of
    return {"_count": PAGE, **search.parameters, **({name: ",".join(group)} if name else {})}
