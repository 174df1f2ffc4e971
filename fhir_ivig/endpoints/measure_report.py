"""Results as FHIR: one Measure and one MeasureReport an endpoint, for R4 and R5.

A MeasureReport and not an Observation, because its `evaluatedResource` may be any resource (an Observation's
`derivedFrom` may not be an infusion) and it needs no Patient (https://hl7.org/fhir/R4/measurereport.html,
https://hl7.org/fhir/R5/measurereport.html). A group is one number: the statistic, or an end of its interval, or its
p; what has no number has no score. How many went in and were left out are the group's populations; method and
warnings, for which it has no element, stand in the narrative, methods also in the Measure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from fhir_ivig.endpoints.result import Result

POPULATION = "http://terminology.hl7.org/CodeSystem/measure-population"
SCORING = "http://terminology.hl7.org/CodeSystem/measure-scoring"
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
UCUM = "http://unitsofmeasure.org"
UNITS = {"U/L": "U/L", "kg": "kg", "cm": "cm", "%": "%", "a": "a", "mg/d": "mg/d", "g/kg/d": "g/kg/d"}


def to_fhir(
    results: Iterable[Result], base: str, version: str, period: tuple[str, str] | None
) -> Iterator[dict[str, Any]]:
    """The resources of the results, in their order: a Measure and a MeasureReport for each endpoint.

    `base` begins every identifier, as of the study's other resources; `version` is R4, R4B or R5; `period` the first
    and the last day that the tables know, None where they know none. Evidence on single subjects is left out.
    """
    for name, found in groupby((one for one in results if one.subject is None), key=lambda one: one.endpoint):
        every = list(found)
        url = f"{base}/endpoint/{name}" if base.startswith("http") else f"{base}:endpoint:{name}"
        yield _measure(every, base, url)
        yield _report(every, base, url, version, period)


def _measure(results: Sequence[Result], base: str, url: str) -> dict[str, Any]:
    first = results[0]
    groups = []
    for one in results:
        group: dict[str, Any] = {"code": {"text": _name(one)}}
        groups.append(group | ({"description": one.method} if one.method else {}))
    return {
        "resourceType": "Measure",
        "id": str(uuid5(NAMESPACE_URL, f"{base}/endpoint|{first.endpoint}")),
        "url": url,
        "identifier": [{"system": f"{base}/endpoint", "value": first.endpoint}],
        "name": "Endpoint_" + "".join(sign if sign.isascii() and sign.isalnum() else "_" for sign in first.endpoint),
        "title": first.label,
        "status": "active",
        "scoring": {"coding": [{"system": SCORING, "code": "continuous-variable"}]},
        "group": groups,
    }


def _report(
    results: Sequence[Result], base: str, url: str, version: str, period: tuple[str, str] | None
) -> dict[str, Any]:
    first = results[0]
    behind = sorted({reference for one in results for reference in one.resources})
    unknown = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}
    report: dict[str, Any] = {
        "resourceType": "MeasureReport",
        "id": str(uuid5(NAMESPACE_URL, f"{base}/endpoint-result|{first.endpoint}")),
        "text": {"status": "generated", "div": _narrative(results)},
        "identifier": [{"system": f"{base}/endpoint-result", "value": first.endpoint}],
        "status": "complete" if any(one.estimate is not None for one in results) else "error",
        "type": "summary",
        "measure": url,
        "period": {"start": period[0], "end": period[1]} if period else unknown,
        "group": [group for one in results for group in _groups(one, version)],
    }
    return report | ({"evaluatedResource": [{"reference": reference} for reference in behind]} if behind else {})


def _groups(one: Result, version: str) -> Iterator[dict[str, Any]]:
    counts = (("measure-population", "in", one.n), ("measure-population-exclusion", "left out", one.missing))
    yield {
        "code": {"text": _name(one)},
        "population": [
            {"code": {"coding": [{"system": POPULATION, "code": code}], "text": text}, "count": count}
            for code, text, count in counts
            if count is not None
        ],
        **_score(one.estimate, one.unit, version),
    }
    level = f"{100 * one.level:g} % " if one.level else ""
    for text, number, unit in (
        (f"{level}interval, low", one.low, one.unit),
        (f"{level}interval, high", one.high, one.unit),
        (f"p, {one.sidedness}", one.p, "1"),
    ):
        if number is not None:
            yield {"code": {"text": f"{_name(one)}, {text}"}, **_score(number, unit, version)}


def _score(number: Any, unit: str | None, version: str) -> dict[str, Any]:
    if number is None:
        return {}
    quantity: dict[str, Any] = {"value": number, "unit": unit or "1"}
    code = UNITS.get(unit or "1", "1" if unit in (None, "1") else None)
    quantity |= {"system": UCUM, "code": code} if code else {}
    return {"measureScoreQuantity" if version == "R5" else "measureScore": quantity}


def _name(one: Result) -> str:
    return ", ".join(part for part in (one.statistic, one.arm, one.time_point) if part)


def _narrative(results: Sequence[Result]) -> str:
    """The results in words: every method, warning and input."""
    lines = []
    for one in results:
        number = "not evaluable" if one.estimate is None else f"{one.estimate} {one.unit or ''}".strip()
        said = [f"{_name(one)}: {number}", *([one.method] if one.method else []), *one.warnings]
        lines.append(f"<li>{escape('. '.join(text.rstrip('.') for text in said))}.</li>")
    first = results[0]
    inputs = f"<p>Inputs: {escape(', '.join(first.inputs))}</p>" if first.inputs else ""
    title = escape(": ".join(part for part in (first.label, first.population) if part))
    items = "".join(lines)
    return f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{title}</p><ul>{items}</ul>{inputs}</div>'
