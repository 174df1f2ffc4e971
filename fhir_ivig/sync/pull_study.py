"""A study fetched from a server or folder: its resources as received, its tables, what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import astuple
from hashlib import blake2b
from pathlib import Path

from fhir_ivig.fhir.client import Client
from fhir_ivig.fhir.files import BLOCK_BYTES, LINE_LIMIT, rank, read_blocks
from fhir_ivig.fhir.folder import Folder
from fhir_ivig.fhir.lines import block_of
from fhir_ivig.fhir.server import ServerSettings, server_settings
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.mapping.collection import Bound
from fhir_ivig.mapping.identity import identifier_system
from fhir_ivig.study.study import Study
from fhir_ivig.sync.bulk import Bulk, Export
from fhir_ivig.sync.cohort import complete_folder
from fhir_ivig.sync.export import bind
from fhir_ivig.sync.identified import identities
from fhir_ivig.sync.incremental import deleted_since, known_from, merge
from fhir_ivig.sync.lease import held
from fhir_ivig.sync.links import Link, Linked, doubt_strangers, links_named, patient_mapping, resolve
from fhir_ivig.sync.portions import UNDER_WAY, Portions, kept
from fhir_ivig.sync.pull import pull
from fhir_ivig.sync.pull_bulk import pull_bulk
from fhir_ivig.sync.receiving import Pulled, Taker
from fhir_ivig.sync.search import Known, Search
from fhir_ivig.sync.searches import searches
from fhir_ivig.sync.source import Origin, ask_server, open_source
from fhir_ivig.sync.tabulate import Tabulated, Tabulating, tabulating
from fhir_ivig.sync.whole import real, whole_folder


def pull_study(
    study: Study,
    source: str | ServerSettings | Client,
    out: Path,
    *,
    version: str | None = None,
    token: str | None = None,
    subjects: Sequence[str] | None = None,
    mrns: Sequence[str] | None = None,
    codes: Sequence[str] | None = None,
    links: str | Path | None = None,
    since_last: bool = False,
    bulk: Bulk | None = None,
    progress: Callable[..., None] | None = None,
) -> Tabulated:
    """Fetch a study from a FHIR server (its base URL, or a `Client`) or a folder into `out`: `out/fhir` as received,
    the tables, `study.yaml` (which makes it a study again), `manifest.json`, `issues.ndjson`.

    All of the study by default: the Patients and ResearchSubjects that carry its identifiers, the Patients that these
    refer to, and what belongs to them. `subjects` narrows it to these of the study's subjects, `mrns` to the Patients
    with these values in the study's `mrn_system`, `codes` to resources with these codes (`system|code`).
    `links` names a CSV file (subject, system, value), or is "mrn" for the study's own subjects table: who the
    hospital's own Patients are (see `sync.links`).

    With `since_last` only what changed since the pull in `out` is asked for and put together with what that one got;
    what was deleted since is taken out, as far as the server's history tells. Where that cannot be (no earlier
    complete pull of the same from there, a server without `_lastUpdated`), all is asked for, and an information Issue
    says so. With `bulk` the server exports the resources to files, and the cohort is picked out of these here; while
    that goes on they are kept in `OUT.bulk`, and the same call goes on after an interruption.

    The rows are sorted by key, so equal studies give equal files. A table of which nothing was found is there, empty:
    it was asked for. What is not complete (`Tabulated.complete`, `complete` in the manifest) does not replace an
    earlier complete cohort: it becomes `OUT.incomplete` (`Tabulated.out`). IssueError if nothing at all came; then
    `out` is as it was.
    """
    bound, store = bind(study, version), open_source(source, token)
    read = [study.path, *([store.path] if isinstance(store, Folder) else [])]
    with ExitStack() as after, whole_folder(out, read, keep_complete=True) as part, ExitStack() as stack:
        settings = None if isinstance(source, Client) else server_settings(source)
        server = ask_server(store, bound.mappings.version, settings)
        linked = _link(store, study, bound, subjects, mrns, links)
        asked = searches(
            bound, subjects=subjects, patients=linked.patients, only_patients=mrns is not None, codes=codes
        )
        asked.sort(key=lambda search: (rank(search.resource_type), search.resource_type))
        known, why = known_from(out, store, asked) if since_last and isinstance(store, Client) else (None, [])
        base = store.gate.base if isinstance(store, Client) else server.base
        tables = stack.enter_context(
            tabulating(part, study, bound, sort=True, told=linked.told, base=base, progress=progress)
        )
        at_once = isinstance(store, Client) and not known and not bulk
        taker = _taker(tables, part / "fhir") if at_once else None
        fetching = _fetched(
            store, asked, bound, server, known, bulk, real(out), part / "fhir", taker, progress, after
        )
        pulled, said = stack.enter_context(fetching)
        issues = [*linked.issues, *why, *said]
        if not pulled.received:
            raise IssueError(*issues, *pulled.issues)
        issues += pulled.issues
        if known and isinstance(store, Client):
            issues += _put_together(store, known, pulled, out / "fhir", part / "fhir")
        issues += _not_found(part / "fhir", bound, linked, subjects or ())
        issues += _none_found(asked, pulled, part / "fhir")
        tables.tabulated.log.add(issues, ahead=True)
        for block in () if at_once else read_blocks([part / "fhir"], BLOCK_BYTES):
            tables.take(block)
        found = tables.finish()
        complete_folder(study, out, part, found, pulled.complete)
    return found


def _taker(tables: Tabulating, fhir: Path) -> Taker:
    """Tabulates what comes while the server is at work on what is still to come."""

    def take(kind: str, lines: bytes, first: int) -> None:
        block, _ = block_of(str(fhir / f"{kind}.ndjson"), lines, first, LINE_LIMIT)
        tables.take(block)

    return take


@contextmanager
def _fetched(
    store: Client | Folder,
    asked: list[Search],
    bound: Bound,
    server: Origin,
    known: Known | None,
    bulk: Bulk | None,
    out: Path,
    fhir: Path,
    taker: Taker | None,
    progress: Callable[..., None] | None,
    after: ExitStack,
) -> Iterator[tuple[Pulled, list[Issue]]]:
    """What is found, in the folder `fhir`, and what is to be said of it.

    Nobody goes on with what is kept beside `out` on the way when the block has ended well, before `out` is there:
    whoever is killed in between pulls anew, and gets nothing old. It is cleared away `after` that.
    """
    if not isinstance(store, Client):
        yield pull(store, asked, fhir, filter_here=True, server=server, progress=progress), []
    elif bulk:
        folder = out.with_name(f"{out.name}.bulk")
        with held(folder, UNDER_WAY):
            export = Export(store, bulk, folder, progress)
            yield pull_bulk(export, asked, fhir, server, earlier=out / "fhir", known=known, progress=progress), []
            export.forget()
    else:
        portions = after.enter_context(kept(out.with_name(f"{out.name}.pull")))
        portions.begin(_same(store, bound, server, asked, known), server.time)
        pulled = pull(
            store,
            asked,
            fhir,
            filter_here=True,
            known=known,
            server=server,
            portions=portions,
            taker=taker,
            progress=progress,
        )
        yield pulled, [*portions.issues, *_kept_on(portions, pulled)]
        if not pulled.broken_off:
            portions.finish()


def _same(
    store: Client, bound: Bound, server: Origin, asked: Sequence[Search], known: Known | None
) -> dict[str, str]:
    """What a pull that was broken off must have in common with one that goes on with it."""
    since = [known.time, *sorted(known.patients)] if known else []
    told = blake2b(json.dumps([[astuple(search) for search in asked], since]).encode(), digest_size=8)
    return {"source": store.gate.base, "study": bound.base, **server.versions, "request": told.hexdigest()}


def _kept_on(portions: Portions, pulled: Pulled) -> list[Issue]:
    """What becomes of the portions of a pull that has ended too early, or has found nothing."""
    if pulled.broken_off:
        text = "What was received is kept there: the same command goes on with it, for a day."
        return [Issue("information", "informational", text, str(portions.folder))]
    if not pulled.received:
        portions.finish()
    return []


def _link(
    store: Client | Folder,
    study: Study,
    bound: Bound,
    subjects: Sequence[str] | None,
    mrns: Sequence[str] | None,
    links: str | Path | None,
) -> Linked:
    """The hospital's Patients of the cohort. IssueError for links that cannot be read or a look-up that fails."""
    found = [] if links is None else links_named(study, links)
    if subjects is not None:
        found = [link for link in found if link.subject in subjects]
    doubts = doubt_strangers(study, found)
    if mrns is not None:
        if "mrn_system" not in study.parameters:
            said = "MRNs need their identifier system: give it as the parameter mrn_system in study.yaml."
            raise IssueError(Issue("fatal", "required", said, study.path.name))
        known = {link.value: link for link in found if link.system == study.parameters["mrn_system"]}
        found = [known.get(mrn) or Link("", study.parameters["mrn_system"], mrn) for mrn in mrns]
    if not found:
        return Linked()
    target = patient_mapping(bound)
    linked = resolve(store, found, identifier_system(bound.base, target), target)
    linked.issues += doubts
    return linked


