"""A cohort out of a bulk export: what the searches would have found, picked out of the export's files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copy

from fhir_ivig.fhir.bundle import head
from fhir_ivig.fhir.files import read_blocks
from fhir_ivig.fhir.folder import Folder, create
from fhir_ivig.sync.bulk import Export, Exported
from fhir_ivig.sync.incremental import deleted_since
from fhir_ivig.sync.pull import pull
from fhir_ivig.sync.receiving import Pulled
from fhir_ivig.sync.search import Known, Search
from fhir_ivig.sync.source import Origin

_NOT_OF_PATIENTS = {"ResearchStudy"}  # which an export of Patients does not have


def pull_bulk(
    export: Export,
    searches: Sequence[Search],
    out: Path,
    server: Origin,
    *,
    earlier: Path | None = None,
    known: Known | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> Pulled:
    """As `pull`, from a bulk export of the types of the searches; its Issues are among those of the pull.

    With `known` and what that pull got (in the folder `earlier`), the cohort is searched for, what changed of it is
    exported, and both are put together with what was there. Where Patients are new to the cohort, all is exported:
    what is theirs may be older than that.
    """
    kinds = dict.fromkeys(["Patient", *(search.resource_type for search in searches)])
    if known and earlier:
        members = [search for search in searches if not search.subjects]
        cohort = pull(export.client, members, out, filter_here=True, server=server)
        if cohort.complete and cohort.patients.keys() <= known.patients:
            others = [kind for kind in kinds if kind not in cohort.received]
            exported = export.run(others, known.time)
            deleted = deleted_since(export.client, others, known.time)  # not every export tells
            exported.gone |= deleted.refs
            exported.issues += deleted.issues
            _put_beside(exported, out, earlier)
            return _pick(export, exported, searches, out, server, progress)
    exported = export.run([kind for kind in kinds if export.bulk.level == "system" or kind not in _NOT_OF_PATIENTS])
    return _pick(export, exported, searches, out, server, progress)


def _pick(
    export: Export,
    exported: Exported,
    searches: Sequence[Search],
    out: Path,
    server: Origin,
    progress: Callable[[str, int], None] | None,
) -> Pulled:
    base = export.client.gate.base
    there = replace(server, time=exported.time or server.time, base=base)
    folder = Folder(exported.folder)
    return pull(folder, searches, out, server=there, issues=exported.issues, progress=progress)


def _put_beside(exported: Exported, cohort: Path, earlier: Path) -> None:
    """The cohort, and what an earlier pull got and nothing newer is known of, beside the files of the export."""
    for old in (*exported.folder.glob("cohort-*"), *exported.folder.glob("earlier-*")):
        old.unlink()  # of a run that was broken off
    came = {
        head(line).ref for block in read_blocks(exported.folder.glob("*.ndjson")) for line in block.lines
    } | exported.gone
    there = {file.name for file in cohort.glob("*.ndjson")}
    for file in cohort.glob("*.ndjson"):
        copy(file, exported.folder / f"cohort-{file.name}")
    for file in earlier.glob("*.ndjson"):
        with file.open("rb") as stream:
            kept = [line for line in stream if head(line).ref not in came]
        if kept and file.name not in there:
            with create(exported.folder / f"earlier-{file.name}") as out:
                out.writelines(kept)
