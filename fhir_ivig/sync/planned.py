"""A plan as people and files have it: counts, and every change field by field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from fhir_ivig.issue import Issue, IssueError, failed

FORMAT = 2
SHOWN = 60  # characters of a value in a line


@dataclass(frozen=True, slots=True)
class Change:
    """A resource that is neither new nor unchanged: its row in the study, and each element that differs, as
    (FHIRPath, column, theirs, ours). `before` is the hash of what the target holds, `at` where that is, if the
    target chose the id."""

    ref: str
    state: str
    file: str | None
    row: int | None
    values: list[tuple[str, str | None, Any, Any]]
    before: str
    at: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        values = [
            {"path": path, "column": column, "theirs": _plain(theirs), "ours": _plain(ours)}
            for path, column, theirs, ours in self.values
        ]
        return {
            "resource": self.ref,
            "state": self.state,
            "file": self.file,
            "row": self.row,
            "before": self.before,
            "at": self.at,
            "values": values,
        }

    def lines(self) -> list[str]:
        """For the screen."""
        place = f"{self.file} row {self.row}, " if self.file else ""
        return [
            f"{self.state}: {place}{self.ref}" + (f" (there {self.at})" if self.at else ""),
            *(
                f"    {shown(column or path)}: {shown(theirs)} -> {shown(ours)}"
                for path, column, theirs, ours in self.values
            ),
        ]


@dataclass(slots=True)
class Planned:
    """What a push of the study `study` (its base) to `target` would do: how many of each, and what changes.

    counts: create, update, unchanged, linked, conflict, left, refused (resources) and withheld (rows). created:
    `Type/id` of the new ones. linked: Patients of the study and the hospital's that are pointed at in place of them.
    source: a hash of the whole study as FHIR.
    """

    study: str
    target: str
    source: str
    counts: dict[str, int]
    changes: list[Change]
    created: list[str]
    linked: Mapping[str, str]
    issues: list[Issue] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether a push would make the target as the study is."""
        return not failed(self.issues) and not any(self.counts[name] for name in ("conflict", "refused", "withheld"))

    def as_dict(self) -> dict[str, Any]:
        """For JSON; enough to be held against a later plan."""
        return {
            "format": FORMAT,
            "study": self.study,
            "target": self.target,
            "source": self.source,
            "complete": self.complete,
            "counts": self.counts,
            "changes": [change.as_dict() for change in self.changes],
            "created": self.created,
            "linked": dict(self.linked),
            "issues": [issue.as_dict() for issue in self.issues],
        }

    def check(self, now: Planned) -> None:
        """IssueError if what is to be done `now` is not what this plan says."""
        then, today = self.as_dict(), now.as_dict()
        for name in ("study", "target"):
            if then[name] != today[name]:
                text = f"This plan is another's: its {name} is {then[name]}, not {today[name]}."
                raise IssueError(Issue("fatal", "conflict", text))
        moved = {change["resource"] for change in then["changes"] if change not in today["changes"]}
        moved |= {change["resource"] for change in today["changes"] if change not in then["changes"]}
        moved |= set(then["created"]) ^ set(today["created"])
        moved |= {ref for ref, _ in then["linked"].items() ^ today["linked"].items()}
        if moved or then["source"] != today["source"]:
            text = "The study or the target has changed since the plan was made"
            text += f" (planned otherwise now: {len(moved)})" if moved else " (other values are new)"
            text += ": plan again."
            raise IssueError(Issue("fatal", "conflict", text))


def read_planned(path: Path) -> Planned:
    """A plan from the JSON that `as_dict` gave; IssueError if the file is none."""
    try:
        found = json.loads(path.read_text("utf-8"), parse_float=Decimal)
        if found["format"] != FORMAT:
            raise ValueError("another format")
        changes = [
            Change(
                each["resource"],
                each["state"],
                each["file"],
                each["row"],
                [(value["path"], value["column"], value["theirs"], value["ours"]) for value in each["values"]],
                each["before"],
                each["at"],
            )
            for each in found["changes"]
        ]
        issues = [Issue(**issue) for issue in found["issues"]]
        known = {name: found[name] for name in ("study", "target", "source", "counts", "created", "linked")}
        made = Planned(changes=changes, issues=issues, **known)
        made.check(made)  # what is damaged in it shows here
        return made
    except OSError as error:
        raise IssueError(Issue("fatal", "not-found", f"Cannot read it: {error.strerror}.", str(path))) from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        text = "This is no plan of `fhir-ivig plan`, or it is damaged: plan again."
        raise IssueError(Issue("fatal", "structure", text, str(path))) from None


def _plain(value: Any) -> Any:
    """Numbers as text, so that JSON keeps their digits."""
    if isinstance(value, dict):
        return {name: _plain(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


def shown(value: Any, most: int | None = SHOWN) -> str:
    """A value for people, of at most so many characters; what cannot be seen, or moves a terminal, as `\\x1b`."""
    if value is None:
        return "nothing"
    text = json.dumps(_plain(value), ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    text = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
    return text if most is None or len(text) <= most else f"{text[: most - 3]}..."
