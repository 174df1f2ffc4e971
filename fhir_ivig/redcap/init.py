"""`init --from-redcap`: a study.yaml for a person to edit, out of a data dictionary, an export and a project.json."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.redcap.check import check
from fhir_ivig.redcap.dictionary import Field, read_dictionary
from fhir_ivig.redcap.export import EVENT, Export, read_export
from fhir_ivig.redcap.matching import is_unit, visit_of, vocabulary
from fhir_ivig.redcap.project import Project, read_project
from fhir_ivig.redcap.proposal import Entry, counts, flow, left, scalar
from fhir_ivig.redcap.propose import Proposing
from fhir_ivig.sync.whole import write_private

_ABOVE = """\
# Proposed by `fhir-ivig init` from {files}. Read every line, then `fhir-ivig check`.
#   sure       the dictionary or the export says so
#   likely     a name, label or note usually means this: look at it
#   to decide  not known: take the # away and fill it in, or take the line away
"""
_ELSEWHERE = (
    "# The export lies outside of this folder: it is read, but `tabulate --as source` cannot write it back.\n"
)


@dataclass(slots=True)
class Proposed:
    """The file that was written, how many of its lines are how certain, what is left to decide, what does not fit."""

    file: Path
    counts: Counter[str]
    left: list[str]
    issues: list[Issue] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        issues = [issue.as_dict() for issue in self.issues]
        return {"file": str(self.file), "lines": dict(self.counts), "left": self.left, "issues": issues}


def init(dictionary: Path, export: Path | None, out: Path) -> Proposed:
    """Write OUT/study.yaml. `dictionary` may be a folder as `redcap pull` writes it; without an export given, the one
    beside the dictionary is read, if it is there. IssueError if OUT has a study.yaml, or a file cannot be read."""
    if dictionary.is_dir():
        dictionary = dictionary / "dictionary.csv"
    beside = dictionary.with_name("export.csv")
    export = export or (beside if beside.exists() else None)
    file = out / "study.yaml"
    if file.exists():
        text = "There is a study.yaml already: it is left as it is. Name another folder."
        raise IssueError(Issue("fatal", "conflict", text, str(file)))
    fields = read_dictionary(dictionary)
    project = read_project(dictionary.with_name("project.json"))
    read = read_export(export, fields) if export else None
    issues = list(check(read, fields, project)) if read else []
    named = os.path.relpath(export, out) if export else "export.csv"
    proposing = Proposing(fields, read, project, Path(named).as_posix())
    tables = Entry("tables:", below=proposing.entries())
    entries = [*_head(project), _visits(proposing), _measures(proposing), tables]
    above = _ABOVE + (_ELSEWHERE if named.startswith("..") else "")
    files = dictionary.name if export is None else f"{dictionary.name} and {export.name}"
    lines = [line for entry in entries for line in entry.lines()]
    out.mkdir(parents=True, exist_ok=True)
    write_private(file, above.format(files=files) + "\n".join(lines) + "\n")
    return Proposed(file, counts(entries), list(left(entries)), issues)


def _head(project: Project) -> Iterator[Entry]:
    yield Entry("study: short-name", "to decide", "the study's short name")
    if project.title:
        yield Entry(f"title: {scalar(project.title)}", "likely", "the project's title")
    else:
        yield Entry("title: The study's title", "to decide", "the study's title")
    yield Entry("status: active", "to decide", "active, completed, in-review or withdrawn")
    yield Entry("base: https://example.org/studies/short-name", "to decide", "what identifiers begin with; for ever")
    yield Entry("fhir_version: R4", "to decide", "R4, R4B or R5, as the hospital's server")
    text = "parameters: {mrn_system: https://hospital.example.org/mrn}"
    yield Entry(text, "to decide", "the identifier system of the record numbers")


def _visits(known: Proposing) -> Entry:
    """The events as visits, or those that fields tell by their names or choices; on the day that the project
    schedules, or that the name says in weeks or days."""
    export, project = known.export, known.project
    column = known.own.get(EVENT, "")
    events = [*project.events] or [one for one in dict.fromkeys(row.get(column, "") for row in _rows(export)) if one]
    of_names = dict.fromkeys(visit for form in known.fields.forms for visit in known.visits(form) if visit)
    asked = [field for form in known.fields.forms if (field := known.visit_field(form))]
    below: dict[str, Entry] = {}
    for event in events or [*of_names, *(label for field in asked for label in field.choices.values())]:
        told = project.events.get(event, event) if known.labels else event
        visit = visit_of(told) if events else event
        why = f"the event {event}" if events else "as fields or their choices name it"
        day = re.fullmatch(r"(week|day) (\d+)", visit, re.IGNORECASE)
        if event in project.days:
            days, before, after = project.days[event]
            pairs = {"visit": visit, "day": str(days), "window": [str(days - before), str(days + after)]}
            entry = Entry(f"- {flow(pairs)}", "likely", f"{why} as scheduled: is day 0 that of the first course?")
        elif day:
            pairs = {"visit": visit, "day": str(int(day[2]) * (7 if day[1].lower() == "week" else 1))}
            entry = Entry(f"- {flow(pairs)}", "likely", f"{why}; add a window")
        else:
            text = f"- {{visit: {scalar(visit)}, day: ?}}"
            entry = Entry(text, "to decide", f"{why}: is it a visit, on which day?")
        below.setdefault(visit, entry)
    planned = Entry("- {visit: week 0, day: 0}", "to decide", "the planned visits")
    return Entry("visits:", below=[*below.values()] or [planned])


def _rows(export: Export | None) -> Sequence[Mapping[str, str]]:
    return export.rows if export else ()


def _measures(known: Proposing) -> Entry:
    found: dict[str, tuple[Field, str]] = {}
    for form in known.fields.forms:
        found |= {name: said for name, said in known.measured(form).items() if name not in found}
    below = []
    for name, (one, visit) in found.items():
        usual = vocabulary()["measures"][name]
        said = {"label": name if visit else one.label}
        if "words" not in usual:
            said |= {"unit": one.note} if is_unit(one.note) else {"unit": "?"}
        said |= {key: usual[key] for key in ("better",) if key in usual}
        said |= {"scale_max": one.most} if usual.get("scale") and one.most else {}
        sure = "?" not in said.values()
        why = f"the field {one.name}" + (", its note and validation" if "unit" in said else "")
        below.append(Entry(f"{name}: {flow(said)}", "likely" if sure else "to decide", why if sure else "its unit"))
    return Entry("measures:", below=below)
