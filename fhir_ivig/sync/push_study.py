"""A study's tables to a server or folder: planned, then pushed; every problem at its row of its table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fhir_ivig.fhir.server import ServerSettings, server_settings
from fhir_ivig.issue import Issue, IssueError, failed
from fhir_ivig.mapping.template import holes
from fhir_ivig.study.study import Study
from fhir_ivig.sync.export import Exported, bind, export
from fhir_ivig.sync.issues import read_issues
from fhir_ivig.sync.journal import Journal, journal_path
from fhir_ivig.sync.places import Place
from fhir_ivig.sync.plan import Plan, Target, plan
from fhir_ivig.sync.planned import Change, Planned
from fhir_ivig.sync.provenance import record
from fhir_ivig.sync.push import apply, open_target
from fhir_ivig.sync.rejects import write_rejects
from fhir_ivig.sync.steps import Take

Progress = Callable[..., None]
_INDEX = re.compile(r"\[\d+\]")
_COUNTED = ("created", "updated", "unchanged", "failed", "conflicts", "withdrawn", "left", "withheld")


@dataclass(slots=True)
class PushedStudy:
    """How many resources were created, updated, unchanged, failed, in conflict, withdrawn, and left the study without
    being marked; and how many rows were withheld before."""

    created: int
    updated: int
    unchanged: int
    failed: int
    conflicts: int
    withdrawn: int
    left: int
    withheld: int
    issues: list[Issue] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether the target is as the study is."""
        return not self.failed and not self.withheld and not failed(self.issues)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        counts = {name: getattr(self, name) for name in _COUNTED}
        return {**counts, "issues": [issue.as_dict() for issue in self.issues]}


@dataclass(frozen=True, slots=True)
class Made:
    """A plan, and what it was made of."""

    study: Study
    exported: Exported
    folder: Path  # where it was exported to
    plan: Plan
    store: Target
    journal: Journal
    columns: Mapping[str, Mapping[str, str]]  # mapping -> FHIRPath -> column

    def place(self, file: str | None, row: int | None) -> Place | None:
        """The row of the study behind a line of the exported files."""
        places = self.exported.places.get(Path(file).stem) if file and row else None
        return places.of(row) if places and row else None

    def issues(self, issues: Sequence[Issue]) -> list[Issue]:
        """The Issues, at the study's rows and columns in place of the exported files' lines."""
        found = []
        for issue in issues:
            if place := self.place(issue.file, issue.row):
                column = self.columns[place.mapping].get(_INDEX.sub("", issue.path or ""), issue.column)
                issue = issue.at(file=place.file, row=place.row, column=column)
            found.append(issue)
        return found

    def planned(self) -> Planned:
        """What would be done, for people."""
        changes = []
        for ref, step in self.plan.steps.items():
            place = self.place(*self.plan.places.get(ref, (None, None)))
            columns = self.columns[place.mapping] if place else {}
            file, row = (place.file, place.row) if place else (None, None)
            values = [
                (path, columns.get(_INDEX.sub("", path)), theirs, ours)
                for path, (theirs, ours) in sorted(step.changes.items())
            ]
            changes.append(Change(ref, step.state, file, row, values, (step.before or b"").hex()))
        counts = {state: self.plan.counts()[state] for state in ("create", "update", "unchanged", "conflict", "left")}
        counts |= {"refused": self.plan.counts()["refused"] + self.plan.unsent}
        counts |= {"withheld": self.exported.withheld.total()}
        created = [ref for ref, state in self.plan.states.items() if state == "create"]
        issues = [*self.exported.log.first, *self.issues(self.plan.issues)]
        whose = self.study.base, self.journal.about["target"], _hash(self.folder)
        return Planned(*whose, counts, changes, created, issues)


def plan_study(
    study: Study,
    target: str | ServerSettings,
    *,
    version: str | None = None,
    token: str | None = None,
    journal: Path | None = None,
    take: Mapping[str, Take] | None = None,
    progress: Progress | None = None,
) -> Planned:
    """What a push would do, and nothing done: every row held against a FHIR server (its base URL, or a server.yaml)
    or NDJSON folder.

    `journal` is the file that knows what was sent before (beside study.yaml if None); `take` says for resources in
    conflict (`Type/id`) whose to take. IssueError if the target cannot be read.
    """
    with _made(study, target, version, token, journal, take, progress, keep=False) as made:
        return made.planned()


