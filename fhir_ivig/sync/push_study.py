"""A study's tables to a server or folder: planned, then pushed; every problem at its row of its table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhir_ivig.fhir.server import ServerSettings
from fhir_ivig.issue import Issue, IssueError, failed
from fhir_ivig.study.study import Study
from fhir_ivig.sync.issues import read_issues
from fhir_ivig.sync.journal import CONFLICTS, Journal, journal_path
from fhir_ivig.sync.making import Progress, about, name_of, planned_push
from fhir_ivig.sync.planned import Planned
from fhir_ivig.sync.provenance import record
from fhir_ivig.sync.push import apply
from fhir_ivig.sync.rejects import write_rejects
from fhir_ivig.sync.steps import Take
from fhir_ivig.sync.whole import check_place

_COUNTED = ("created", "updated", "unchanged", "linked", "failed", "conflicts", "withdrawn", "left", "withheld")
NOT_OUR_IDS = (
    "Nothing at all was taken under our ids. If the server chooses ids itself (`fhir-ivig server ADDRESS --probe` "
    "tells), say `strategy: conditional-create` or `strategy: search-create` in server.yaml."
)


@dataclass(slots=True)
class PushedStudy:
    """How many resources were created, updated, unchanged, linked (Patients of the hospital), failed, in conflict,
    withdrawn, and left the study without being marked; and how many rows were withheld before."""

    created: int
    updated: int
    unchanged: int
    linked: int
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


def plan_study(
    study: Study,
    target: str | ServerSettings,
    *,
    version: str | None = None,
    token: str | None = None,
    journal: Path | None = None,
    take: Mapping[str, Take] | None = None,
    links: str | Path | None = None,
    progress: Progress | None = None,
) -> Planned:
    """What a push would do, and nothing done: every row held against a FHIR server (its base URL, or a server.yaml)
    or NDJSON folder.

    `journal` is the file that knows what was sent before (beside study.yaml if None); `take` says for resources in
    conflict (`Type/id`) whose to take. `links` names a CSV file (subject, system, value), or is "mrn" for the study's
    own subjects table: which subjects are the hospital's own Patients (as the last push had it, if None). IssueError
    if the target cannot be read.
    """
    with planned_push(study, target, version, token, journal, take, links, progress, keep=False) as made:
        return made.planned()


def push_study(
    study: Study,
    target: str | ServerSettings,
    *,
    version: str | None = None,
    token: str | None = None,
    journal: Path | None = None,
    take: Mapping[str, Take] | None = None,
    links: str | Path | None = None,
    withdraw: bool = False,
    planned: Planned | None = None,
    rejects: Path | None = None,
    agent: str | None = None,
    progress: Progress | None = None,
) -> PushedStudy:
    """Make a FHIR server (its base URL, or a server.yaml) or NDJSON folder hold what the study holds.

    Rows in which something is wrong are withheld; the rest is sent. What somebody else changed is reported and left,
    unless `take` says otherwise; what left the study is marked as entered in error only with `withdraw`; nothing is
    deleted. A Patient of the hospital (`links`, as for `plan_study`) is pointed at and stays as it is. With `planned`
    exactly that is done, or nothing if the study or the target has moved since. The rows that were not taken are
    written to the folder `rejects`, with the reasons. `agent`, a name, is recorded at the target as who sent what
    (Provenance). IssueError if nothing could be done.
    """
    if rejects:
        check_place(rejects, [study.path])
    with planned_push(study, target, version, token, journal, take, links, progress, keep=True) as made:
        if planned:
            planned.check(made.planned())
        made.remember()
        settings = {"withdraw": withdraw, "versions": bool(agent)}
        pushed = apply(made.plan, made.store, made.journal, **settings, progress=progress)
        done = pushed.created or pushed.updated or pushed.unchanged or pushed.withdrawn or pushed.conflicts
        lost = any(issue.severity == "fatal" for issue in pushed.issues)
        if agent and pushed.stored:
            pushed.issues += record(made.store, agent, pushed.stored)
            made.store.finish()
        if made.strategy == "client-id" and made.plan.counts()["create"] and not (done or lost):
            pushed.issues.append(Issue("error", "not-supported", NOT_OUR_IDS))
        refused = made.issues(pushed.issues)
        if rejects:
            write_rejects(study, [*read_issues(made.folder / "issues.ndjson"), *refused], rejects)
        issues = [*made.exported.log.first, *refused]
    if lost and not done:
        raise IssueError(*issues)
    counts = {name: getattr(pushed, name) for name in _COUNTED if name not in ("linked", "withheld")}
    linked, withheld = made.plan.counts()["linked"], made.exported.withheld.total()
    return PushedStudy(**counts, linked=linked, withheld=withheld, issues=issues)


@dataclass(frozen=True, slots=True)
class Status:
    """How many resources the journal knows in each state (see `journal.State`), and how many were in conflict at the
    last push."""

    journal: str
    counts: dict[str, int]
    conflicts: int

    @property
    def complete(self) -> bool:
        """Whether nothing was refused or in conflict, and nothing was on its way when a push ended."""
        return not (self.counts.get("failed") or self.counts.get("sent") or self.conflicts)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "journal": self.journal,
            "complete": self.complete,
            "counts": self.counts,
            "conflicts": self.conflicts,
        }


def status_of(
    study: Study, target: str | ServerSettings, *, version: str | None = None, journal: Path | None = None
) -> Status:
    """What the journal of a study knows of a target. IssueError if there is none, or it is another's."""
    name = name_of(target)
    path = journal or journal_path(study.folder, name)
    if not path.exists():
        text = "There is no journal of this study for this target: nothing was pushed to it from here."
        raise IssueError(Issue("fatal", "not-found", text, str(path)))
    found = Journal.open(path, about(study, name, version), write=False)
    try:
        return Status(str(path), found.counts(), int(found.recall(CONFLICTS) or 0))
    finally:
        found.close()
