"""From a study's definition and tables to its endpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from inspect import Parameter, signature
from typing import Any, get_type_hints

import pyarrow as pa

from fhir_ivig.endpoints.definition import FILE, Definition, Measure, Population, Visit, define, texts
from fhir_ivig.endpoints.kinds.count import count
from fhir_ivig.endpoints.kinds.count_courses import count_courses
from fhir_ivig.endpoints.kinds.dose_reduction import dose_reduction
from fhir_ivig.endpoints.kinds.events_per_course import events_per_course
from fhir_ivig.endpoints.kinds.exposure import exposure
from fhir_ivig.endpoints.kinds.paired_change import paired_change
from fhir_ivig.endpoints.kinds.responders import responders
from fhir_ivig.endpoints.kinds.steroid_resistance import steroid_resistance
from fhir_ivig.endpoints.quantities import agrees, decimal
from fhir_ivig.endpoints.result import NotEvaluableError, Result
from fhir_ivig.endpoints.tables import Tables
from fhir_ivig.issue import Code, Issue

# A kind is a function of the tables and of what the study file gives under the names of its parameters (`from` is
# `from_`); their types say what may stand there, and a default makes one optional. It yields Results and Issues.
KINDS: dict[str, Callable[..., Iterator[Any]]] = {
    "count": count,
    "count_courses": count_courses,
    "paired_change": paired_change,
    "responders": responders,
    "events_per_course": events_per_course,
    "dose_reduction": dose_reduction,
    "exposure": exposure,
    "steroid_resistance": steroid_resistance,
}
COMMON = {"kind", "label", "published"}


def compute(
    study: Mapping[str, Any],
    tables: Mapping[str, pa.Table],
    resources: Mapping[str, Sequence[str | None] | pa.Array] | None = None,
) -> tuple[list[Result], list[Issue]]:
    """The study's endpoints, in the order of the study file, and every problem met on the way.

    `study` is the study file as plain dicts, lists and texts; `tables` maps a name of the data dictionary to its
    rows, all columns text, null where empty; `resources` maps it to the resource references behind the rows, in the
    same order. An endpoint that is wrongly defined is an error Issue with its path in the study file; one that the
    tables cannot answer is a Result without estimate whose warning says why.
    """
    source = Tables(tables, resources or {})
    definition = define(study, source)
    results: list[Result] = []
    issues = source.issues + definition.issues
    endpoints = study.get("endpoints", {})
    if not isinstance(endpoints, dict):
        issues.append(_fault("structure", "endpoints must be names with what they stand for.", "endpoints"))
        endpoints = {}
    for name, entry in endpoints.items():
        for found in _endpoint(str(name), entry, definition, source):
            if isinstance(found, Result):
                results.append(found)
            else:
                issues.append(found)
    return results, list(dict.fromkeys(issues))


def _endpoint(name: str, entry: Any, definition: Definition, tables: Tables) -> Iterator[Result | Issue]:
    path = f"endpoints.{name}"
    kind = entry.get("kind") if isinstance(entry, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        said = f"`{kind or ''}` is no kind of endpoint: write one of {', '.join(KINDS)}."
        yield _fault("not-supported", said, f"{path}.kind")
        return
    arguments, issues = _arguments(KINDS[kind], entry, path, definition)
    published, wrong = _published(entry.get("published", {}), f"{path}.published")
    label = entry.get("label") or getattr(arguments.get("measure"), "label", name)
    if not isinstance(label, str):
        wrong.append(_fault("value", "A label is a text.", f"{path}.label"))
    if issues or wrong:
        yield from [*issues, *wrong]
        return
    common = {"endpoint": name, "label": label, "population": arguments["population"].label}
    seen: set[str] = set()
    try:
        for found in _asked(KINDS[kind], tables, arguments):
            if isinstance(found, Result):
                seen.add(found.statistic)
                found = _compared(replace(found, **common), published)
            yield found
    except NotEvaluableError as error:
        why = f"Not evaluable: {error}."
        for statistic in [key for key in published if key not in seen] or [kind]:
            yield Result(statistic=statistic, **common, published=published.get(statistic), warnings=(why,))
        return
    for statistic in published.keys() - seen:
        text = f"This endpoint has no statistic `{statistic}`: it has {', '.join(sorted(seen))}."
        yield _fault("not-found", text, f"{path}.published.{statistic}")


def _asked(
    kind: Callable[..., Iterator[Result | Issue]], tables: Tables, arguments: Mapping[str, Any]
) -> Iterator[Result | Issue]:
    for argument in arguments.values():
        if isinstance(argument, Population) and argument.why:
            raise NotEvaluableError(argument.why)
    yield from kind(tables, **arguments)


def _compared(result: Result, published: Mapping[str, str]) -> Result:
    """The result with the figure printed for its statistic, which is never one of a single subject."""
    if result.subject is not None or result.statistic not in published:
        return result
    printed = published[result.statistic]
    same = None if result.estimate is None else agrees(result.estimate, Decimal(printed))
    return replace(result, published=printed, agrees=same)


def _arguments(
    function: Callable[..., Any], entry: Mapping[str, Any], path: str, definition: Definition
) -> tuple[dict[str, Any], list[Issue]]:
    """What the kind's parameters get, each checked by its type, and an Issue for every key that is wrong."""
    types = get_type_hints(function)
    parameters = {key.rstrip("_"): parameter for key, parameter in signature(function).parameters.items()}
    del parameters["tables"]
    arguments, issues = {}, []
    for key in entry.keys() - parameters.keys() - COMMON:
        said = f"Kind {entry['kind']} has no key `{key}`: it has {', '.join(parameters)}."
        issues.append(_fault("not-supported", said, f"{path}.{key}"))
    for key, parameter in parameters.items():
        if key in entry:
            value, issue = _argument(types[parameter.name], entry[key], f"{path}.{key}", definition)
            arguments[parameter.name] = value
            issues += [issue] if issue else []
        elif parameter.default is Parameter.empty:
            said = f"Kind {entry['kind']} needs the key `{key}`: add it."
            issues.append(_fault("required", said, f"{path}.{key}"))
    return arguments, issues


