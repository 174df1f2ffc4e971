"""Subjects who responded, by a rule that the study file writes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

from fhir_ivig.endpoints.arms import within
from fhir_ivig.endpoints.comparison import compared
from fhir_ivig.endpoints.definition import Definition, Visit
from fhir_ivig.endpoints.inference import proportion
from fhir_ivig.endpoints.judge import Judge
from fhir_ivig.endpoints.populations import Population
from fhir_ivig.endpoints.result import Result, left_out
from fhir_ivig.endpoints.tables import Tables, references
from fhir_ivig.endpoints.verdicts import Verdicts
from fhir_ivig.issue import Issue


def responder_rule(
    tables: Tables,
    definition: Definition,
    population: Population,
    from_: Visit,
    at: Visit,
    rule: Mapping[str, Any],
    arms: tuple[Population, ...] = (),
    not_evaluable: Literal["left-out", "no-response"] = "left-out",
) -> Iterator[Result | Issue]:
    """`responders` and `percent` (Clopper-Pearson) of those who meet the `rule` (judge.py) at a visit, changes being
    those since `from`; by arm where `arms` are named, with the differences and tests of comparison.py.

    Whoever cannot be judged is left out, or counts as no response; the warnings name them. The evidence follows:
    `response` of each subject, 1 or 0, and why.
    """
    judge = Judge(tables, definition, population, from_)
    asked = judge.read(rule, "rule")
    verdicts = asked(at) if asked else {}
    yield from dict.fromkeys(judge.issues)
    if asked is None:
        return
    counts = []
    for arm, group in within(population, arms):
        for result in _summary(verdicts, group, not_evaluable == "no-response"):
            found = replace(result, arm=arm, time_point=at.name)
            counts += [found] if found.statistic == "responders" else []
            yield found
    yield from compared(counts)
    for subject in sorted(verdicts):
        verdict = verdicts[subject]
        yield Result(
            statistic="response",
            subject=subject,
            time_point=at.name,
            n=int(verdict.met is not None),
            estimate=None if verdict.met is None else Decimal(verdict.met),
            unit="subjects",
            method=verdict.said if verdict.met is not None else "",
            warnings=(f"Not evaluable: {verdict.said}.",) if verdict.met is None else (),
            resources=references(verdict.rows),
        )


def _summary(verdicts: Verdicts, group: frozenset[str], counted: bool) -> Iterator[Result]:
    reasons = {one: verdicts[one].said for one in group if verdicts[one].met is None}
    known = sorted(group if counted else group - reasons.keys())
    hits = sum(verdicts[one].met is True for one in known)
    said = left_out(reasons)
    if counted:
        said = tuple(warning.replace("Left out,", "No response counted,", 1) for warning in said)
    none = () if known else ("Not evaluable: no subject can be judged.",)
    count = Decimal(hits) if known else None
    for result in (
        Result(statistic="responders", estimate=count, unit="subjects", method="rule", warnings=none),
        proportion(hits, len(known)),
    ):
        yield replace(
            result,
            n=len(known),
            missing=0 if counted else len(reasons),
            warnings=result.warnings + said,
            resources=references(row for one in known for row in verdicts[one].rows),
        )
