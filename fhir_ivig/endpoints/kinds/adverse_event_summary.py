"""Adverse events by severity, seriousness, causality, outcome and course, and the time since the infusion before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from statistics import median

from fhir_ivig.endpoints.arms import within
from fhir_ivig.endpoints.definition import Population
from fhir_ivig.endpoints.events import Lags, events, lags, named_event
from fhir_ivig.endpoints.inference import proportion
from fhir_ivig.endpoints.result import Result, left_out, named
from fhir_ivig.endpoints.tables import Row, Tables, references
from fhir_ivig.issue import Issue

CATEGORIES = ("severity", "serious", "causality", "outcome", "course")


def adverse_event_summary(
    tables: Tables, population: Population, arms: tuple[Population, ...] = ()
) -> Iterator[Result | Issue]:
    """`events`; `subjects` with one or more and their `percent` of all (Clopper-Pearson); the events of each
    `severity`, `serious` (yes, no), `causality`, `outcome` and suspected `course`, such as `severity mild`, those not
    stated as `severity -`; `before_first_infusion`; `median_days`, `min_days` and `max_days` since the latest
    infusion on or before the day of onset (0: the same day); by arm where `arms` are named. Then
    `days_since_infusion` of each event. All events count, whatever their causality.
    """
    rows = events(tables, population)
    since = lags(tables, population, rows)
    yield from since.issues
    for arm, group in within(population, arms):
        theirs = [row for row in rows if row.subject in group]
        for result in [*_counts(theirs, rows, len(group)), *_times(theirs, since)]:
            yield replace(result, arm=arm)
    for row in rows:
        key = row.subject, row["event"] or ""
        if key in since.days:
            infusion = since.infusions[key]
            yield Result(
                statistic="days_since_infusion",
                subject=row.subject,
                time_point=f"event {row['event']}",
                n=1,
                estimate=Decimal(since.days[key]),
                unit="d",
                method=f"since course {infusion['course']} day {infusion['day']}",
                resources=references([row, infusion]),
            )


def _counts(theirs: Sequence[Row], rows: Sequence[Row], of: int) -> Iterator[Result]:
    sources = references(theirs)
    common = Result(statistic="events", n=of, missing=0, unit="events", resources=sources)
    yield replace(common, estimate=Decimal(len(theirs)))
    hit = {row.subject for row in theirs}
    yield replace(common, statistic="subjects", estimate=Decimal(len(hit)), unit="subjects")
    yield replace(proportion(len(hit), of), n=of, missing=0, resources=sources)
    for column in CATEGORIES:
        tally = Counter(row[column] for row in theirs)
        # the words of all arms, so that a 0 in one of them is seen
        for word in sorted({row[column] or "" for row in rows}):
            number = Decimal(tally[word or None])
            yield replace(common, statistic=f"{column} {word or '-'}", estimate=number)


def _times(theirs: Sequence[Row], since: Lags) -> Iterator[Result]:
    mine = {named_event(row) for row in theirs}
    before = mine & set(since.before)
    reasons = {name: why for name, why in since.reasons.items() if name in mine}
    known = [row for row in theirs if (row.subject, row["event"] or "") in since.days]
    numbers = [Decimal(since.days[row.subject, row["event"] or ""]) for row in known]
    said = left_out(reasons)
    if before:
        said = (f"Began before the first infusion: {named(before)}.", *said)
    common = Result(
        statistic="before_first_infusion",
        n=len(known) + len(before),
        missing=len(reasons),
        estimate=Decimal(len(before)),
        unit="events",
        method="events with onset before the first infusion",
        warnings=said,
        resources=references(theirs),
    )
    yield common
    none = () if numbers else ("Not evaluable: no event after an infusion.",)
    for statistic, estimate in (
        ("median_days", median(numbers) if numbers else None),
        ("min_days", min(numbers, default=None)),
        ("max_days", max(numbers, default=None)),
    ):
        method = "days from the latest infusion on or before the onset"
        warnings = none + said
        yield replace(
            common, statistic=statistic, n=len(known), estimate=estimate, unit="d", method=method, warnings=warnings
        )
