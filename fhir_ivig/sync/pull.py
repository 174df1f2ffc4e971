"""Fetch a cohort's resources from a FHIR server or a folder, as received, with a manifest of what is missing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import IO

import msgspec

from fhir_ivig.fhir.address import is_address
from fhir_ivig.fhir.bundle import RESOURCE_TYPE, Page, head
from fhir_ivig.fhir.client import Client, RefusedError
from fhir_ivig.fhir.folder import Folder, create
from fhir_ivig.fhir.select import selector
from fhir_ivig.issue import Issue, IssueError, failed
from fhir_ivig.sync.plan import chunks
from fhir_ivig.sync.whole import whole_folder

PATIENTS = 50  # a search
PAGE = "200"  # resources a page, where the server goes along


@dataclass(frozen=True, slots=True)
class Search:
    """One search: a resource type and its parameters, as FHIR writes them.

    `subjects` names the parameter that takes the Patients found before (subject, patient or individual); without it
    the search stands alone, and its Patients are the cohort.
    """

    resource_type: str
    parameters: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    subjects: str | None = None


@dataclass(slots=True)
class Pulled:
    """How many resources were written, and expected where the server said a total, by type.

    `duplicates` counts resources that came again with equal content; `complete` is no error among the issues.
    """

    received: Counter[str] = field(default_factory=Counter)
    expected: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    issues: list[Issue] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return not failed(self.issues)


def pull(
    source: str | Path | Client,
    searches: Sequence[Search],
    out: Path,
    *,
    token: str | None = None,
    filter_here: bool = False,
    on_progress: Callable[[str, int], None] | None = None,
) -> Pulled:
    """Writes what the searches find in `source` to the folder `out`: `<type>.ndjson` as received, `manifest.json`.

    `source` is a FHIR base address (with its bearer `token`), a `Client` or a folder. Searches without `subjects`
    come first; the Patients they find are given to the others, so many at a time. With `filter_here`, a search whose
    parameters the server refuses is asked again without them and its result filtered here; without it, that is an
    error. Resources are written once; equal ids with other content are all kept, with a warning. `on_progress` is
    told the resource type and how many of it were received.

    `out` appears (or, if it is an earlier pull, is replaced) all at once, also when the pull is not complete.
    IssueError when `out` holds something else or cannot be written.
    """
    store = _open(source, token)
    with whole_folder(out) as part:
        run = _Run(store, part, filter_here, on_progress)
        run.all(searches)
        _write_manifest(part, store, searches, run.pulled)
    return run.pulled


def _open(source: str | Path | Client, token: str | None) -> Client | Folder:
    if isinstance(source, Client):
        return source
    if isinstance(source, str) and is_address(source):
        return Client(source, token)
    return Folder(Path(source))


class _Run:
    """One pull under way: what was received, the Patients found, the files being written."""

    def __init__(
        self, store: Client | Folder, part: Path, filter_here: bool, on_progress: Callable[[str, int], None] | None
    ) -> None:
        self.pulled = Pulled()
        self._store, self._part = store, part
        self._filter_here, self._on_progress = filter_here, on_progress
        self._patients: dict[str, None] = {}
        self._seen: dict[str, set[bytes]] = {}
        self._files: dict[str, IO[bytes]] = {}

    def all(self, searches: Sequence[Search]) -> None:
        """Every search, the cohort's first; a refused one is an Issue, a lost server the end of all."""
        try:
            for search in sorted(searches, key=lambda search: search.subjects is not None):
                self._one(search)
        except IssueError as error:
            self.pulled.issues += error.issues
        finally:
            for file in self._files.values():
                file.close()
        self.pulled.issues = list(dict.fromkeys(self.pulled.issues))

    def _one(self, search: Search) -> None:
        patients = list(self._patients)
        if search.subjects and not patients:
            text = (
                f"no Patient was found, so {search.resource_type} was not asked for: check the identifiers searched"
            )
            self.pulled.issues.append(Issue("error", "not-found", text))
            return
        try:
            if not self._ask(search, patients):
                self._widen(search, patients)
        except IssueError as error:
            if not isinstance(error, RefusedError) and any(issue.severity == "fatal" for issue in error.issues):
                raise
            self.pulled.issues += error.issues

    def _ask(self, search: Search, patients: Sequence[str]) -> bool:
        """Whether the server took the search; if it did not, and it may not be widened, RefusedError."""
        size = PATIENTS if isinstance(self._store, Client) else len(patients)
        groups: list[Sequence[str]] = list(chunks(patients, size)) if search.subjects else [[]]
        try:
            for group in groups:
                self._take(search, self._store.search(search.resource_type, _parameters(search, group)))
        except RefusedError as refused:
            if self._filter_here and refused.status == 400:
                return False
            raise
        return True

    def _widen(self, search: Search, patients: Sequence[str]) -> None:
        text = f"the server cannot search {search.resource_type} so: all were asked for, and filtered here"
        self.pulled.issues.append(Issue("information", "informational", text))
        test = selector(_parameters(search, patients))
        pages = self._store.search(search.resource_type, {"_count": PAGE})
        self._take(search, pages, lambda line: test(msgspec.json.decode(line)))

    def _take(self, search: Search, pages: Iterator[Page], wanted: Callable[[bytes], bool] | None = None) -> None:
        """Writes the pages of one search, and holds what came against the total that the server said."""
        distinct: set[bytes] = set()
        total: int | None = None
        for page in pages:
            self.pulled.issues += page.issues
            total = page.total if total is None else total
            for line in page.matches:
                distinct.add(_digest(line))
                if wanted is None or wanted(line):
                    self._keep(line, search.resource_type)
            for line in page.included:
                self._keep(line, search.resource_type, included=True)
            if self._on_progress:
                self._on_progress(search.resource_type, self.pulled.received[search.resource_type])
        if total is not None:
            self.pulled.expected[search.resource_type] += 0 if wanted else total
            if len(distinct) < total:
                text = f"the server said {total} {search.resource_type} and gave {len(distinct)}: pull again"
                self.pulled.issues.append(Issue("error", "incomplete", text))

    def _keep(self, line: bytes, asked: str, included: bool = False) -> None:
        """Writes a resource, unless it was before; notes the Patients of the cohort."""
        found = head(line)
        if not RESOURCE_TYPE.fullmatch(found.resourceType) or not (included or found.resourceType == asked):
            text = f"the answer to a search for {asked} holds something else, which was left out"
            self.pulled.issues.append(Issue("error", "structure", text))
            return
        name = f"{found.resourceType}.ndjson"
        digest, known = _digest(line), self._seen.setdefault(found.ref, set())
        if digest in known and found.sound:
            self.pulled.duplicates += 1
            return
        if name not in self._files:
            self._files[name] = create(self._part / name)
        self._files[name].write(line + b"\n")
        self.pulled.received[found.resourceType] += 1
        row = self.pulled.received[found.resourceType]
        if not found.sound:
            text = "the resource came without a sound id, so it cannot be told from others"
            self.pulled.issues.append(Issue("warning", "structure", text, file=name, row=row))
        elif known:
            text = "a resource with the same id and other content came before: both were kept"
            self.pulled.issues.append(Issue("warning", "duplicate", text, file=name, row=row))
        if found.resourceType == "Patient" and found.sound and not (included and asked == "Patient"):
            self._patients[found.ref] = None
        known.add(digest)


def _parameters(search: Search, patients: Sequence[str]) -> dict[str, str | Sequence[str]]:
    cohort = {search.subjects: ",".join(patients)} if search.subjects else {}
    return {"_count": PAGE, **search.parameters, **cohort}


def _digest(line: bytes) -> bytes:
    return blake2b(line, digest_size=16).digest()


def _write_manifest(part: Path, store: Client | Folder, searches: Sequence[Search], pulled: Pulled) -> None:
    """What was asked, expected and received, beside the files; `complete` is for whoever computes from them."""
    manifest = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "source": store.gate.base if isinstance(store, Client) else str(store.path),
        "complete": pulled.complete,
        "asked": [
            {"type": search.resource_type, "parameters": dict(search.parameters), "subjects": search.subjects}
            for search in searches
        ],
        "expected": dict(pulled.expected),
        "received": dict(pulled.received),
        "duplicates": pulled.duplicates,
        "issues": [issue.as_dict() for issue in pulled.issues],
    }
    with create(part / "manifest.json") as file:
        file.write(json.dumps(manifest, indent=2, ensure_ascii=False).encode() + b"\n")
