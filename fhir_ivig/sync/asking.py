"""One search after another, each proven whole: by the server's total, by a count query, by pages that end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from threading import Event, Lock

import msgspec

from fhir_ivig.fhir.bundle import Page
from fhir_ivig.fhir.client import Client, RefusedError
from fhir_ivig.fhir.folder import Folder
from fhir_ivig.fhir.select import Test, selector
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.sync.portions import Parameters, Portion, Portions, Writing
from fhir_ivig.sync.receiving import digest

UNKNOWN_PARAMETER = {400, 422, 501}  # how servers refuse a search parameter that they do not know
_GONE = {404, 410}  # how they answer to a next link that they do not know any more
_UNTOLD = "the server tells neither totals nor counts: whether all was received shows only in the last page"


class StoppedError(Exception):
    """The pull has ended, and nobody waits for this search any more."""


class Asking:
    """Asks a server or a folder, from several threads; remembers which ways of telling totals the server has not.

    What was asked and answered before, as `portions` has it, is not asked again. `progress` is told the resource
    type and how many of it were received.
    """

    def __init__(
        self,
        store: Client | Folder,
        portions: Portions,
        progress: Callable[[str, int], None] | None = None,
    ) -> None:
        self.store, self.portions, self.progress = store, portions, progress
        self.totals = self.counts = self.proves = isinstance(store, Client)
        self.unmixed: set[str] = set()  # types of which the cohort has nothing but what is of our codes
        self.lost = Event()  # there is no server any more
        self.stopped = Event()  # nobody waits any more
        self._received: Counter[str] = Counter()
        self._lock = Lock()

    @property
    def issues(self) -> list[Issue]:
        """What was found of the server on the way."""
        untold = self.proves and not self.counts
        return [Issue("warning", "incomplete", _UNTOLD)] if untold else []

    def fetch(self, place: int, kind: str, parameters: Parameters, only: Parameters | None = None) -> Portion:
        """The answer to one search, the pull's `place`th, of which `only` what that other search would find is taken.
        IssueError when the server refuses it or breaks off; a flaw in its end is the portion's.

        A search whose next links the server has forgotten on the way is asked once more.
        """
        named = parameters if only is None else {**parameters, "only": [f"{each}" for each in sorted(only.items())]}
        wanted = None if only is None else selector(only)
        found = self.portions.find(place, kind, named)
        if found:
            return found
        for last in (False, True):
            try:
                with self.portions.writing(place, kind, named) as writing:
                    self._take(kind, parameters, wanted, writing, last)
                return writing.portion
            except _ForgottenError:
                continue
        raise AssertionError  # the last time is never forgotten

    def _take(self, kind: str, parameters: Parameters, wanted: Test | None, out: Writing, last: bool) -> None:
        """The pages of one search, and how they ended."""
        if wanted is None:
            parameters, wanted = self._without_codes(kind, parameters)
        taking = _Taking(kind, out, wanted, proves=self.proves)
        try:
            for page in self._pages(kind, parameters):
                if self.stopped.is_set():
                    raise StoppedError
                taking.page(page)
                self._tell(kind, len(page.matches))
                if out.end.flaw:
                    return
        except RefusedError as refused:
            if not taking.pages or refused.status not in _GONE:
                raise
            if not last:
                raise _ForgottenError from None
            out.end.flaw = f"the server knows its own next links of {kind} no more"
            return
        if out.end.total is None:
            out.end.total = self._count(kind, parameters)
        if out.end.total is not None and taking.matches < out.end.total:
            out.end.flaw = f"the server said {out.end.total} {kind} and gave {taking.matches}"

    def _tell(self, kind: str, more: int) -> None:
        if self.progress:
            with self._lock:
                self._received[kind] += more
                self.progress(kind, self._received[kind])

    def note_unmixed(self, kind: str, searches: Iterable[Parameters]) -> None:
        """Notes if what these searches ask for by code is all that there is of the type, as counts tell. Its codes
        are then looked at here: joining them with subjects costs some servers far more than all the rest."""
        others = ({**named, "code:not": named["code"]} for named in searches)
        if self.proves and all(self._counted(kind, _plain(each)) == 0 for each in others):
            self.unmixed.add(kind)

    def _without_codes(self, kind: str, parameters: Parameters) -> tuple[Parameters, Test | None]:
        """The search without its codes and a test for these, where that finds the same; else as it is."""
        if kind not in self.unmixed or "code" not in parameters:
            return parameters, None
        return _plain(parameters), selector({"code": parameters["code"]})

    def how_many(self, kind: str, parameters: Parameters) -> int | None:
        """About how many a search will find: how many it finds without its codes, which costs less."""
        return self._counted(kind, _plain(parameters))

    def _counted(self, kind: str, parameters: Parameters) -> int | None:
        """How many a search would find; None where the server does not say.

        It is kept, so that a pull that goes on asks for the same groups.
        """
        plain = {name: value for name, value in parameters.items() if name != "_count"}
        counting = {**plain, "_summary": "count"}
        found = self.portions.find(0, kind, counting)
        if found:
            return found.end.total
        try:
            with self.portions.writing(0, kind, counting) as writing:
                writing.end.total = next(self.store.search(kind, counting)).total
        except IssueError:
            return None
        return writing.end.total

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
        return total


def _plain(parameters: Parameters) -> Parameters:
    return {name: value for name, value in parameters.items() if name != "code"}


class _Taking:
    """One search under way: what came of it, each once, and what is wrong with its pages."""

    def __init__(self, kind: str, out: Writing, wanted: Test | None, *, proves: bool) -> None:
        self.kind, self.out, self.wanted, self.proves = kind, out, wanted, proves
        self.pages = self.matches = 0
        self._seen: set[bytes] = set()

    def page(self, page: Page) -> None:
        """Takes a page; `out.end.flaw` if there must be no further one."""
        end, before = self.out.end, len(self._seen)
        self.pages += 1
        end.issues += page.issues
        end.total = page.total if end.total is None else end.total
        for line in page.matches:
            new = self._is_new(line)
            self.matches += new
            if self.wanted is None or self.wanted(msgspec.json.decode(line)):
                self.out.add(line)
            else:
                end.left_out += new
        for line in page.included:
            self._is_new(line)
            self.out.add(line, included=True)
        if page.next is not None and len(self._seen) == before:
            end.flaw = f"the server's pages of {self.kind} go on without bringing anything new"
        elif page.next is not None and end.total is not None and self.matches > end.total:
            end.flaw = f"the server's pages of {self.kind} go on beyond the {end.total} that it promised"

    def _is_new(self, line: bytes) -> bool:
        """Whether the search had not brought that already; of a folder, which pages nothing, that is not noted."""
        before = len(self._seen)
        if self.proves:
            self._seen.add(digest(line))
        return len(self._seen) > before or not self.proves


class _ForgottenError(Exception):
    """A next link is gone, and the search may be asked once more."""


def incomplete(flaw: str) -> IssueError:
    """A search whose end is flawed."""
    return IssueError(Issue("error", "incomplete", f"{flaw}: pull again"))
