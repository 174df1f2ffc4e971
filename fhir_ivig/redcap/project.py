"""What REDCap's API tells of a project beside dictionary and records: `project.json`, as `redcap pull` writes it.

| Key                 | What the API gives for `content=`                                                       |
|---------------------|-----------------------------------------------------------------------------------------|
| project             | `project`: `is_longitudinal`, `missing_data_codes` and more                             |
| event               | `event`: `unique_event_name`, `event_name`, `arm_num` (only longitudinal projects), and |
|                     | where it schedules `day_offset`, `offset_min`, `offset_max` (days before and after it)  |
| formEventMapping    | `formEventMapping`: `unique_event_name`, `form`                                         |
| arm                 | `arm`: `arm_num`, `name` (only where there are several)                                 |
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


@dataclass(frozen=True, slots=True)
class Project:
    """Event -> label, event -> day and window, form -> label, form -> its events, forms and events that repeat,
    missing-data code -> label.

    All empty where nothing is known; `days` also where the project schedules nothing.
    """

    title: str = ""
    events: Mapping[str, str] = field(default_factory=dict)
    days: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
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
        return _project(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        text = "This is no project.json as `redcap pull` writes it: pull again, or take it away."
        raise IssueError(Issue("fatal", "structure", text, path.name)) from None


def as_project(told: Mapping[str, Any], where: str) -> Project:
    """What the API at the address `where` told, its answers by `content`; IssueError where they are otherwise."""
    try:
        return _project(told)
    except (ValueError, LookupError, TypeError, AttributeError):
        text = "It tells of its project otherwise than REDCap's API does: is this its address?"
        raise IssueError(Issue("fatal", "structure", text, where)) from None


def _project(told: Mapping[str, Any]) -> Project:
    forms: dict[str, tuple[str, ...]] = {}
    for one in told.get("formEventMapping", ()):
        forms[one["form"]] = (*forms.get(one["form"], ()), one["unique_event_name"])
    repeating = told.get("repeatingFormsEvents", ())
    missing = re.split(r"[|\n]", told["project"].get("missing_data_codes") or "")
    codes = (one.partition(",") for one in missing if one.strip())
    events = {one["unique_event_name"]: one for one in told.get("event", ())}
    arms = {str(one["arm_num"]): f" (Arm {one['arm_num']}: {one['name']})" for one in told.get("arm", ())}
    scheduled = str(told["project"].get("scheduling_enabled")) == "1"
    return Project(
        title=words(told["project"].get("project_title") or ""),
        events={name: one["event_name"] + arms.get(str(one["arm_num"]), "") for name, one in events.items()},
        days={
            name: (int(one["day_offset"]), int(one["offset_min"]), int(one["offset_max"]))
            for name, one in events.items()
            if scheduled and "day_offset" in one
        },
        labels={one["instrument_name"]: words(one["instrument_label"]) for one in told.get("instrument", ())},
        forms=forms,
        repeating=frozenset(one["form_name"] for one in repeating if one.get("form_name")),
        repeating_events=frozenset(one["event_name"] for one in repeating if not one.get("form_name")),
        missing={code.strip(): label.strip() for code, _, label in codes},
    )
