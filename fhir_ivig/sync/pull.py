"""Fetch a cohort's resources from a FHIR server or a folder, as received, with a manifest of what is missing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

from fhir_ivig.fhir.client import Client
from fhir_ivig.fhir.folder import Folder
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.sync.asking import Asking
from fhir_ivig.sync.groups import Got, Grouped, lost
from fhir_ivig.sync.instants import earliest, latest
from fhir_ivig.sync.manifest import describe
from fhir_ivig.sync.portions import Portions
from fhir_ivig.sync.receiving import Pulled, Receiving, Taker
from fhir_ivig.sync.search import Known, Search
from fhir_ivig.sync.source import NOWHERE, Origin, open_source
from fhir_ivig.sync.whole import whole_folder, write_manifest

__all__ = ["Known", "Pulled", "Search", "pull"]

PATIENTS, FEWEST, MOST = 50, 5, 200  # a search: if nothing is known, and as few or many as fill a page
SAMPLE = 10  # Patients whose resources are counted, to know how many of the others' fill a page
FILL = 75  # percent: some have more than others, and a second page of few costs as much as a first


def pull(
    source: str | Path | Client | Folder,
    searches: Sequence[Search],
    out: Path,
    *,
    filter_here: bool = False,
    known: Known | None = None,
    server: Origin = NOWHERE,
    portions: Portions | None = None,
    issues: Iterable[Issue] = (),
    taker: Taker | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> Pulled:
    """Writes what the searches find in `source` to the folder `out`: `<type>.ndjson` as received, `manifest.json`.

    `source` is a FHIR base address, a `Client` or a folder. Searches without `subjects`
    come first, then the Patients that ResearchSubjects among them refer to; all these Patients are given to the other
    searches, so many at a time. A search that gives less than the server promised is asked again in halves, as far
    as it has several Patients.

    With `filter_here`, a search whose parameters the server refuses is asked again without them and its result
    filtered here; without it, that is an error. `known` narrows the searches to what changed, where the server can
    (else all is asked for, and an information Issue says so). Resources are written once; equal ids with other
    content are all kept, with a warning. `server` is what is known of it, and over how many connections it is asked;
    the files do not depend on which answers first. `issues` is what was wrong before. `taker` is given all that is
    written, while more is on its way: search after search. `progress` is told the resource type and how many of it
    were received. Where `portions` are kept, a pull that was broken off goes on.

    `out` appears (or, if it is an earlier pull, is replaced) all at once, also when the pull is not complete.
    IssueError when `out` holds something else or cannot be written.
    """
    store = open_source(source)
    with whole_folder(out) as part:
        kept = portions or Portions(part / ".portions")
        kept.folder.mkdir(mode=0o700, exist_ok=True)
        run = _Run(store, part, kept, filter_here, known, server, taker, progress)
        run.pulled.issues += issues
        run.all(searches)
        begun = kept.begun or server.time
        run.pulled.server_time = earliest(begun, run.receiving.last_updated)
        if known:
            run.pulled.server_time = latest(known.server_time, run.pulled.server_time)
        if portions is None:
            shutil.rmtree(kept.folder)
        write_manifest(part, describe(store, searches, run.pulled, server))
    return run.pulled


class _Run:
    """One pull under way."""

    def __init__(
        self,
        store: Client | Folder,
        part: Path,
        portions: Portions,
        filter_here: bool,
        known: Known | None,
        server: Origin,
        taker: Taker | None,
        progress: Callable[[str, int], None] | None,
    ) -> None:
        self.pulled = Pulled()
        self.receiving = Receiving(part, self.pulled, taker)
        self.asking = Asking(store, portions, progress)
        self.store, self.server, self.known = store, server, known
        self.portions, self.filter_here = portions, filter_here
        self.connections = server.connections if isinstance(store, Client) else 1
        self.place = 0

    def all(self, searches: Sequence[Search]) -> None:
        """Every search, the cohort's first; a refused one is an Issue, a lost server the end of all."""
        others = [search for search in searches if search.subjects]
        try:
            self.some([search for search in searches if not search.subjects])
            further = [ref.partition("/")[2] for ref in self.receiving.led_to if ref not in self.pulled.patients]
            if further:
                self.some([Search("Patient", any_of="_id", values=further)])
            if others and not self.pulled.patients:
                kinds = ", ".join(dict.fromkeys(search.resource_type for search in others))
                text = f"No Patient of the study was found, so {kinds} were not asked for: check what was searched."
                self.pulled.issues.append(Issue("error", "not-found", text))
                return
            self.some(others)
        except IssueError as error:
            self.pulled.issues += error.issues
            self.pulled.broken_off = True
        finally:
            self.receiving.hand_on()
            self.receiving.close()
            self.pulled.issues = list(dict.fromkeys([*self.pulled.issues, *self.asking.issues]))

    def some(self, searches: Sequence[Search]) -> None:
        """Several searches over all connections at once, received in their order, whatever came first."""
        patients = list(self.pulled.patients)
        with ThreadPoolExecutor(self.connections) as pool:
            begun = []
            for search in searches:
                self.place += 1
                begun.append(pool.submit(self.begin, pool, self.place, search, patients))
            try:
                for search, results in zip(searches, begun, strict=True):
                    self.receive(search, results.result())
                    self.receiving.hand_on()
            except BaseException:
                self.asking.stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def begin(self, pool: Executor, place: int, search: Search, patients: Sequence[str]) -> Sequence[Future[Got]]:
        """The groups of a search, each on its way: those of one search while those of another are still counted."""
        size = self.size(search, search.values or patients)
        grouped = Grouped(
            self.asking,
            place,
            search,
            patients,
            self.known,
            page=self.server.page,
            size=size,
            filter_here=self.filter_here,
        )
        return [pool.submit(grouped.got, number) for number in range(len(grouped.groups))]

    def size(self, search: Search, patients: Sequence[str]) -> int:
        """How many Patients to ask for at a time, 0 if the server counts nothing of the type.

        Over several connections those that fill about a page, as the first of them tell: long rows of pages are slow
        where each is searched for anew.
        """
        many = max(len(patients), 1)
        if not isinstance(self.store, Client):
            return many  # a folder is read as a whole
        most = PATIENTS if self.store.habits.search_by_get else MOST
        if search.subjects and "code" in search.parameters:
            groups = (search.of(patients[start : start + most]) for start in range(0, many, most))
            self.asking.note_unmixed(search.resource_type, groups)
        spread = min(PATIENTS, -(-many // self.connections))
        if self.connections == 1 or self.known or not search.subjects or self.store.habits.search_by_get:
            return spread
        some = patients[:SAMPLE]
        count = self.asking.how_many(search.resource_type, search.of(some))
        if count is None:
            return spread
        if not count and len(some) == many:
            return 0
        return min(MOST, max(FEWEST, self.server.page * FILL * len(some) // (100 * max(count, 1))))

    def receive(self, search: Search, results: Sequence[Future[Got]]) -> None:
        """The groups of one search; what is wrong with one ends the search, and the next goes on. IssueError when the
        server is lost."""
        for result in results:
            got, kind = result.result(), search.resource_type
            self.pulled.issues += got.issues
            self.pulled.expected += got.expected
            self.pulled.changed_only |= {kind} if got.changed_only else set()
            for portion in got.portions:
                self.pulled.issues += portion.end.issues
                for line, included in portion.lines():
                    self.receiving.keep(line, kind, included)
                if not self.portions.kept:
                    portion.path.unlink()
            if got.error:
                self.pulled.failed.append(kind)
                if lost(got.error):
                    raise got.error
                self.pulled.issues += got.error.issues
            if got.error or got.whole:
                return
