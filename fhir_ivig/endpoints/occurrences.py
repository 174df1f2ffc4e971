"""When something happened to a subject: the days of the rows of a table that meet a rule of the study file.

An occurrence is `{table, where, date}`: rows of `table` that meet every condition of `where`, as in a population, on
the day in the column `date` (by default the usual one of the table, DATES). `{any: [...]}` is of several such.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from fhir_ivig.endpoints.quantities import days
from fhir_ivig.endpoints.rules import Rule, read_rule
from fhir_ivig.endpoints.tables import Row, Tables
from fhir_ivig.issue import Code, Issue

DATES = {
    "assessments": "date",
    "adverse_events": "onset",
    "dispositions": "date",
    "infusions": "start",
    "courses": "start",
    "medications": "start",
}


class Day(NamedTuple):
    """A day, and the row that says so."""

    day: date
    row: Row


@dataclass(slots=True)
class Occurrences:
    """The rows of each subject, and their days in order; of one not known to the day, the reason and no days.
    `doubts` are subjects of whom it could not be told at some time."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    days: dict[str, list[Day]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    doubts: set[str] = field(default_factory=set)
    issues: list[Issue] = field(default_factory=list)


def occurrences(tables: Tables, subjects: Collection[str], entry: Mapping[str, Any], path: str) -> Occurrences:
    """When what `entry`, at a path of the endpoint, says happened to these subjects.

    An empty date, one known to the month only, or one that is none leaves its subject without days, with the reason.
    A faulty entry has Issues without a file, and nothing else. Raises NotEvaluableError where a table or a column is
    not there.
    """
    rules, issues = _read(entry, path)
    found = Occurrences(issues=issues)
    for rule, column in rules:
        bounds = rule.bounds or {}
        columns = list(dict.fromkeys([column, *bounds]))
        for row in tables.rows(rule.name, columns, rule.words, subjects):
            verdicts = {name: bounds[name].hold(row[name] or "") if row[name] else False for name in bounds}
            for name in [name for name, verdict in verdicts.items() if verdict is None]:
                said = f"`{row[name]}` cannot be told to be {bounds[name]}: it does not count until it is corrected."
                found.issues.append(row.issue("value", said, name))
            if all(verdicts.values()):
                found.rows.setdefault(row.subject, []).append(row)
                _add(found, row, column)
    for subject, listed in found.days.items():
        listed.sort(key=lambda each: (each.day, each.row.number))
        found.days[subject] = [] if subject in found.reasons else listed
    return found


def _add(found: Occurrences, row: Row, column: str) -> None:
    span = days(row[column] or "")
    if span and span.first == span.last:
        found.days.setdefault(row.subject, []).append(Day(span.first, row))
    elif span:
        found.reasons[row.subject] = f"{column} {row[column]} in {row.table} is not known to the day"
    else:
        found.reasons[row.subject] = f"no date in {column} of {row.table}"
        if row[column]:
            found.issues.append(row.issue("value", f"`{row[column]}` is not a date: correct it.", column))


def _read(entry: Mapping[str, Any], path: str) -> tuple[list[tuple[Rule, str]], list[Issue]]:
    """The rules about tables with their columns of dates, or what is wrong with them."""
    issues: list[Issue] = []

    def refuse(code: Code, text: str, at: str) -> None:
        issues.append(Issue("error", code, text, path=at))

    several = entry.get("any")
    parts = [(path, entry)] if several is None else []
    if isinstance(several, list):
        parts = [(f"{path}.any[{at}]", part) for at, part in enumerate(several)]
    if not parts or (several is not None and len(entry) > 1):
        refuse("structure", "`any` is a list of {table, where, date} and stands alone.", path)
    rules = []
    for at, part in parts:
        plain = isinstance(part, dict)
        column = part.get("date") if plain else None
        rule = read_rule({key: part[key] for key in part if key != "date"} if plain else part, at, (), refuse)
        if rule is None:
            continue
        if rule.shape != "table" or rule.rows:
            refuse("not-supported", "This must be {table, where, date}.", at)
            continue
        column = column or DATES.get(rule.name)
        if not isinstance(column, str):
            refuse("required", f"Say which column of {rule.name} has the `date`.", at)
            continue
        rules.append((rule, column))
    return ([], issues) if issues else (rules, issues)
