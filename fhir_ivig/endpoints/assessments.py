"""Values of a measure at a visit: one a subject, in the measure's unit, or a reason why not."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from fhir_ivig.endpoints.definition import Measure, Population, Visit
from fhir_ivig.endpoints.quantities import decimal
from fhir_ivig.endpoints.tables import Row, Tables, one_each
from fhir_ivig.issue import Issue

COLUMNS = ("visit", "date", "sign", "value", "unit", "scale_max", "missing_reason")


@dataclass(slots=True)
class Readings:
    """What was found: `rows` and `values` by subject, and for every other subject of the population the reason."""

    rows: dict[str, Row] = field(default_factory=dict)
    values: dict[str, Decimal] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)


def readings(tables: Tables, population: Population, measure: Measure, visit: Visit) -> Readings:
    """The numbers of a measure at a visit.

    Left out, with the reason: no row, no value, two rows, a value with a sign (`<10` is not 10), a value that is no
    number, another unit or scale maximum than the measure's. All but the first two and the sign are Issues also.
    """
    found = words(tables, population, measure, visit)
    for subject, row in found.rows.items():
        value, issue = number(row, measure)
        if value is not None:
            found.values[subject] = value
        if issue:
            found.issues.append(issue)
            found.reasons[subject] = f"its value at {visit.name} cannot be used (see the issues)"
    found.rows = {subject: found.rows[subject] for subject in found.values}
    return found


def words(tables: Tables, population: Population, measure: Measure, visit: Visit) -> Readings:
    """The rows of a measure at a visit that hold a value without a sign, whatever it is; `values` stays empty."""
    where = {"measure": [measure.name], "visit": [visit.name]}
    rows = tables.rows("assessments", COLUMNS, where, population.subjects)
    single, doubled, issues = one_each(rows, f"{measure.name} at {visit.name}")
    found = Readings(issues=issues)
    for subject in population.subjects:
        row = single.get(subject)
        if row is None:
            found.reasons[subject] = doubled.get(subject, f"no row at {visit.name}")
        elif not row["value"]:
            reason = f" ({row['missing_reason']})" if row["missing_reason"] else ""
            found.reasons[subject] = f"no value at {visit.name}{reason}"
        elif row["sign"]:
            found.reasons[subject] = f"only a limit ({row['sign']}) is known at {visit.name}"
        else:
            found.rows[subject] = row
    return found


def number(row: Row, measure: Measure) -> tuple[Decimal | None, Issue | None]:
    """The value of a row as a number in the measure's unit and scale, or an Issue."""
    value = decimal(row["value"] or "")
    if value is None:
        return None, row.issue("value", f"`{row['value']}` is not a decimal number: correct it.", "value")
    if row["unit"] != measure.unit:
        said = f"The unit is `{row['unit'] or ''}`, but {measure.name} is in `{measure.unit or ''}`: convert it."
        return None, row.issue("value", said, "unit")
    scale = decimal(row["scale_max"] or "")
    if scale and measure.scale_max and scale != measure.scale_max:
        said = f"The scale ends at {row['scale_max']}, but {measure.name} at {measure.scale_max}: not comparable."
        return None, row.issue("value", said, "scale_max")
    return value, None
