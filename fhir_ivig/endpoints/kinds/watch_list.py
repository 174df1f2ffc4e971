"""What a study watches for: adverse events by the words of their terms, and laboratory values by rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from fhir_ivig.endpoints.arms import within
from fhir_ivig.endpoints.definition import Definition, Population, Visit
from fhir_ivig.endpoints.events import COLUMNS, events
from fhir_ivig.endpoints.judge import Asked, Judge
from fhir_ivig.endpoints.quantities import texts
from fhir_ivig.endpoints.result import Result, left_out
from fhir_ivig.endpoints.tables import Row, Tables, references
from fhir_ivig.issue import Code, Issue


@dataclass(frozen=True, slots=True)
class _Found:
    """One hit: whose, where (`event 2`, `week 4`), why, and the rows."""

    subject: str
    place: str
    why: str
    rows: tuple[Row, ...]


@dataclass(slots=True)
class _Group:
    """A group of the list: its words, its rules, what was found, where it was not known, and all rows looked at."""

    name: str
    words: tuple[str, ...]
    rules: list[Asked]
    hits: list[_Found] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)
    looked_at: dict[str, list[Row]] = field(default_factory=dict)


def watch_list(
    tables: Tables,
    definition: Definition,
    population: Population,
    groups: Mapping[str, Any],
    from_: Visit | None = None,
    visits: tuple[Visit, ...] = (),
    arms: tuple[Population, ...] = (),
) -> Iterator[Result | Issue]:
    """For each group `{words, labs}` of `groups`: `NAME events`, with one of the `words` in the term; `NAME labs`,
    visits of subjects at which one of the rules `labs` (judge.py) is met, changes being those since `from`; `NAME
    subjects` with either; by arm where `arms` are named. What matched follows, one record each: the word or the
    values, with the event or visit. A word matches from its beginning, small and capital letters alike: `thromb`
    finds "Thrombosis of leg", not "antithrombin".
    """
    judge = Judge(tables, definition, population, from_ or Visit("", None))
    read = [_read(judge, name, entry, bool(visits and from_)) for name, entry in groups.items()]
    known = [group for group in read if group]
    if len(known) == len(read):
        terms = events(tables, population, ("term", *COLUMNS)) if any(group.words for group in known) else []
        for group in known:
            _search(group, terms)
            _measure(group, visits)
    yield from dict.fromkeys(judge.issues)
    if len(known) < len(read):
        return
    for group in known:
        for arm, subjects in within(population, arms):
            yield from _summary(group, arm, subjects)
    for group in known:
        for hit in group.hits:
            yield Result(
                statistic=group.name, subject=hit.subject, time_point=hit.place, n=1, estimate=Decimal(1),
                unit="hits", method=hit.why, resources=references(hit.rows),
            )  # fmt: skip


def _read(judge: Judge, name: str, entry: Any, visits: bool) -> _Group | None:
    path = f"groups.{name}"

    def refuse(code: Code, text: str, at: str) -> None:
        judge.issues.append(Issue("error", code, text, path=at))

    faults = len(judge.issues)
    if not isinstance(entry, dict) or not entry or entry.keys() - {"words", "labs"}:
        refuse("structure", "A group has `words`, `labs` or both.", path)
        return None
    words = texts(entry["words"]) if "words" in entry else ()
    if words is None:
        refuse("structure", "`words` is a word or a list of words.", f"{path}.words")
    labs = entry.get("labs", [])
    if not isinstance(labs, list):
        refuse("structure", "`labs` is a list of rules.", f"{path}.labs")
        labs = []
    if labs and not visits:
        refuse(
            "required", "Rules about laboratory values need the keys `from` and `visits`: add them.", f"{path}.labs"
        )
    rules = [judge.read(rule, f"{path}.labs[{place}]") for place, rule in enumerate(labs)]
    if len(judge.issues) > faults or words is None:
        return None
    return _Group(name, words, [rule for rule in rules if rule])


def _search(group: _Group, terms: list[Row]) -> None:
    for row in terms if group.words else ():
        group.looked_at.setdefault(row.subject, []).append(row)
        words = [word for word in group.words if re.search(rf"\b{re.escape(word)}", row["term"] or "", re.I)]
        if words:
            why = f"term has {', '.join(f'`{word}`' for word in words)}"
            group.hits.append(_Found(row.subject, f"event {row['event']}", why, (row,)))


def _measure(group: _Group, visits: tuple[Visit, ...]) -> None:
    for visit in visits:
        for rule in group.rules:
            for subject, verdict in sorted(rule(visit).items()):
                group.looked_at.setdefault(subject, []).extend(verdict.rows)
                if verdict.met:
                    group.hits.append(_Found(subject, visit.name, verdict.said, verdict.rows))
                elif verdict.met is None:
                    group.unknown[f"{subject} at {visit.name}"] = "not known"


def _summary(group: _Group, arm: str | None, subjects: frozenset[str]) -> Iterator[Result]:
    mine = [hit for hit in group.hits if hit.subject in subjects]
    labs = [hit for hit in mine if not hit.place.startswith("event ")]
    unknown = {name: why for name, why in group.unknown.items() if name.split(" at ")[0] in subjects}
    method = f"words {', '.join(group.words) or '-'}; {len(group.rules)} rules on laboratory values"
    counts = [("events", len(mine) - len(labs), "events")] if group.words else []
    counts += [("labs", len({(hit.subject, hit.place) for hit in labs}), "visits")] if group.rules else []
    for statistic, number, unit in [*counts, ("subjects", len({hit.subject for hit in mine}), "subjects")]:
        yield Result(
            statistic=f"{group.name} {statistic}", arm=arm, n=len(subjects), missing=0, estimate=Decimal(number),
            unit=unit, method=method, warnings=left_out(unknown) if statistic != "events" else (),
            resources=references(row for one in subjects for row in group.looked_at.get(one, [])),
        )  # fmt: skip
