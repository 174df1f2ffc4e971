"""From a study's definition and tables to its endpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pyarrow as pa

from fhir_ivig.endpoints.arguments import arguments, plan
from fhir_ivig.endpoints.core_set import read_core_set
from fhir_ivig.endpoints.definition import FILE, Definition, Population, define, fault
from fhir_ivig.endpoints.kinds.adverse_event_summary import adverse_event_summary
from fhir_ivig.endpoints.kinds.change_over_visits import change_over_visits
from fhir_ivig.endpoints.kinds.count import count
from fhir_ivig.endpoints.kinds.count_courses import count_courses
from fhir_ivig.endpoints.kinds.crossover import crossover
from fhir_ivig.endpoints.kinds.dose_reduction import dose_reduction
from fhir_ivig.endpoints.kinds.event_rate import event_rate
from fhir_ivig.endpoints.kinds.events_per_course import events_per_course
from fhir_ivig.endpoints.kinds.exposure import exposure
from fhir_ivig.endpoints.kinds.group_change import group_change
from fhir_ivig.endpoints.kinds.improvement_score import improvement_score
from fhir_ivig.endpoints.kinds.laboratory_grade import laboratory_grade
from fhir_ivig.endpoints.kinds.paired_change import paired_change
from fhir_ivig.endpoints.kinds.proportion import proportion, proportion_difference
from fhir_ivig.endpoints.kinds.responder_rule import responder_rule
from fhir_ivig.endpoints.kinds.responders import responders
from fhir_ivig.endpoints.kinds.steroid_resistance import steroid_resistance
from fhir_ivig.endpoints.kinds.steroid_sparing import steroid_sparing
from fhir_ivig.endpoints.kinds.time_to_event import time_to_event
from fhir_ivig.endpoints.kinds.watch_list import watch_list
from fhir_ivig.endpoints.multiplicity import adjusted
from fhir_ivig.endpoints.quantities import agrees, decimal
from fhir_ivig.endpoints.result import NotEvaluableError, Result
from fhir_ivig.endpoints.tables import Tables
from fhir_ivig.endpoints.terms import Plan
from fhir_ivig.issue import Issue

# A kind is a function of the tables and of what the study file gives under the names of its parameters: their types
# say what may stand there (arguments.py). It yields Results, and Issues: one without a file is about the study file,
# its path beginning below the endpoint (`rule.any`).
KINDS: dict[str, Callable[..., Iterator[Any]]] = {
    "count": count,
    "count_courses": count_courses,
    "paired_change": paired_change,
    "responders": responders,
    "events_per_course": events_per_course,
    "dose_reduction": dose_reduction,
    "exposure": exposure,
    "steroid_resistance": steroid_resistance,
    "improvement_score": improvement_score,
    "responder_rule": responder_rule,
    "proportion": proportion,
    "proportion_difference": proportion_difference,
    "group_change": group_change,
    "crossover": crossover,
    "change_over_visits": change_over_visits,
    "time_to_event": time_to_event,
    "event_rate": event_rate,
    "laboratory_grade": laboratory_grade,
    "steroid_sparing": steroid_sparing,
    "adverse_event_summary": adverse_event_summary,
    "watch_list": watch_list,
}


def compute(
    study: Mapping[str, Any],
    tables: Mapping[str, pa.Table],
    resources: Mapping[str, Sequence[str | None] | pa.Array] | None = None,
    numbers: Mapping[str, Sequence[int]] | None = None,
    plans: dict[str, Plan] | None = None,
) -> tuple[list[Result], list[Issue]]:
    """The study's endpoints, in the order of the study file, and every problem met on the way.

    `study` is the study file as plain dicts, lists and texts; `tables` maps a name of the data dictionary to its
    rows, all columns text, null where empty; `resources` maps it to the resource references behind the rows, in the
    same order, and `numbers` to their row numbers where rows were left out. An endpoint that is wrongly defined is an
    error Issue with its path in the study file; one that the tables cannot answer is a Result without estimate whose
    warning says why. `plans` gets what each endpoint read.
    """
    source = Tables(tables, resources or {}, numbers)
    definition = define(study, source)
    read_core_set(definition, study.get("core_set"))
    results: list[Result] = []
    issues = source.issues + definition.issues
    endpoints = study.get("endpoints", {})
    if not isinstance(endpoints, dict):
        issues.append(fault("structure", "endpoints must be names with what they stand for.", "endpoints"))
        endpoints = {}
    for name, entry in endpoints.items():
        endpoint, wrong = _read(str(name), entry, definition)
        issues += wrong
        if endpoint is None:
            continue
        if plans is not None:
            plans[endpoint.name], endpoint.plan.traced = endpoint.plan, True
        _sort(_answered(endpoint, definition, source), results, issues)
    named: dict[str, list[Result]] = {}
    for result in results:
        for name in {*_names(result), *([] if result.subject else [result.statistic])}:
            named.setdefault(f"{result.endpoint}.{name}", []).append(result)
    _sort(adjusted(study.get("multiplicity", {}), named), results, issues)
    return results, list(dict.fromkeys(issues))


def _sort(found: Iterable[Result | Issue], results: list[Result], issues: list[Issue]) -> None:
    for one in found:
        if isinstance(one, Result):
            results.append(one)
        else:
            issues.append(one)


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """An endpoint as read: what its kind is given, how it reads values, the figures printed elsewhere."""

    name: str
    label: str
    kind: str
    given: Mapping[str, Any]
    plan: Plan
    published: Mapping[str, str]

    @property
    def populations(self) -> list[Population]:
        """The populations that it names."""
        given = [each if isinstance(each, tuple) else (each,) for each in self.given.values()]
        return [one for each in given for one in each if isinstance(one, Population)]


def _read(name: str, entry: Any, definition: Definition) -> tuple[_Endpoint | None, list[Issue]]:
    """An endpoint of the study file, or all that is wrong with it."""
    path = f"endpoints.{name}"
    kind = entry.get("kind") if isinstance(entry, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        said = f"`{kind or ''}` is no kind of endpoint: write one of {', '.join(KINDS)}."
        return None, [fault("not-supported", said, f"{path}.kind")]
    given, issues = arguments(KINDS[kind], entry, path, definition)
    reading, wrong = plan(entry, path, definition)
    published, unprinted = _published(entry.get("published", {}), f"{path}.published")
    issues += wrong + unprinted
    label = entry.get("label") or getattr(given.get("measure"), "label", name)
    if not isinstance(label, str):
        issues.append(fault("value", "A label is a text.", f"{path}.label"))
    return (None if issues else _Endpoint(name, label, kind, given, reading, published)), issues


def _answered(one: _Endpoint, definition: Definition, tables: Tables) -> Iterator[Result | Issue]:
    path = f"endpoints.{one.name}"
    found: list[Result | Issue] = []
    try:
        found += _asked(one, tables.planned(one.plan), path)
    except NotEvaluableError as error:
        found += _not_evaluable(error, found, one.published, one.kind)
    else:
        found += _unanswered(found, one.published, path)
        if one.plan.missing != "complete" and not one.plan.asked:
            said = f"Kind {one.kind} fills in no missing values this way."
            yield fault("not-supported", said, f"{path}.missing")
    asked = {table for population in one.populations for table in definition.tables_of(population)}
    common: dict[str, Any] = {"endpoint": one.name, "label": one.label}
    common["inputs"] = tables.fingerprints(asked | one.plan.tables)
    if isinstance(one.given.get("population"), Population):
        common["population"] = one.given["population"].label
    for each in found:
        if isinstance(each, Result):
            notes = () if each.subject else tuple(dict.fromkeys(one.plan.notes))
            yield _compared(replace(each, **common, warnings=each.warnings + notes), one.published)
        else:
            yield each


def _not_evaluable(
    error: NotEvaluableError, found: Iterable[Result | Issue], published: Mapping[str, str], kind: str
) -> list[Result]:
    """A Result that says why for each figure that was to be compared and has none yet; one at least."""
    seen = {name for one in found if isinstance(one, Result) for name in _names(one)}
    wanted = [name.partition(", ")[0] for name in published if name not in seen] or [kind]
    why = (f"Not evaluable: {error}.",)
    return [Result(statistic=name, published=published.get(name), warnings=why) for name in wanted]


def _unanswered(found: Iterable[Result | Issue], published: Mapping[str, str], path: str) -> list[Issue]:
    """An Issue for each published figure of a statistic that there is not."""
    seen = {name for one in found if isinstance(one, Result) for name in _names(one)}
    said = f"it has {'; '.join(sorted(seen))}."
    return [
        fault("not-found", f"This endpoint has no statistic `{name}`: {said}", f"{path}.published.{name}")
        for name in published.keys() - seen
    ]


def _asked(one: _Endpoint, tables: Tables, path: str) -> Iterator[Result | Issue]:
    for population in one.populations:
        if population.why:
            raise NotEvaluableError(population.why)
    for found in KINDS[one.kind](tables, **one.given):
        if isinstance(found, Issue) and found.file is None:
            found = found.at(file=FILE, path=f"{path}.{found.path}" if found.path else path)
        yield found


def _names(result: Result) -> list[str]:
    """What a published figure may stand under to be compared with this result, the most exact name first.

    `percent`, of an arm `percent, IVIG`; each also with its time point, `percent, IVIG, week 12`. Evidence on one
    subject has none.
    """
    if result.subject is not None:
        return []
    name = f"{result.statistic}, {result.arm}" if result.arm else result.statistic
    return [f"{name}, {result.time_point}", name] if result.time_point else [name]


def _compared(result: Result, published: Mapping[str, str]) -> Result:
    """The result with the figure printed for its statistic."""
    name = next((name for name in _names(result) if name in published), None)
    if name is None:
        return result
    printed = published[name]
    same = None if result.estimate is None else agrees(result.estimate, Decimal(printed))
    return replace(result, published=printed, agrees=same)


def _published(entry: Any, path: str) -> tuple[dict[str, str], list[Issue]]:
    """The figures as printed, by statistic."""
    if not isinstance(entry, dict):
        return {}, [fault("structure", "published must be statistics with their figures.", path)]
    said = "A published figure is a number in quotes, as printed: 67.0 is not 67."
    wrong = [key for key, value in entry.items() if not isinstance(value, str) or decimal(value) is None]
    return entry, [fault("value", said, f"{path}.{key}") for key in wrong]
