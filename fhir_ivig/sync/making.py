"""A study's tables held against a server or folder: the plan of a push, every problem at its row of its table."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from fhir_ivig.fhir.folder import Folder, writing
from fhir_ivig.fhir.server import ServerSettings, server_settings
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.mapping.collection import Bound
from fhir_ivig.mapping.identity import identifier_system
from fhir_ivig.mapping.template import holes
from fhir_ivig.study.study import Study
from fhir_ivig.sync.assigned import Assigned
from fhir_ivig.sync.export import Exported, bind, export
from fhir_ivig.sync.homes import Homes, Pointing
from fhir_ivig.sync.journal import Journal, held_journal, journal_path
from fhir_ivig.sync.lease import held
from fhir_ivig.sync.linking import Linking, link_patients
from fhir_ivig.sync.links import OWN_MRNS, links_named, patient_mapping, refuse_strangers
from fhir_ivig.sync.places import Place
from fhir_ivig.sync.plan import Plan, Target, plan
from fhir_ivig.sync.planned import Change, Planned
from fhir_ivig.sync.push import open_target
from fhir_ivig.sync.server import Server
from fhir_ivig.sync.steps import State, Take
from fhir_ivig.sync.whole import passing_folder, real

Progress = Callable[..., None]
_INDEX = re.compile(r"\[\d+\]")
_SHOWN: tuple[State, ...] = ("create", "update", "unchanged", "linked", "conflict", "left")


@dataclass(frozen=True, slots=True)
class Made:
    """A plan, and what it was made of."""

    study: Study
    exported: Exported
    folder: Path  # where it was exported to
    plan: Plan
    store: Target
    strategy: str | None  # of a server
    journal: Journal
    homes: Homes
    linking: Linking
    links: str | None  # as the journal is to remember it
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
                (path, columns.get(_INDEX.sub("", path)), *self._shown(path, theirs, ours))
                for path, (theirs, ours) in sorted(step.changes.items())
            ]
            at = self.homes.own.get(ref)
            changes.append(Change(ref, step.state, file, row, values, (step.before or b"").hex(), at))
        counts: dict[str, int] = {state: self.plan.counts()[state] for state in _SHOWN}
        counts |= {"refused": self.plan.counts()["refused"] + self.plan.unsent}
        counts |= {"withheld": self.exported.withheld.total()}
        created = [ref for ref, state in self.plan.states.items() if state == "create"]
        issues = [*self.exported.log.first, *self.issues(self.plan.issues)]
        whose = self.study.base, self.journal.about["target"], _hash(self.folder)
        return Planned(*whose, counts, changes, created, self.linking.linked, issues)

    def _shown(self, path: str, *values: Any) -> list[Any]:
        """Values at a path, references as they stand at the target."""
        name = path.rpartition(".")[2]
        return [self.homes.shown({name: value})[name] for value in values]

    def remember(self) -> None:
        """Into the journal, who is linked and where everything is: the next push goes on with it."""
        if self.links:
            self.journal.remember("links", self.links)
        self.journal.settle("hospital", self.homes.linked)
        self.journal.settle("study", {ref: home for ref, home in self.homes.own.items() if home})


def name_of(target: str | ServerSettings) -> str:
    """A server by its base address, a folder by its path."""
    settings = server_settings(target)
    return settings.base.rstrip("/") if settings else str(real(Path(str(target))))


def about(study: Study, name: str, version: str | None) -> dict[str, str]:
    """What a journal must be of: the study, the target, the FHIR version."""
    return {"study": study.base, "target": name, "version": version or study.fhir_version}


@contextmanager
def planned_push(
    study: Study,
    target: str | ServerSettings,
    version: str | None,
    token: str | None,
    journal: Path | None,
    take: Mapping[str, Take] | None,
    links: str | Path | None,
    progress: Progress | None,
    keep: bool,
) -> Iterator[Made]:
    """The plan of a study, its journal held for us alone and kept, or (not `keep`) read and not begun."""
    store = open_target(target, token, version or study.fhir_version)
    if isinstance(store, Folder):
        _refuse_own(study, store.path)
    name = name_of(target)
    with ExitStack() as stack:
        folder = stack.enter_context(passing_folder())
        path = journal or journal_path(study.folder, name)
        whose = about(study, name, version)
        if keep:
            stack.enter_context(held_journal(path))
            if isinstance(store, Folder):  # which others may push to as well, with journals of their own
                stack.enter_context(_held_folder(store.path))
        passing = not keep and not path.exists()
        found = Journal.open(folder / "journal" if passing else path, whose, write=keep or passing)
        stack.callback(found.close)
        bound = bind(study, version)
        exported = export(study, folder / "fhir", version=version, bound=bound, progress=progress)
        named = _named(study, links, found)
        linking = _linking(study, bound, store, folder / "fhir", named, found, take or {})
        homes = Homes(store.base, {**linking.kept, **linking.linked}, found.homes("study"))
        strategy = store.strategy if isinstance(store, Server) else None
        reached = _reached(store, homes, found, folder / "fhir", whose["version"])
        made = plan(
            folder / "fhir",
            reached,
            journal=found,
            take=take,
            version=whose["version"],
            left=exported.complete,
            linking=linking,
        )
        made.issues += linking.issues
        if not exported.complete and found.counts():
            text = "Not all rows were read: which of them left the study cannot be known before that is corrected."
            made.issues.append(Issue("information", "informational", text))
        columns = {
            name: {hole.path: hole.columns[-1] for hole in reversed(list(holes(mapping.resource)))}
            for name, mapping in bound.mappings.by_name.items()
        }
        yield Made(study, exported, folder / "fhir", made, reached, strategy, found, homes, linking, named, columns)


@contextmanager
def _held_folder(path: Path) -> Iterator[None]:
    """Keeps other pushes to a folder away: what is put there is merged into what was there before."""
    try:
        with ExitStack() as stack:
            with writing(path):
                said = "Another push to this folder is under way: wait until it has ended."
                stack.enter_context(held(path / ".push", said))
            yield
    finally:
        with suppress(OSError):
            path.rmdir()  # if nothing was put


def _reached(store: Server | Folder, homes: Homes, journal: Journal, fhir: Path, version: str) -> Target:
    """The target, as it is to be spoken to. IssueError where it gave ids itself before, and is to take ours now."""
    if isinstance(store, Server) and store.strategy != "client-id":
        assigned = Assigned(store, homes, journal, version)
        assigned.learn(fhir)
        return assigned
    elsewhere = next((f"{ref} as {home}" for ref, home in homes.own.items() if ref != home), None)
    if isinstance(store, Server) and not journal.counts() and (fhir / "Patient.ndjson").exists():
        elsewhere = Assigned(store, Homes(store.base, {}), journal, version).elsewhere(fhir / "Patient.ndjson")
    if elsewhere:
        text = f"The target has this study under other ids than ours ({elsewhere}): to send it under ours now "
        text += "would double everything. Say `strategy: conditional-create` (or search-create) in server.yaml."
        raise IssueError(Issue("fatal", "conflict", text, str(journal.path)))
    return Pointing(store, homes) if homes.linked else store


def _refuse_own(study: Study, target: Path) -> None:
    """IssueError if the target is a folder in which study.yaml or a table of the study stands."""
    own = [study.path, *study.files]
    for path in own:
        if real(path).parent == real(target):
            text = f"{path.name} of this study stands here: choose another folder for the FHIR files, such as "
            text += f"{target / 'fhir'}."
            raise IssueError(Issue("fatal", "conflict", text, str(real(target))))


def _named(study: Study, links: str | Path | None, journal: Journal) -> str | None:
    """The links of this push, or else of the last one; a file as it is found from the study's folder."""
    if links is None:
        return journal.recall("links")
    return OWN_MRNS if links == OWN_MRNS else os.path.relpath(links, study.folder)


def _linking(
    study: Study,
    bound: Bound,
    store: Server | Folder,
    fhir: Path,
    named: str | None,
    journal: Journal,
    take: Mapping[str, Take],
) -> Linking:
    """The hospital's own Patients among the subjects. IssueError for links that cannot be read or a look-up that
    fails."""
    if named is None:
        return Linking()
    links = links_named(study, named if named == OWN_MRNS else study.folder / named)
    refuse_strangers(study, links)
    system = identifier_system(bound.base, patient_mapping(bound))
    searched = store.client if isinstance(store, Server) else store
    return link_patients(searched, links, fhir / "Patient.ndjson", system, journal.homes("hospital"), take)


def _hash(folder: Path) -> str:
    """A hash of the resources in a folder."""
    found = blake2b(digest_size=16)
    for path in sorted(folder.glob("[A-Z]*.ndjson")):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                found.update(block)
    return found.hexdigest()
