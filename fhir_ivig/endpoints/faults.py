"""What is wrong with the populations and endpoints of a study file, told before there is any row."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa

from fhir_ivig.endpoints.compute import compute
from fhir_ivig.endpoints.definition import FILE, define, fault
from fhir_ivig.endpoints.rules import Rule
from fhir_ivig.endpoints.tables import Tables
from fhir_ivig.issue import Issue


def faults(
    study: Mapping[str, Any], empty: Mapping[str, pa.Table], words: Mapping[tuple[str, str], Collection[str]]
) -> list[Issue]:
    """Every Issue about `populations` and `endpoints` of a study file, in its order.

    `empty` are the study's tables without a row; `words` says what may stand in a column of a table. Everything is
    asked of those, so a fault that only a row brings to light is not found. Figures under `published` whose statistic
    depends on what the rows say (the number with a diagnosis) are not looked at.
    """
    _, issues = compute(study, empty)
    told = [issue for issue in issues if issue.file == FILE and not _printed(issue)]
    for one in define(study, Tables(empty, {})).populations.values():
        if one.why and one.rule and one.why.startswith(f"population {one.name}:"):
            told.append(fault("not-found", f"This cannot be told: {one.why}.", f"populations.{one.name}"))
        told += _unknown(one.rule, words, f"populations.{one.name}") if one.rule else []
    return [
        issue for issue in dict.fromkeys(told) if str(issue.path).partition(".")[0] in ("populations", "endpoints")
    ]


def _printed(issue: Issue) -> bool:
    return issue.code == "not-found" and ".published." in str(issue.path)


def _unknown(rule: Rule, words: Mapping[tuple[str, str], Collection[str]], path: str) -> list[Issue]:
    """Words of a rule that can never stand in their column."""
    found = []
    for column, asked in (rule.words or {}).items():
        known = words.get((rule.name, column))
        for word in asked:
            if known is not None and word not in known:
                said = f"`{word}` never stands in column {column} of {rule.name}: there are {', '.join(known)}."
                found.append(fault("code-invalid", said, path))
    return found + [issue for part in rule.parts for issue in _unknown(part, words, path)]
