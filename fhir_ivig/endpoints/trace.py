"""Every value that an endpoint read, with its row and resource, how it was used, and what was chosen or filled in."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from fhir_ivig.endpoints.compute import compute
from fhir_ivig.endpoints.definition import fault
from fhir_ivig.endpoints.readings import Readings
from fhir_ivig.endpoints.result import Result
from fhir_ivig.endpoints.tables import Row
from fhir_ivig.endpoints.terms import Plan
from fhir_ivig.issue import Issue


@dataclass(frozen=True, slots=True)
class Used:
    """One value read for an endpoint.

    `value` and `unit` are as the table has them; `number` is what was computed with, where that is another (a mean).
    `row` is the place, `assessments.csv:12` (several joined by `;`), `resource` the reference behind it, with its
    version where it is known. `used` says how: `yes`, `read` (a row that the endpoint looked at), or `no` with `why`.
    `rule` is how it was chosen among several or carried; `imputed` says that it was not measured at this visit.
    """

    subject: str
    what: str
    visit: str | None = None
    value: str | None = None
    unit: str | None = None
    number: str | None = None
    baseline: bool = False
    row: str | None = None
    resource: str | None = None
    rule: str | None = None
    imputed: bool = False
    used: str = "yes"
    why: str | None = None


def trace(
    study: Mapping[str, Any],
    tables: Mapping[str, pa.Table],
    resources: Mapping[str, Sequence[str | None] | pa.Array] | None,
    numbers: Mapping[str, Sequence[int]] | None,
    endpoint: str,
) -> tuple[list[Used], list[Issue]]:
    """Every value that one endpoint of the study read, subject by subject, and the Issues met on the way.

    Of a family of multiplicity first its statistics (`what`) with their estimates and adjusted p-values, then every
    value that the endpoints of these read.
    """
    endpoints, families = _names(study, "endpoints"), _names(study, "multiplicity")
    if endpoint not in {*endpoints, *families}:
        known = ", ".join([*endpoints, *families]) or "none"
        return [], [fault("not-found", f"There is no endpoint `{endpoint}`: there are {known}.", "endpoints")]
    family = {} if endpoint in endpoints else {endpoint: families[endpoint]}
    listed = family[endpoint].get("statistics") if family and isinstance(family[endpoint], dict) else None
    members = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    asked = {
        name: entry
        for name, entry in endpoints.items()
        if name == endpoint or any(member.startswith(f"{name}.") for member in members)
    }
    plans: dict[str, Plan] = {}
    results, issues = compute(
        {**study, "endpoints": asked, "multiplicity": family}, tables, resources, numbers, plans
    )
    found = [used for plan in plans.values() for used in _expanded(plan)]
    order = {visit.name: visit.day or 0 for plan in plans.values() for visit in plan.visits}
    found.sort(key=lambda used: (used.subject, used.what, order.get(used.visit or "", 0)))
    return list(dict.fromkeys([*_members(results, family), *found])), issues


def _names(study: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    entries = study.get(part, {})
    return entries if isinstance(entries, dict) else {}


def _members(results: Sequence[Result], family: Collection[str]) -> Iterator[Used]:
    """The statistics of a family, with what is adjusted and what comes of it."""
    for result in results:
        if result.endpoint in family:
            yield Used(
                subject="",
                what=result.statistic,
                visit=result.time_point,
                value=None if result.estimate is None else str(result.estimate),
                unit=result.unit,
                rule=f"{result.method.partition(';')[0]}: {result.p:.4g}",
                why=result.warnings[0] if result.warnings else None,
            )


def as_dict(used: Used) -> dict[str, Any]:
    """The record with plain JSON values."""
    return asdict(used)


def _expanded(plan: Plan) -> Iterator[Used]:
    readings = [read for read in plan.read if isinstance(read, Readings)]
    for read in readings:
        yield from _values(read, plan)
    known = {place for read in readings for row in _rows(read).values() for place in row}
    for rows in (read for read in plan.read if isinstance(read, list)):
        yield from (_row(row) for row in rows if (row.table, row.number) not in known)


def _rows(read: Readings) -> dict[str, list[tuple[str, int]]]:
    plain = {subject: [(row.table, row.number)] for subject, row in read.rows.items()}
    return plain | {one: [(row.table, row.number) for row in chosen.rows] for one, chosen in read.chosen.items()}


def _values(read: Readings, plan: Plan) -> Iterator[Used]:
    baseline = plan.baseline is not None and plan.baseline.name == read.visit.name
    for subject, row in read.rows.items():
        chosen = read.chosen.get(subject)
        why = read.unused.get(subject)
        cells = [each["value"] or "" for each in chosen.rows] if chosen else [row["value"] or ""]
        places = [f"{each.table}.csv:{each.number}" for each in (chosen.rows if chosen else (row,))]
        yield Used(
            subject=subject,
            what=read.measure.name,
            visit=read.visit.name,
            value=";".join(cells),
            unit=row["unit"],
            number=str(read.values[subject]) if subject in read.values and len(cells) > 1 else None,
            baseline=baseline,
            row=";".join(places),
            resource=row.resource,
            rule=(chosen.rule or None) if chosen else None,
            imputed=chosen.imputed if chosen else False,
            used="no" if why else "yes",
            why=why,
        )
    for subject, why in sorted(read.reasons.items()):
        yield Used(subject, read.measure.name, read.visit.name, used="no", why=why)


def _row(row: Row) -> Used:
    said = "; ".join(f"{column} {cell}" for column, cell in row.cells.items() if cell)
    place = f"{row.table}.csv:{row.number}"
    return Used(row.subject, row.table, value=said, row=place, resource=row.resource, used="read")
