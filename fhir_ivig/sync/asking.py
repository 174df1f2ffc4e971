"""One search after another, each proven whole: by the server's total, by a count query, by pages that end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fhir_ivig.fhir.bundle import Page
from fhir_ivig.fhir.client import Client, RefusedError
from fhir_ivig.fhir.folder import Folder
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.sync.receiving import Receiving, digest

Parameters = Mapping[str, str | Sequence[str]]
UNKNOWN_PARAMETER = {400, 422, 501}  # how servers refuse a search parameter that they do not know


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one search gave: the total promised, if any, and what is wrong with its end, in words, if anything."""

    total: int | None
    flaw: str = ""


class Asking:
    """Asks a server or a folder, and remembers which ways of telling totals the server has not."""

    def __init__(
        self, store: Client | Folder, receiving: Receiving, on_progress: Callable[[str, int], None] | None
    ) -> None:
        self.store, self.receiving, self.pulled = store, receiving, receiving.pulled
        self.on_progress = on_progress
        self.totals = self.counts = isinstance(store, Client)

    def fetch(self, kind: str, parameters: Parameters, wanted: Callable[[bytes], bool] | None = None) -> Fetched:
        """Takes the pages of one search. IssueError when the server refuses it or breaks off."""
        matches: set[bytes] = set()
        all_of_it: set[bytes] = set()
        total: int | None = None
        for page in self._pages(kind, parameters):
            self.pulled.issues += page.issues
            total = page.total if total is None else total
            before = len(all_of_it)
            for line in page.matches:
                matches.add(digest(line))
                if wanted is None or wanted(line):
                    self.receiving.keep(line, kind)
            for line in page.included:
                all_of_it.add(digest(line))
                self.receiving.keep(line, kind, included=True)
            all_of_it |= matches
            if self.on_progress:
                self.on_progress(kind, self.pulled.received[kind])
            if page.next is not None and len(all_of_it) == before:
                return Fetched(total, f"the server's pages of {kind} go on without bringing anything new")
            if page.next is not None and total is not None and len(matches) > total:
                return Fetched(total, f"the server's pages of {kind} go on beyond the {total} that it promised")
        if total is None:
            total = self._count(kind, parameters)
        if total is not None and len(matches) < total:
            return Fetched(total, f"the server said {total} {kind} and gave {len(matches)}")
        return Fetched(total)

    def _pages(self, kind: str, parameters: Parameters) -> Iterator[Page]:
        """The pages, with a total on them where the server goes along; a strict one may not know how."""
        if self.totals:
            pages = self.store.search(kind, {"_total": "accurate", **parameters})
            try:
                first = next(pages)
            except RefusedError as refused:
                if refused.status not in UNKNOWN_PARAMETER:
                    raise
                pages = self.store.search(kind, parameters)
                first = next(pages)  # refused again, it is not the total that the server does not know
                self.totals = False
            yield first
            yield from pages
            return
        yield from self.store.search(kind, parameters)

    def _count(self, kind: str, parameters: Parameters) -> int | None:
        """How many a search finds, by a query for the count alone; None if the server does not say."""
        if not self.counts:
            return None
        plain = {name: value for name, value in parameters.items() if name not in ("_count", "_include")}
        try:
            total = next(self.store.search(kind, {"_summary": "count", **plain})).total
        except RefusedError as refused:
            if refused.status not in UNKNOWN_PARAMETER:
                raise
            total = None
        if total is None:
            self.counts = False
            text = "the server tells neither totals nor counts: whether all was received shows only in the last page"
            self.pulled.issues.append(Issue("warning", "incomplete", text))
        return total


def incomplete(flaw: str) -> IssueError:
    """A search whose end is flawed."""
    return IssueError(Issue("error", "incomplete", f"{flaw}: pull again"))