def _argument(wanted: Any, value: Any, path: str, definition: Definition) -> tuple[Any, Issue | None]:
    words = texts(value)
    if words is None or (len(words) > 1 and wanted in (Population, Measure, Visit, Decimal, str)):
        return None, _fault("value", "This must be a word; put numbers in quotes.", path)
    if wanted is Decimal:
        number = decimal(words[0])
        bad = number is None or number < 0
        return number, _fault("value", f"`{value}` is not a number of 0 or more.", path) if bad else None
    named: dict[Any, Mapping[str, Any]] = {
        Population: definition.populations,
        Measure: definition.measures,
        Visit: definition.visits,
    }
    if wanted in named:
        known = named[wanted]
        said = f"There is no {wanted.__name__.lower()} `{words[0]}`: there are {', '.join(known) or 'none'}."
        return known.get(words[0]), None if words[0] in known else _fault("not-found", said, path)
    return (words if wanted is not str else words[0]), None


def _published(entry: Any, path: str) -> tuple[dict[str, str], list[Issue]]:
    """The figures as printed, by statistic."""
    if not isinstance(entry, dict):
        return {}, [_fault("structure", "published must be statistics with their figures.", path)]
    said = "A published figure is a number in quotes, as printed: 67.0 is not 67."
    wrong = [key for key, value in entry.items() if not isinstance(value, str) or decimal(value) is None]
    return entry, [_fault("value", said, f"{path}.{key}") for key in wrong]


def _fault(code: Code, text: str, path: str) -> Issue:
    return Issue("error", code, text, FILE, path=path)
