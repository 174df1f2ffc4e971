"""A project's records, dictionary and design out of REDCap's API into a folder."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhir_ivig.issue import Issue, IssueError, failed
from fhir_ivig.redcap.api import Api
from fhir_ivig.redcap.check import check
from fhir_ivig.redcap.dictionary import COLUMNS, Dictionary, from_rows
from fhir_ivig.redcap.export import of_rows
from fhir_ivig.redcap.project import as_project
from fhir_ivig.sync.whole import whole_folder

PAGE = 100  # records in one request


@dataclass(slots=True)
class Pulled:
    """How many records and rows were received, and what is wrong."""

    records: int = 0
    rows: int = 0
    issues: list[Issue] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return not failed(self.issues)

    def as_dict(self) -> dict[str, Any]:
        """As manifest.json and --json have it."""
        issues = [issue.as_dict() for issue in self.issues]
        return {"complete": self.complete, "records": self.records, "rows": self.rows, "issues": issues}


def pull(api: Api, out: Path, *, page: int = PAGE, progress: Callable[..., None] = lambda *_: None) -> Pulled:
    """`export.csv` (raw), `dictionary.csv` and `project.json` of a project in the folder `out`, whole or not at all.

    Records are asked for by name, `page` at once; one that does not come is an error, and so are records that came or
    went meanwhile. What does not fit the dictionary is told. IssueError where the project cannot be had.
    """
    if (out / "study.yaml").exists():
        text = "Here is a study.yaml, which would go: pull to a folder of its own, such as redcap beside it."
        raise IssueError(Issue("fatal", "conflict", text, str(out)))
    found = Pulled()
    metadata = api.table("metadata")
    dictionary = from_rows(metadata, "dictionary.csv")
    told = design(api)
    header, rows = list[str](), list[list[str]]()
    names = record_names(api, dictionary)
    for done, (first, part) in enumerate(paged(api, names, dictionary, page)):
        progress("records", min((done + 1) * page, len(names)), len(names))
        if header and first != header:
            raise IssueError(
                Issue("fatal", "conflict", "The project's fields changed meanwhile: pull again.", api.url)
            )
        header, rows = first, rows + part
    header = header or [name for each in dictionary.fields.values() for name in each.columns]  # of no record
    place = header.index(dictionary.record.name)
    there = {row[place] for row in rows}
    if not there == {*names} == {*record_names(api, dictionary)}:
        text = "Records came or went while they were read, or did not come: pull again."
        found.issues.append(Issue("error", "incomplete", text, "export.csv"))
    export = of_rows([header, *rows], "export.csv", dictionary)
    found.issues += check(export, dictionary, as_project(told))
    found.records, found.rows = len(there), len(rows)
    with whole_folder(out) as folder:
        (folder / "export.csv").write_text(as_csv([header, *rows]), "utf-8", newline="")
        (folder / "dictionary.csv").write_text(as_csv(as_on_page(metadata)), "utf-8", newline="")
        (folder / "project.json").write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", "utf-8")
        (folder / "manifest.json").write_text(json.dumps(found.as_dict(), indent=1) + "\n", "utf-8")
    return found


def design(api: Api) -> dict[str, Any]:
    """What `project.json` holds; of events only where the project has some."""
    told = {"project": api.told("project"), "instrument": api.told("instrument")}
    if str(told["project"].get("is_longitudinal")) == "1":
        told |= {content: api.told(content) for content in ("event", "formEventMapping")}
    if str(told["project"].get("has_repeating_instruments_or_events")) == "1":
        told["repeatingFormsEvents"] = api.told("repeatingFormsEvents")
    return told


def record_names(api: Api, dictionary: Dictionary) -> list[str]:
    """The names of all records, each once, in the project's order."""
    rows = api.records(fields=[dictionary.record.name])
    place = rows[0].index(dictionary.record.name) if rows else 0
    return list(dict.fromkeys(row[place] for row in rows[1:]))


def paged(
    api: Api, names: Sequence[str], dictionary: Dictionary, page: int
) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Header and rows of these records, so many records at once; those that are not there give no rows."""
    for start in range(0, len(names), page):
        rows = api.records(names[start : start + page])
        if rows:
            if dictionary.record.name not in rows[0] or any(len(row) != len(rows[0]) for row in rows):
                text = "its records are no table with the record's name in it"
                raise IssueError(Issue("fatal", "structure", f"{api.gate.base}: {text}"))
            yield rows[0], rows[1:]


def as_on_page(metadata: list[list[str]]) -> list[list[str]]:
    """The dictionary of the API with the columns' names of REDCap's page."""
    names = {ours: theirs for theirs, ours in COLUMNS.items()}
    return [[names.get(name, name) for name in metadata[0]], *metadata[1:]]


def as_csv(rows: list[list[str]]) -> str:
    """Rows as the text of a CSV file."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
