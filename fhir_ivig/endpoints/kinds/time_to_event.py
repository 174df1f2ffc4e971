"""Days until something happens, with those to whom it has not happened yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from fhir_ivig.endpoints.arms import groups
from fhir_ivig.endpoints.definition import Definition, Population, Visit
from fhir_ivig.endpoints.first_met import first_met
from fhir_ivig.endpoints.infusions import first_infusions
from fhir_ivig.endpoints.occurrences import Occurrences, occurrences
from fhir_ivig.endpoints.result import NotEvaluableError, Result, left_out, named
from fhir_ivig.endpoints.survival import Time, log_rank, median_time, survival_at
from fhir_ivig.endpoints.tables import Row, Tables, references
from fhir_ivig.issue import Issue


@dataclass(slots=True)
class Followed:
    """The time of each subject with the row that says it, every other's reason, whose event came too late, and of
    whom it could not be told at a visit."""

    times: dict[str, Time] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    late: list[str] = field(default_factory=list)
    doubts: set[str] = field(default_factory=set)
    issues: list[Issue] = field(default_factory=list)


def time_to_event(
    tables: Tables,
    definition: Definition,
    population: Population,
    event: Mapping[str, Any],
    censored: Mapping[str, Any],
    arms: tuple[Population, ...] = (),
    start: Mapping[str, Any] | None = None,
    at: tuple[Visit, ...] = (),
) -> Iterator[Result | Issue]:
    """`events`, `median` in days and `survival` at the target day of each visit of `at`, of all or of each arm; with
    arms `log_rank`.

    `event`, `censored` and `start` are `{table, where, date}` (occurrences.py); `event` may also be `{rule, from,
    visits}`, the first visit at which a rule about measures is met (first_met.py). Days run from the first row of
    `start`, by default from the first infusion given; to the first event on or after that day; without one, to the
    last row of `censored`. An event after that is not counted, with a warning.
    """
    split = groups(population, arms, least=2 if arms else 0)
    for visit in at:
        if visit.day is None:
            raise NotEvaluableError(f"visit {visit.name} has no target day")
    followed = follow(tables, definition, population, event, censored, start)
    yield from followed.issues
    if any(issue.file is None for issue in followed.issues):
        return
    for arm in split:
        for result in _of(followed, arm, at):
            yield replace(result, arm=arm.label if arms else None)
    if arms:
        every = [[followed.times[one] for one in sorted(arm.subjects & followed.times.keys())] for arm in split]
        test = replace(log_rank(every), arm=" - ".join(arm.label for arm in split))
        yield _told(test, followed, population)


def follow(
    tables: Tables,
    definition: Definition,
    population: Population,
    event: Mapping[str, Any],
    censored: Mapping[str, Any],
    start: Mapping[str, Any] | None,
) -> Followed:
    """How long each subject was followed, and whether the event came; only Issues where an entry is faulty."""
    parts = {"event": event, "censored": censored} | ({"start": start} if start else {})
    read = {
        name: first_met(tables, definition, population, entry, name)
        if name == "event" and "rule" in entry
        else occurrences(tables, population.subjects, entry, name)
        for name, entry in parts.items()
    }
    found = Followed(issues=[issue for each in read.values() for issue in each.issues], doubts=read["event"].doubts)
    if any(issue.file is None for issue in found.issues):
        return found
    if start:
        starts = {subject: days[0].day for subject, days in read["start"].days.items() if days}
        unknown, reasons = "no start", read["start"].reasons
    else:
        first = first_infusions(tables, population.subjects)
        found.issues += first.issues
        starts = {one: day for one in population.subjects if (day := first.day(one))}
        unknown, reasons = "the first infusion is not known to the day", first.reasons
    found.reasons = {one: reasons.get(one, unknown) for one in population.subjects - starts.keys()}
    for subject, begin in sorted(starts.items()):
        _time(found, subject, begin, read["event"], read["censored"])
    return found


def _time(found: Followed, subject: str, begin: date, event: Occurrences, censored: Occurrences) -> None:
    """The time of one subject, or why there is none."""
    if why := event.reasons.get(subject) or censored.reasons.get(subject):
        found.reasons[subject] = why
        return
    came = [each for each in event.days.get(subject, []) if each.day >= begin]
    last = censored.days.get(subject, [])[-1:]
    if came and (not last or came[0].day <= last[0].day):
        end, happened = came[0], True
    elif last and last[0].day >= begin:
        end, happened = last[0], False
        found.late += [subject] if came else []
    else:
        found.reasons[subject] = "no event, and not known how long followed"
        return
    found.times[subject] = Time((end.day - begin).days, happened)
    found.rows[subject] = end.row


def _of(followed: Followed, arm: Population, at: Sequence[Visit]) -> Iterator[Result]:
    times = [followed.times[subject] for subject in sorted(arm.subjects & followed.times.keys())]
    events = Decimal(sum(time.event for time in times))
    for result in [
        Result(statistic="events", estimate=events, unit="subjects"),
        median_time(times),
        *(replace(survival_at(times, visit.day or 0), time_point=visit.name) for visit in at),
    ]:
        yield _told(result, followed, arm)


def _told(result: Result, followed: Followed, arm: Population) -> Result:
    reasons = {subject: why for subject, why in followed.reasons.items() if subject in arm.subjects}
    counted = arm.subjects & followed.times.keys()
    late = arm.subjects & set(followed.late)
    said: tuple[str, ...] = (f"An event after the end of follow-up, not counted: {named(late)}.",) if late else ()
    if doubts := counted & followed.doubts:
        said += (f"Not known at some visit, taken as not met there: {named(doubts)}.",)
    return replace(
        result,
        n=len(counted),
        missing=len(reasons),
        warnings=result.warnings + said + left_out(reasons),
        resources=references(followed.rows[subject] for subject in counted),
    )