def _not_found(fhir: Path, bound: Bound, linked: Linked, subjects: Sequence[str]) -> list[Issue]:
    """An error for each subject asked for by its number that no Patient, ResearchSubject or link names."""
    systems = {identifier_system(bound.base, name) for name in bound.mappings.by_name}
    known = {told.value for told in linked.told}
    for kind in ("Patient", "ResearchSubject"):
        file = fhir / f"{kind}.ndjson"
        for line in file.read_bytes().splitlines() if file.exists() and subjects else ():
            known |= {value for system, value in identities(line) if system in systems}
    return [
        Issue("error", "not-found", f"The subject {subject} was asked for and not found.")
        for subject in subjects
        if subject not in known
    ]


def _put_together(store: Client, known: Known, pulled: Pulled, earlier: Path, new: Path) -> list[Issue]:
    """What the earlier pull got and is still so, with what came now. IssueError if the server breaks off."""
    kinds = sorted(pulled.changed_only)
    gone = deleted_since(store, kinds, known.time)
    merge(earlier, new, kinds, gone.refs, known.patients - pulled.patients.keys())
    return gone.issues


def _none_found(asked: list[Search], pulled: Pulled, fhir: Path) -> list[Issue]:
    """A warning for each resource type that was asked for and of which there was none at all."""
    if not pulled.patients:
        return []
    kinds = dict.fromkeys(search.resource_type for search in asked)
    return [
        Issue("warning", "not-found", f"There is no {kind} of this study's subjects.")
        for kind in kinds
        if not (fhir / f"{kind}.ndjson").exists()
    ]
