"""A hospital's own Patients as subjects of the study: linked by an identifier of the hospital, such as the MRN."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fhir_ivig.fhir.bundle import head
from fhir_ivig.fhir.client import Client
from fhir_ivig.fhir.folder import Folder
from fhir_ivig.issue import Issue, IssueError, Severity, many
from fhir_ivig.mapping.collection import Bound
from fhir_ivig.mapping.references import Told
from fhir_ivig.study.study import Study
from fhir_ivig.sync.identified import identities
from fhir_ivig.sync.searches import escaped

OWN_MRNS = "mrn"  # in place of a file of links: the study's own column
COLUMNS = ("subject", "system", "value")
AT_ONCE = 50  # identifiers a search


@dataclass(frozen=True, slots=True)
class Link:
    """A subject and the identifier that the hospital knows it by; `file`, `row`, `column` are where that is said.

    An empty `subject` asks for the Patient alone; who it is, its resources must tell.
    """

    subject: str
    system: str
    value: str
    file: str = ""
    row: int | None = None
    column: str = "value"

    def issue(self, text: str) -> Issue:
        """An error at the link's place: whom it names is left out."""
        return self.at("error", f"{text}: {self.subject or 'this Patient'} is left out.")

    def at(self, severity: Severity, text: str, column: str | None = None) -> Issue:
        """An Issue at the link's place."""
        return Issue(severity, "not-found", text, self.file or None, self.row, column or self.column)


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
            header, *rows = list(csv.reader(file, strict=True)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        said = f"The links cannot be read ({type(error).__name__}): give a CSV file in UTF-8."
        raise IssueError(Issue("fatal", "not-found", said, str(path))) from None
    names = [name.strip() for name in header]
    if not {*COLUMNS} <= {*names}:
        said = f"Its first row is to name the columns, with commas between: {','.join(COLUMNS)}."
        raise IssueError(Issue("fatal", "required", said, str(path), 1))
    links, issues = [], []
    for number, row in enumerate(rows, 2):
        if not any(row):
            continue
        if len(row) > len(names):
            said = f"It has {len(row)} cells, the first row {len(names)}: look for a surplus comma."
            issues.append(Issue("error", "structure", said, str(path), number))
        found = dict(zip(names, row, strict=False))
        cells = [found.get(name, "").strip() for name in COLUMNS]
        said = "It is empty: a link has a subject, a system and a value."
        lacking = [name for name, cell in zip(COLUMNS, cells, strict=True) if not cell]
        issues += [Issue("error", "required", said, str(path), number, name) for name in lacking]
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
                links.append(Link(subject, study.parameters["mrn_system"], mrn, block.file, row, OWN_MRNS))
    return links


def links_named(study: Study, links: str | Path) -> list[Link]:
    """The links that a person named: a CSV file, or `mrn` for the study's own column. IssueError as these."""
    return links_of(study) if links == OWN_MRNS else read_links(Path(links))


def strangers(study: Study, links: Sequence[Link]) -> list[Link]:
    """The links of a file that name no subject of the study's own table. IssueError if that cannot be read."""
    from fhir_ivig.study.tables import cells_of

    known = cells_of(study, "subjects", "subject")
    return [link for link in links if link.column != OWN_MRNS and link.subject not in known]


def refuse_strangers(study: Study, links: Sequence[Link]) -> None:
    """For a push: IssueError with every stranger. Whoever was meant has no link, and would be a new Patient."""
    text = "The study has no such subject: correct it or take the row away. Nothing was sent."
    if found := strangers(study, links):
        raise IssueError(*(link.at("error", text, "subject") for link in found))


def doubt_strangers(study: Study, links: Sequence[Link]) -> list[Issue]:
    """For a pull: a warning of every stranger. A pull creates nobody at the hospital, and its study need not list its
    subjects; where it does, somebody else's name is probably misspelt."""
    text = "The study has no such subject: the Patient's rows are under this name. Is it spelt right?"
    try:
        found = strangers(study, links) if "subjects" in study.tables else []
    except IssueError:
        return []  # nothing to hold them against
    return [link.at("warning", text, "subject") for link in found]


def patient_mapping(bound: Bound) -> str:
    """The mapping whose resources are Patients."""
    return next(name for name, each in bound.mappings.by_name.items() if each.resource_type == "Patient")


@dataclass(frozen=True, slots=True)
class Match:
    """What a link led to: the hospital's Patients (the resources by `Patient/id`); where there is none, the `others`
    that have the identifier, which are the study's own; why it cannot be taken, if so."""

    link: Link
    theirs: dict[str, bytes]
    others: dict[str, bytes]
    wrong: str | None = None


def match(store: Client | Folder, links: Sequence[Link], ours: str) -> Iterator[Match]:
    """Looks the links' identifiers up in a server or folder: exactly one Patient each, for one subject, or what is
    wrong. `ours` is the identifier system of the study's own Patients, which are no hospital's. IssueError when the
    look-up fails."""
    found = _look_up(store, list(dict.fromkeys((link.system, link.value) for link in links)))
    hospital = {
        key: {ref: line for ref, line in held.items() if ours not in {system for system, _ in identities(line)}}
        for key, held in found.items()
    }
    owners: dict[tuple[str, str] | str, set[str]] = {}
    for link in links:
        named: list[tuple[str, str] | str] = [(link.system, link.value), *hospital.get((link.system, link.value), ())]
        for name in named:
            owners.setdefault(name, set()).add(link.subject)
    for link in links:
        key = (link.system, link.value)
        theirs = hospital.get(key, {})
        names: list[tuple[str, str] | str] = [key, *theirs]
        wrong = None
        if len(theirs) > 1:
            wrong = f"{len(theirs)} Patients have this identifier, where one is due"
        elif any(len(owners[name]) > 1 for name in names):
            wrong = "Another subject is linked to the same Patient"
        elif key not in found:
            wrong = "No Patient has this identifier"
        yield Match(link, theirs, found.get(key, {}), wrong)


def resolve(store: Client | Folder, links: Sequence[Link], ours: str, target: str) -> Linked:
    """The Patients that links lead to, or an Issue and nobody; a subject that has a Patient of the study needs no
    link. `target` is the mapping of Patients, for what is told. Otherwise as `match`."""
    linked = Linked()
    for each in match(store, links, ours):
        if each.wrong:
            linked.issues.append(each.link.issue(each.wrong))
            continue
        linked.patients += [ref.partition("/")[2] for ref in each.theirs or each.others]
        if each.theirs and each.link.subject:
            names = (*each.theirs, f"{each.link.system}|{each.link.value}")
            linked.told += [Told(name, target, each.link.subject, 0) for name in names]
    linked.patients = list(dict.fromkeys(linked.patients))
    return linked


def _look_up(store: Client | Folder, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], dict[str, bytes]]:
    """The Patients, by `Patient/id`, that have each identifier."""
    found: dict[tuple[str, str], dict[str, bytes]] = {}
    for start in range(0, len(keys), AT_ONCE):
        some = set(keys[start : start + AT_ONCE])
        value = ",".join(f"{escaped(system)}|{escaped(value)}" for system, value in sorted(some))
        refs, total = set(), 0
        for page in store.search("Patient", {"identifier": value, "_count": "200"}):
            total = max(total, page.total or 0)
            for line in page.matches:
                ref = head(line).ref
                refs.add(ref)
                for key in identities(line) & some:
                    found.setdefault(key, {})[ref] = line
        if len(refs) < total:
            said = f"The server said that {many(total, 'Patient has', 'Patients have')} these identifiers "
            said += f"and gave {len(refs)}: try again."
            raise IssueError(Issue("fatal", "incomplete", said))
    return found
