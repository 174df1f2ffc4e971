"""When a rule about measures was met.

`{rule, from, visits}`: a rule of judge.py, changes being those since the visit `from`, asked at each of the visits in
their order. The day is that of the last value that the answer rests on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_ivig.endpoints.definition import Definition, Population, Visit
from fhir_ivig.endpoints.judge import Judge
from fhir_ivig.endpoints.occurrences import Day, Occurrences
from fhir_ivig.endpoints.quantities import days, texts
from fhir_ivig.endpoints.tables import Tables
from fhir_ivig.endpoints.verdicts import Verdict
from fhir_ivig.issue import Issue


def first_met(
    tables: Tables, definition: Definition, population: Population, entry: Mapping[str, Any], path: str
) -> Occurrences:
    """The days on which each subject of the population meets the rule, in the order of the visits; of one whose first
    is not known, the reason. A visit at which it cannot be told does not count as met: who had one before the first
    day is among the `doubts`.

    A faulty entry has Issues without a file, and nothing else.
    """
    from_, visits, issues = _visits(definition, entry, path)
    issues += _elsewhere(entry["rule"], f"{path}.rule")
    if from_ is None or issues:
        return Occurrences(issues=issues)
    judge = Judge(tables, definition, population, from_)
    asked = judge.read(entry["rule"], f"{path}.rule")
    found = Occurrences()
    for visit in visits if asked else ():
        for subject, verdict in asked(visit).items() if asked else ():
            if verdict.met is None and subject not in found.days:
                found.doubts.add(subject)
            elif verdict.met:
                _note(found, subject, visit, verdict)
    found.issues = list(dict.fromkeys(judge.issues))
    return found


def _note(found: Occurrences, subject: str, visit: Visit, verdict: Verdict) -> None:
    spans = [(days(row["date"] or ""), row) for row in verdict.rows]
    known = [Day(span.first, row) for span, row in spans if span and span.first == span.last]
    if known and len(known) == len(spans):
        found.days.setdefault(subject, []).append(max(known, key=lambda each: each.day))
    elif subject not in found.days:
        found.reasons[subject] = f"a date of what was met at {visit.name} is not known to the day"


def _visits(
    definition: Definition, entry: Mapping[str, Any], path: str
) -> tuple[Visit | None, list[Visit], list[Issue]]:
    """The visits that an entry names, or what is wrong with it."""
    issues = [
        Issue("error", "not-supported", f"This has rule, from and visits: take out `{key}`.", path=f"{path}.{key}")
        for key in sorted(entry.keys() - {"rule", "from", "visits"})
    ]
    named: dict[str, list[Visit]] = {}
    for key in ("from", "visits"):
        words = texts(entry.get(key)) or ()
        named[key] = [definition.visits[word] for word in words if word in definition.visits]
        if not words or len(named[key]) < len(words) or (key == "from" and len(words) > 1):
            said = f"`{key}` names {'a visit' if key == 'from' else 'visits'}: {', '.join(definition.visits)}."
            issues.append(Issue("error", "not-found", said, path=f"{path}.{key}"))
    return next(iter(named["from"]), None), named["visits"], issues


def _elsewhere(rule: Any, path: str) -> Iterator[Issue]:
    """An Issue for each part of a rule that asks about other visits: the first time could not be told."""
    parts = rule.items() if isinstance(rule, dict) else enumerate(rule) if isinstance(rule, list) else ()
    for key, part in parts:
        below = f"{path}[{key}]" if isinstance(rule, list) else f"{path}.{key}"
        if key in ("confirmed", "visit"):
            said = f"The first time is that of the visit asked about: `{key}` has no place here."
            yield Issue("error", "not-supported", said, path=below)
        else:
            yield from _elsewhere(part, below)
