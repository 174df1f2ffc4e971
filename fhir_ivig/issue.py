"""One shape for everything that is wrong: what, where, how bad.

Every room reports problems as `Issue`s. They are collected, never raised one at a time, so a person
sees all of them at once. `IssueError` carries them where nothing can go on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

Severity = Literal["fatal", "error", "warning", "information"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)  # the worst first

# The codes used, all from http://hl7.org/fhir/issue-type (bound `required` to OperationOutcome.issue.code).
Code = Literal[
    "invalid",
    "structure",
    "required",
    "value",
    "invariant",
    "security",
    "processing",
    "not-supported",
    "duplicate",
    "not-found",
    "too-long",
    "code-invalid",
    "business-rule",
    "conflict",
    "incomplete",
    "transient",
    "no-store",
    "exception",
    "timeout",
    "lock-error",
    "throttled",
    "informational",
]


@dataclass(frozen=True, slots=True)
class Issue:
    """One problem and its place.

    `row` counts as a spreadsheet shows it (the header is row 1) in tables; in FHIR files it is the line of an
    NDJSON file or the number (from 1) of an entry in a Bundle or array. `path` is a FHIRPath such as
    `Observation.valueQuantity.value`. `text` may quote the offending cell, and nothing else of the patient's.
    """

    severity: Severity
    code: Code
    text: str
    file: str | None = None
    row: int | None = None
    column: str | None = None
    path: str | None = None

    def at(self, **place: Any) -> Issue:
        """The same problem with its place (any of file, row, column, path) made more exact."""
        return replace(self, **place)

    @property
    def place(self) -> str:
        """`subjects.csv:3, column sex (Patient.gender)`, with what is not known left out."""
        where = ":".join(str(part) for part in (self.file, self.row) if part is not None)
        if self.file is None and self.row is not None:
            where = f"row {self.row}"
        named = [where] if where else []
        if self.column:
            named.append(f"column {self.column}")
        shown = ", ".join(named)
        if self.path:
            shown = f"{shown} ({self.path})" if shown else self.path
        return shown

    def __str__(self) -> str:
        return f"{self.severity}: {self.place + ': ' if self.place else ''}{self.text}"

    def as_dict(self) -> dict[str, Any]:
        """The fields that are known, for JSON."""
        return {key: value for key, value in asdict(self).items() if value is not None}


class IssueError(Exception):
    """Work that cannot go on, with every Issue that says why."""

    def __init__(self, *issues: Issue) -> None:
        super().__init__("\n".join(map(str, issues)))
        self.issues = list(issues)


def many(count: int, one: str, several: str = "", form: str = "") -> str:
    """`1 row`, `2 rows`; `several` where no s makes it, `form` as Python formats the number."""
    return f"{count:{form}} {one if count == 1 else several or f'{one}s'}"


def failed(issues: Iterable[Issue]) -> bool:
    """Whether any of the issues is an error or fatal."""
    return any(issue.severity in ("error", "fatal") for issue in issues)


def ranked(issues: Iterable[Issue]) -> list[Issue]:
    """The issues, the worst first."""
    return sorted(issues, key=lambda issue: SEVERITIES.index(issue.severity))


def to_outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """A FHIR OperationOutcome (https://hl7.org/fhir/R4/operationoutcome.html) saying the same.

    `expression` holds the FHIRPath; file, row and column, for which OperationOutcome has no element, stand in
    `diagnostics` as `file=...;row=...;column=...`. An outcome needs at least one issue: none becomes `informational`.
    """
    entries = []
    for issue in issues:
        entry: dict[str, Any] = {
            "severity": issue.severity,
            "code": issue.code,
            "details": {"text": issue.text},
        }
        place = {"file": issue.file, "row": issue.row, "column": issue.column}
        known = [f"{key}={value}" for key, value in place.items() if value is not None]
        if known:
            entry["diagnostics"] = ";".join(known)
        if issue.path:
            entry["expression"] = [issue.path]
        entries.append(entry)
    all_ok = {"severity": "information", "code": "informational", "details": {"text": "No issues"}}
    return {"resourceType": "OperationOutcome", "issue": entries or [all_ok]}


def from_outcome(outcome: dict[str, Any]) -> list[Issue]:
    """The issues of anyone's OperationOutcome; of our own, with file, row and column as they were."""
    found = []
    for entry in outcome.get("issue", []):
        diagnostics = entry.get("diagnostics", "")
        place: dict[str, Any] = {}
        text = entry.get("details", {}).get("text")
        pairs = dict(part.split("=", 1) for part in diagnostics.split(";") if "=" in part)
        if text is not None and pairs and pairs.keys() <= {"file", "row", "column"}:
            place = {key: int(value) if key == "row" else value for key, value in pairs.items()}
        else:
            text = ": ".join(part for part in (text, diagnostics) if part) or entry.get("code", "unknown")
        expression = entry.get("expression") or entry.get("location") or [None]
        severity = entry.get("severity", "error")
        found.append(Issue(severity, entry.get("code", "processing"), text, path=expression[0], **place))
    return found
