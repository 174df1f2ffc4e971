"""A project's records, dictionary and design out of REDCap's API into a folder."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhir_ivig.issue import Issue, IssueError, failed
from fhir_ivig.redcap.api import Api
from fhir_ivig.redcap.check import check
from fhir_ivig.redcap.dictionary import COLUMNS, Dictionary, from_rows
from fhir_ivig.redcap.export import EVENT, INSTANCE, INSTRUMENT, of_rows
from fhir_ivig.redcap.project import Project, as_project
from fhir_ivig.redcap.rows import uneven
from fhir_ivig.sync.whole import whole_folder, write_manifest

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


def pull(
    api: Api,
    out: Path,
    *,
    page: int = PAGE,
    groups: bool = False,
    progress: Callable[..., None] = lambda *_: None,
) -> Pulled:
    """`export.csv` (raw), `dictionary.csv` and `project.json` of a project in the folder `out`, whole or not at all;
    with the data access group of each record, if asked for `groups`.

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
    project = as_project(told, api.url)
    headers, rows = dict[tuple[str, ...], None](), list[dict[str, str]]()
    names = record_names(api, dictionary)
    for done, part in enumerate(paged(api, names, dictionary, page, groups)):
        progress("records", min((done + 1) * page, len(names)), len(names))
        headers |= dict.fromkeys(tuple(row) for row in part)
        rows += part
    there = {row[dictionary.record.name] for row in rows}
    if not there == {*names} == {*record_names(api, dictionary)}:
        text = "Records came or went while they were read, or did not come: pull again."
        found.issues.append(Issue("error", "incomplete", text, "export.csv"))
    header = whole_header(headers, dictionary, project, api.url)
    cells = [header, *([row.get(name, "") for name in header] for row in rows)]
    found.issues += check(of_rows(cells, "export.csv", dictionary), dictionary, project)
    found.records, found.rows = len(there), len(rows)
    with whole_folder(out) as folder:
        (folder / "export.csv").write_text(as_csv(cells), "utf-8", newline="")
        (folder / "dictionary.csv").write_text(as_csv(as_on_page(metadata)), "utf-8", newline="")
        (folder / "project.json").write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", "utf-8")
        write_manifest(folder, found.as_dict())
    return found


def design(api: Api) -> dict[str, Any]:
    """What `project.json` holds; of events only where the project has some."""
    told = {"project": api.told("project"), "instrument": api.told("instrument")}
    if str(told["project"].get("is_longitudinal")) == "1":
        told |= {content: api.told(content) for content in ("event", "formEventMapping")}
        if len({one.get("arm_num") for one in told["event"]}) > 1:
            told["arm"] = api.told("arm")
    if str(told["project"].get("has_repeating_instruments_or_events")) == "1":
        told["repeatingFormsEvents"] = api.told("repeatingFormsEvents")
    return told


def record_names(api: Api, dictionary: Dictionary) -> list[str]:
    """The names of all records, each once, in the project's order."""
    rows = _told(api, api.records(fields=[dictionary.record.name]), dictionary)
    return list(dict.fromkeys(row[dictionary.record.name] for row in rows))


def paged(
    api: Api, named: Iterable[str], dictionary: Dictionary, page: int, groups: bool = False
) -> Iterator[list[dict[str, str]]]:
    """Rows of these records, so many records at once; those that are not there give no rows."""
    names = list(named)
    for start in range(0, len(names), page):
        yield _told(api, api.records(names[start : start + page], groups=groups), dictionary)


def _told(api: Api, rows: list[list[str]], dictionary: Dictionary) -> list[dict[str, str]]:
    header = rows[0] if rows else [dictionary.record.name]
    if dictionary.record.name not in header or [*uneven(rows, api.url)]:
        text = "its records are no table with the record's name in it"
        raise IssueError(Issue("fatal", "structure", f"{api.gate.base}: {text}"))
    return [dict(zip(header, row, strict=True)) for row in rows[1:]]


def whole_header(headers: Collection[Sequence[str]], dictionary: Dictionary, project: Project, url: str) -> list[str]:
    """The columns of all pages: REDCap leaves those of instances out of an answer that has none."""
    repeating = [INSTRUMENT, INSTANCE]
    found = {tuple(name for name in header if name not in repeating) for header in headers}
    if len(found) > 1:
        raise IssueError(Issue("fatal", "conflict", "The project's fields changed meanwhile: pull again.", url))
    every = [name for each in dictionary.fields.values() for name in each.columns]
    [rest] = found or [(every[0], *([EVENT] if project.events else []), *every[1:])]  # where there is no record
    seen = {name for header in headers for name in header}
    seen |= {*repeating} if project.repeating else {INSTANCE} if project.repeating_events else set()
    at = 1 + rest.index(EVENT if EVENT in rest else dictionary.record.name)
    return [*rest[:at], *(name for name in repeating if name in seen), *rest[at:]]


def as_on_page(metadata: list[list[str]]) -> list[list[str]]:
    """The dictionary of the API with the columns' names of REDCap's page."""
    names = {ours: theirs for theirs, ours in COLUMNS.items()}
    return [[names.get(name, name) for name in metadata[0]], *metadata[1:]]


def as_csv(rows: list[list[str]]) -> str:
    """Rows as the text of a CSV file."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
