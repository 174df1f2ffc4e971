"""A hospital's own Patients as subjects of the study: linked by an identifier of the hospital, such as the MRN."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from fhir_ivig.fhir.bundle import head
from fhir_ivig.fhir.client import Client
from fhir_ivig.fhir.folder import Folder
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.mapping.references import Told
from fhir_ivig.study.study import Study
from fhir_ivig.sync.searches import escaped

COLUMNS = ("subject", "system", "value")
AT_ONCE = 50  # identifiers a search


@dataclass(frozen=True, slots=True)
class Link:
    """A subject and the identifier that the hospital knows it by; `file` and `row` are where that is said.

    An empty `subject` asks for the Patient alone; who it is, its resources must tell.
    """

    subject: str
    system: str
    value: str
    file: str = ""
    row: int | None = None

    def issue(self, text: str) -> Issue:
        """An error at the link's place."""
        whose = self.subject or "this Patient"
        return Issue("error", "not-found", f"{text}: {whose} is left out.", self.file or None, self.row, "value")


@dataclass(slots=True)
class Linked:
    """The Patients (ids) that links led to; what that tells of whom references mean; what is wrong with the rest."""

    patients: list[str] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)


def read_links(path: Path) -> list[Link]:
    """The links in a CSV file with the columns subject, system and value. IssueError with all that is wrong in it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        said = f"The links cannot be read ({type(error).__name__}): give a CSV file in UTF-8."
        raise IssueError(Issue("fatal", "not-found", said, str(path))) from None
    links, issues = [], []
    for number, row in enumerate(rows, 2):
        cells = [(row.get(name) or "").strip() for name in COLUMNS]
        lacking = [name for name, cell in zip(COLUMNS, cells, strict=True) if not cell]
        issues += [
            Issue(
                "error",
                "required",
                "It is empty: a link has a subject, a system and a value.",
                str(path),
                number,
                name,
            )
            for name in lacking
        ]
        links.append(Link(cells[0], cells[1], cells[2], str(path), number))
    if issues or not links:
        raise IssueError(*issues or [Issue("fatal", "required", "There is no link in it.", str(path))])
    return links


def links_of(study: Study) -> list[Link]:
    """The links that the study's own subjects table tells by its `mrn` column, in the system `mrn_system`."""
    from fhir_ivig.study.tables import read_table

    if "subjects" not in study.tables or "mrn_system" not in study.parameters:
        said = "The study has no subjects table, or no parameter mrn_system: give a CSV file of links instead."
        raise IssueError(Issue("fatal", "required", said, study.path.name))
    links = []
    for block in read_table(study, "subjects"):
        for subject, mrn, row in zip(
            *(block.batch.column(name).to_pylist() for name in ("subject", "mrn")),
            block.numbers.tolist(),
            strict=True,
        ):
            if subject and mrn:
                links.append(Link(subject, study.parameters["mrn_system"], mrn, "subjects", row))
    return links


def resolve(store: Client | Folder, links: Sequence[Link], ours: str, target: str) -> Linked:
    """Looks the links' identifiers up in a server or folder: exactly one Patient each, or an Issue and nobody.

    `ours` is the identifier system of the study's own Patients, which are no hospital's: a subject that has one needs
    no link. `target` is the mapping of Patients, for what is told. IssueError when the look-up fails.
    """
    found = _look_up(store, list(dict.fromkeys((link.system, link.value) for link in links)))
    hospital = {key: [ref for ref, systems in held.items() if ours not in systems] for key, held in found.items()}
    owners: dict[tuple[str, str] | str, set[str]] = {}
    for link in links:
        named: list[tuple[str, str] | str] = [(link.system, link.value), *hospital.get((link.system, link.value), ())]
        for name in named:
            owners.setdefault(name, set()).add(link.subject)
    linked = Linked()
    for link in links:
        key = (link.system, link.value)
        theirs = hospital.get(key, [])
        all_names: list[tuple[str, str] | str] = [key, *theirs]
        if len(theirs) > 1:
            linked.issues.append(link.issue(f"{len(theirs)} Patients have this identifier, where one is due"))
        elif any(len(owners[name]) > 1 for name in all_names):
            linked.issues.append(link.issue("Another subject is linked to the same Patient"))
        elif key not in found:
            linked.issues.append(link.issue("No Patient has this identifier"))
        else:
            linked.patients += [ref.partition("/")[2] for ref in theirs or found[key]]
            if theirs and link.subject:
                names = (theirs[0], f"{link.system}|{link.value}")
                linked.told += [Told(name, target, link.subject, 0) for name in names]
    linked.patients = list(dict.fromkeys(linked.patients))
    return linked


class _Identifier(msgspec.Struct):
    system: str | None = None
    value: str | None = None


class _Patient(msgspec.Struct):
    identifier: list[_Identifier] = msgspec.field(default_factory=list)


def identifiers(line: bytes) -> set[tuple[str, str]]:
    """The identifiers (system, value) of a resource; none where they are not as FHIR has them."""
    try:
        listed = msgspec.json.decode(line, type=_Patient).identifier
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return set()
    return {(each.system, each.value) for each in listed if each.system and each.value}


def _look_up(store: Client | Folder, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], dict[str, set[str]]]:
    """The Patients (`Patient/id`) that have each identifier, with the systems of all their identifiers."""
    found: dict[tuple[str, str], dict[str, set[str]]] = {}
    for start in range(0, len(keys), AT_ONCE):
        some = set(keys[start : start + AT_ONCE])
        value = ",".join(f"{escaped(system)}|{escaped(value)}" for system, value in sorted(some))
        refs, total = set(), 0
        for page in store.search("Patient", {"identifier": value, "_count": "200"}):
            total = max(total, page.total or 0)
            for line in page.matches:
                ref, has = head(line).ref, identifiers(line)
                refs.add(ref)
                for key in has & some:
                    found.setdefault(key, {})[ref] = {system for system, _ in has}
        if len(refs) < total:
            said = f"The server said that {total} Patients have these identifiers and gave {len(refs)}: pull again."
            raise IssueError(Issue("fatal", "incomplete", said))
    return found
