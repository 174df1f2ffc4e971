"""`init --from-redcap`: a study.yaml for a person to edit, out of a data dictionary, an export and a project.json."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.redcap.check import check
from fhir_ivig.redcap.dictionary import Dictionary, read_dictionary
from fhir_ivig.redcap.export import EVENT, Export, read_export
from fhir_ivig.redcap.matching import is_unit, measure_of, visit_of, vocabulary
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
    entries = [*_head(project), _visits(read, project), _measures(fields), tables]
    files = dictionary.name if export is None else f"{dictionary.name} and {export.name}"
    lines = [line for entry in entries for line in entry.lines()]
    out.mkdir(parents=True, exist_ok=True)
    write_private(file, _ABOVE.format(files=files) + "\n".join(lines) + "\n")
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


def _visits(export: Export | None, project: Project) -> Entry:
    """The events as visits; the day of those that say it in weeks or days."""
    column = export.own.get(EVENT, "") if export else ""
    seen = [row.get(column, "") for row in export.rows] if export else []
    below = []
    for event in [one for one in project.events or dict.fromkeys(seen) if one]:
        visit = visit_of(project.events[event] if export and export.labels and project.events else event)
        day = re.fullmatch(r"(week|day|month)s? (\d+)", visit, re.IGNORECASE)
        if day and day[1].lower() != "month":
            days = int(day[2]) * (7 if day[1].lower() == "week" else 1)
            pairs = {"visit": visit, "day": str(days)}
            below.append(Entry(f"- {flow(pairs)}", "likely", f"the event {event}; add a window"))
        else:
            text = f"- {{visit: {scalar(visit)}, day: ?}}"
            below.append(Entry(text, "to decide", f"the event {event}: is it a visit, on which day?"))
    return Entry("visits:", below=below or [Entry("- {visit: week 0, day: 0}", "to decide", "the planned visits")])


def _measures(fields: Dictionary) -> Entry:
    below = []
    for one in fields.fields.values():
        if (name := measure_of(one)) is None:
            continue
        known = vocabulary()["measures"][name]
        said = {"label": one.label}
        if "words" not in known:
            said |= {"unit": one.note} if is_unit(one.note) else {"unit": "?"}
        said |= {key: known[key] for key in ("better",) if key in known}
        said |= {"scale_max": one.most} if known.get("scale") and one.most else {}
        sure = "?" not in said.values()
        why = f"the field {one.name}" + (", its note and validation" if "unit" in said else "")
        below.append(Entry(f"{name}: {flow(said)}", "likely" if sure else "to decide", why if sure else "its unit"))
    return Entry("measures:", below=below)