def push_study(
    study: Study,
    target: str | ServerSettings,
    *,
    version: str | None = None,
    token: str | None = None,
    journal: Path | None = None,
    take: Mapping[str, Take] | None = None,
    withdraw: bool = False,
    planned: Planned | None = None,
    rejects: Path | None = None,
    agent: str | None = None,
    progress: Progress | None = None,
) -> PushedStudy:
    """Make a FHIR server (its base URL, or a server.yaml) or NDJSON folder hold what the study holds.

    Rows in which something is wrong are withheld; the rest is sent. What somebody else changed is reported and left,
    unless `take` says otherwise; what left the study is marked as entered in error only with `withdraw`; nothing is
    deleted. With `planned` exactly that is done, or nothing if the study or the target has moved since. The rows that
    were not taken are written to the folder `rejects`, with the reasons. `agent`, a name, is recorded at the target
    as who sent what (Provenance). IssueError if nothing could be done.
    """
    with _made(study, target, version, token, journal, take, progress, keep=True) as made:
        if planned:
            planned.check(made.planned())
        pushed = apply(made.plan, made.store, made.journal, withdraw=withdraw, on_progress=progress)
        done = pushed.created or pushed.updated or pushed.unchanged or pushed.withdrawn or pushed.conflicts
        lost = any(issue.severity == "fatal" for issue in pushed.issues)
        if agent and pushed.stored:
            pushed.issues += record(made.store, agent, pushed.stored)
            made.store.finish()
        refused = made.issues(pushed.issues)
        if rejects:
            write_rejects(study, [*read_issues(made.folder / "issues.ndjson"), *refused], rejects)
        issues = [*made.exported.log.first, *refused]
    if lost and not done:
        raise IssueError(*issues)
    counts = {name: getattr(pushed, name) for name in _COUNTED if name != "withheld"}
    return PushedStudy(**counts, withheld=made.exported.withheld.total(), issues=issues)


@dataclass(frozen=True, slots=True)
class Status:
    """How many resources the journal knows in each state (see `journal.State`)."""

    journal: str
    counts: dict[str, int]

    @property
    def complete(self) -> bool:
        """Whether nothing was refused, and nothing was on its way when a push ended."""
        return not self.counts.get("failed") and not self.counts.get("sent")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"journal": self.journal, "complete": self.complete, "counts": self.counts}


def status_of(
    study: Study, target: str | ServerSettings, *, version: str | None = None, journal: Path | None = None
) -> Status:
    """What the journal of a study knows of a target. IssueError if there is none, or it is another's."""
    name = _name(target)
    path = journal or journal_path(study.folder, name)
    if not path.exists():
        text = "There is no journal of this study for this target: nothing was pushed to it from here."
        raise IssueError(Issue("fatal", "not-found", text, str(path)))
    found = Journal.open(path, _about(study, name, version))
    try:
        return Status(str(path), found.counts())
    finally:
        found.close()


def _name(target: str | ServerSettings) -> str:
    """A server by its base address, a folder by its path."""
    settings = server_settings(target)
    return settings.base.rstrip("/") if settings else str(Path(str(target)).resolve())


def _about(study: Study, name: str, version: str | None) -> dict[str, str]:
    return {"study": study.base, "target": name, "version": version or study.fhir_version}


@contextmanager
def _made(
    study: Study,
    target: str | ServerSettings,
    version: str | None,
    token: str | None,
    journal: Path | None,
    take: Mapping[str, Take] | None,
    progress: Progress | None,
    keep: bool,
) -> Iterator[Made]:
    """The plan of a study, its journal held for us alone and kept, or (not `keep`) read and not begun."""
    store = open_target(target, token, version or study.fhir_version)
    name = _name(target)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="fhir-ivig-")))
        path = journal or journal_path(study.folder, name)
        about = _about(study, name, version)
        found = Journal.open(path if keep or path.exists() else folder / "journal", about)
        stack.callback(found.close)
        if keep:
            stack.enter_context(found.lease())
        bound = bind(study, version)
        exported = export(study, folder / "fhir", version=version, bound=bound, progress=progress)
        withheld = exported.withheld.total()
        made = plan(folder / "fhir", store, journal=found, take=take, version=about["version"], left=not withheld)
        if withheld and found.counts():
            text = "Rows are withheld: which rows left the study cannot be known before they are corrected."
            made.issues.append(Issue("information", "informational", text))
        columns = {
            name: {hole.path: hole.columns[-1] for hole in reversed(list(holes(mapping.resource)))}
            for name, mapping in bound.mappings.by_name.items()
        }
        yield Made(study, exported, folder / "fhir", made, store, found, columns)


def _hash(folder: Path) -> str:
    """A hash of the resources in a folder."""
    found = blake2b(digest_size=16)
    for path in sorted(folder.glob("[A-Z]*.ndjson")):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                found.update(block)
    return found.hexdigest()
