"""What REDCap's API tells of a project beside dictionary and records: `project.json`, as `redcap pull` writes it.

| Key                 | What the API gives for `content=`                                                       |
|---------------------|-----------------------------------------------------------------------------------------|
| project             | `project`: `is_longitudinal`, `missing_data_codes` and more                             |
| event               | `event`: `unique_event_name`, `event_name`, `day_offset` (only longitudinal projects)   |
| formEventMapping    | `formEventMapping`: `unique_event_name`, `form`                                         |
| instrument          | `instrument`: `instrument_name`, `instrument_label`                                     |
| repeatingFormsEvents| `repeatingFormsEvents`: `event_name`, `form_name`                                       |
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.redcap.dictionary import words

PARTS = ("project", "instrument", "event", "formEventMapping", "repeatingFormsEvents")


@dataclass(frozen=True, slots=True)
class Project:
    """Event -> label, form -> label, form -> its events, forms and events that repeat, missing-data code ->
    label.

    All empty where nothing is known.
    """

    title: str = ""
    events: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    forms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    repeating: frozenset[str] = frozenset()
    repeating_events: frozenset[str] = frozenset()
    missing: Mapping[str, str] = field(default_factory=dict)


def read_project(path: Path) -> Project:
    """A project.json; IssueError where it is none. Where there is no such file, nothing is known."""
    if not path.exists():
        return Project()
    try:
        return as_project(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        text = "This is no project.json as `redcap pull` writes it: pull again, or take it away."
        raise IssueError(Issue("fatal", "structure", text, path.name)) from None


def as_project(told: Mapping[str, Any]) -> Project:
    """What the API told, its answers by `content`."""
    forms: dict[str, tuple[str, ...]] = {}
    for one in told.get("formEventMapping", ()):
        forms[one["form"]] = (*forms.get(one["form"], ()), one["unique_event_name"])
    repeating = told.get("repeatingFormsEvents", ())
    codes = (
        one.partition(",") for one in re.split(r"[|\n]", told["project"].get("missing_data_codes", "")) if one.strip()
    )
    return Project(
        title=words(told["project"].get("project_title", "")),
        events={one["unique_event_name"]: one["event_name"] for one in told.get("event", ())},
        labels={one["instrument_name"]: words(one["instrument_label"]) for one in told.get("instrument", ())},
        forms=forms,
        repeating=frozenset(one["form_name"] for one in repeating if one.get("form_name")),
        repeating_events=frozenset(one["event_name"] for one in repeating if not one.get("form_name")),
        missing={code.strip(): label.strip() for code, _, label in codes},
    )
