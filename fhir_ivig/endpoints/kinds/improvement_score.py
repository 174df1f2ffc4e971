"""The Total Improvement Score of the 2016 ACR/EULAR criteria, and how many reached which response."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from statistics import median
from typing import Literal

from fhir_ivig.endpoints.arms import against_last, groups, within
from fhir_ivig.endpoints.comparison import compared
from fhir_ivig.endpoints.core_set import ITEMS
from fhir_ivig.endpoints.definition import CoreSet, Population, Visit
from fhir_ivig.endpoints.groups import mean_difference, rank_sum, shift
from fhir_ivig.endpoints.improvement import THRESHOLDS, Scores, scores
from fhir_ivig.endpoints.inference import proportion
from fhir_ivig.endpoints.quantities import average
from fhir_ivig.endpoints.result import NotEvaluableError, Result, left_out
from fhir_ivig.endpoints.tables import Tables, references
from fhir_ivig.issue import Issue

METHOD = "Total Improvement Score, 2016 ACR/EULAR criteria"


def improvement_score(
    tables: Tables,
    core_set: CoreSet,
    population: Population,
    from_: Visit,
    to: Visit,
    criteria: Literal["adult", "juvenile"] = "adult",
    optional: tuple[str, ...] = (),
    arms: tuple[Population, ...] = (),
    not_evaluable: Literal["left-out", "no-response"] = "left-out",
) -> Iterator[Result | Issue]:
    """`mean`, `median`, `min`, `max` of the score; `minimal` (how many reached a minimal response or more) and
    `minimal_percent` (Clopper-Pearson), and so for moderate and major; by arm where `arms` are named, else of all.
    With arms also `minimal_difference_newcombe` and the other differences and tests of comparison.py, and of the
    scores `difference_welch`, `rank_sum` and `hodges_lehmann`, each arm minus the last.

    A subject without one of the six measures has no score and is left out; `optional` names items that may be
    missing. With `not_evaluable: no-response` a subject without a score counts among those who did not respond, not
    in the mean. The evidence follows: `score` of each subject, and the points of each item.
    """
    if unknown := [item for item in optional if item not in ITEMS]:
        raise NotEvaluableError(f"`{unknown[0]}` under optional is no item: there are {', '.join(ITEMS)}")
    found = scores(tables, population, core_set, from_, to, optional)
    yield from found.issues
    span = f"{from_.name} to {to.name}"
    counts: dict[str, list[Result]] = {grade: [] for grade in THRESHOLDS[criteria]}
    for arm, group in within(population, arms):
        for result in _summary(found, group, criteria, not_evaluable == "no-response"):
            told = replace(result, arm=arm, time_point=span)
            counts.get(told.statistic, []).append(told)
            yield told
    for grade, of_arms in counts.items():
        for result in compared(of_arms):
            yield replace(result, statistic=f"{grade}_{result.statistic}")
    yield from (
        replace(result, time_point=span) for result in [*_between(found, population, arms), *_evidence(found)]
    )


def _summary(found: Scores, group: frozenset[str], criteria: str, counted: bool) -> Iterator[Result]:
    """The statistics of one arm, or of all."""
    totals = {subject: found.scores[subject].total for subject in sorted(group & found.scores.keys())}
    reasons = {subject: why for subject, why in found.reasons.items() if subject in group}
    said = tuple(f"{subject}: {found.doubts[subject]}." for subject in totals if subject in found.doubts)
    none = ("Not evaluable: no subject has a score.",)
    numbers = list(totals.values())
    one = Result(
        statistic="mean",
        unit="points",
        method=METHOD,
        n=len(totals),
        missing=len(reasons),
        warnings=said + left_out(reasons),
        resources=references(row for subject in totals for row in found.scores[subject].rows),
    )
    for statistic, estimate in (
        ("mean", average(numbers)),
        ("median", median(numbers) if numbers else None),
        ("min", min(numbers, default=None)),
        ("max", max(numbers, default=None)),
    ):
        warnings = one.warnings if numbers else none + one.warnings
        yield replace(one, statistic=statistic, estimate=estimate, warnings=warnings)
    if counted:
        counted_in = tuple(said.replace("Left out,", "No response counted,", 1) for said in left_out(reasons))
        one = replace(one, n=len(group), missing=0, warnings=said + counted_in)
    for grade, least in THRESHOLDS[criteria].items():
        hits, of = sum(total >= least for total in numbers), one.n or 0
        rate = proportion(hits, of)
        one = replace(one, method=f"{METHOD}, {criteria}: {least} points or more")
        count = Decimal(hits) if of else None
        warnings = one.warnings if of else none + one.warnings
        yield replace(one, statistic=grade, estimate=count, unit="subjects", warnings=warnings)
        yield replace(
            rate,
            statistic=f"{grade}_percent",
            method="; ".join(filter(None, (one.method, rate.method))),
            n=one.n,
            missing=one.missing,
            warnings=rate.warnings + one.warnings,
            resources=one.resources,
        )


def _between(found: Scores, population: Population, arms: tuple[Population, ...]) -> Iterator[Result]:
    """The scores of each arm against those of the last."""
    split = groups(population, arms)
    known = [sorted(arm.subjects & found.scores.keys()) for arm in split]
    totals = [[found.scores[one].total for one in group] for group in known]
    for place, label in against_last(split):
        pair = totals[place], totals[-1]
        rows = [row for one in (*known[place], *known[-1]) for row in found.scores[one].rows]
        missing = len((split[place].subjects | split[-1].subjects) & found.reasons.keys())
        for result in (mean_difference(*pair, equal_variances=False), rank_sum(*pair), shift(*pair)):
            yield replace(
                result,
                arm=label,
                n=len(pair[0]) + len(pair[1]),
                missing=missing,
                unit=result.unit or "points",
                resources=references(rows),
            )


def _evidence(found: Scores) -> Iterator[Result]:
    for subject, score in found.scores.items():
        doubt = (f"{found.doubts[subject]}.",) if subject in found.doubts else ()
        one = Result(statistic="score", subject=subject, n=1, unit="points", method=METHOD, warnings=doubt)
        yield replace(one, estimate=score.total, resources=references(score.rows))
        for item, given in score.points.items():
            change = score.items[item]
            sources = references(change.rows)
            yield replace(one, statistic=item, estimate=given, method=str(change), warnings=(), resources=sources)
    for subject, why in found.reasons.items():
        yield Result(
            statistic="score", subject=subject, n=0, missing=1, unit="points", method=METHOD,
            warnings=(f"Not evaluable: {why}.",),
        )  # fmt: skip
