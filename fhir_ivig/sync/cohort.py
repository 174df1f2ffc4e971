"""A study to a server and back: what the other files of this room do, in one call each."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from fhir_ivig.fhir.address import is_address
from fhir_ivig.issue import Issue, IssueError, failed
from fhir_ivig.study.study import Study
from fhir_ivig.sync.export import bind, export
from fhir_ivig.sync.searches import searches
from fhir_ivig.sync.tabulate import Tabulated, tabulate_into
from fhir_ivig.sync.whole import whole_folder

if TYPE_CHECKING:
    from fhir_ivig.sync.pull import Pulled, Search


@dataclass(slots=True)
class PushedStudy:
    """How many resources were created, updated, unchanged and failed, and how many rows were withheld before."""

    created: int
    updated: int
    unchanged: int
    failed: int
    withheld: int
    issues: list[Issue] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether everything in the study is at the target."""
        return not self.failed and not self.withheld and not failed(self.issues)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        counts = {name: getattr(self, name) for name in ("created", "updated", "unchanged", "failed", "withheld")}
        return {**counts, "issues": [issue.as_dict() for issue in self.issues]}


def push_study(
    study: Study,
    target: str,
    *,
    version: str | None = None,
    token: str | None = None,
    progress: Callable[..., None] | None = None,
) -> PushedStudy:
    """Send a study's tables to a FHIR server (its base URL) or an NDJSON folder. See `export` and `push`.

    Rows in which something is wrong are withheld; the rest is sent. IssueError if the target took nothing of it.
    """
    from fhir_ivig.sync.push import push

    with TemporaryDirectory(prefix="fhir-ivig-") as folder:
        exported = export(study, Path(folder) / "fhir", version=version, progress=progress)
        pushed = push(Path(folder) / "fhir", target, token=token, on_progress=progress)
    if pushed.failed and not (pushed.created or pushed.updated or pushed.unchanged):
        raise IssueError(*exported.log.first, *pushed.issues)
    return PushedStudy(
        created=pushed.created,
        updated=pushed.updated,
        unchanged=pushed.unchanged,
        failed=pushed.failed,
        withheld=exported.withheld.total(),
        issues=[*exported.log.first, *pushed.issues],
    )


def pull_study(
    study: Study,
    source: str,
    out: Path,
    *,
    version: str | None = None,
    token: str | None = None,
    progress: Callable[..., None] | None = None,
) -> Tabulated:
    """Fetch a study from a FHIR server (its base URL) or a folder: `out/fhir` as received, the tables in `out`.

    The rows are sorted by key, so equal studies give equal files. `out` has a study.yaml, which makes it a study
    again. `manifest.json` says under `complete` whether anything is missing. A table of which nothing was found is
    there, empty: it was asked for. IssueError if nothing at all came; then `out` is as it was.
    """
    from fhir_ivig.study.writing import write_table
    from fhir_ivig.sync.pull import pull

    bound = bind(study, version)
    read = [study.path] if is_address(source) else [study.path, Path(source)]
    with whole_folder(out, read) as part:
        asked = searches(bound)
        pulled = pull(source, asked, part / "fhir", token=token, filter_here=True, on_progress=progress)
        if not pulled.received:
            raise IssueError(*pulled.issues)
        issues = [*pulled.issues, *_none_found(asked, pulled)]
        found = tabulate_into(part, [part / "fhir"], study, bound, sort=True, issues=issues, progress=progress)
        for table in study.tables.keys() - found.rows.keys():
            write_table(part / f"{table}.csv", [], list(study.dictionary[table].columns))
        write_study(study, out, part, list(dict.fromkeys([*study.tables, *found.rows])))
    return found


def _none_found(asked: list[Search], pulled: Pulled) -> list[Issue]:
    """A warning for each resource type that was asked for and of which there was none at all."""
    return [
        Issue("warning", "not-found", f"There is no {search.resource_type} of this study's subjects.")
        for search in asked
        if not pulled.received[search.resource_type]
    ]


def write_study(study: Study, out: Path, folder: Path, tables: list[str]) -> None:
    """The study.yaml of canonical tables that will stand in `out`: the same study, its tables as they are there."""
    import yaml

    from fhir_ivig.yamltext import load, plain

    text = plain(load(study.path))
    text["tables"] = {table: {} for table in tables if table != "studies"}
    text["fhir_version"] = study.fhir_version
    if study.mappings:
        text["mappings"] = [os.path.relpath(mapping, out) for mapping in study.mappings]
    (folder / "study.yaml").write_text(yaml.safe_dump(text, sort_keys=False, allow_unicode=True), "utf-8")
