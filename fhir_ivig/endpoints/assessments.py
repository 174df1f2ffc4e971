"""Values of a measure at a visit: one a subject, in the measure's unit, or a reason why not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fhir_ivig.endpoints.carrying import carry
from fhir_ivig.endpoints.choosing import choose
from fhir_ivig.endpoints.definition import Measure, Population, Visit
from fhir_ivig.endpoints.quantities import DECIMAL, decimal
from fhir_ivig.endpoints.readings import COLUMNS, TABLE, Readings, columns
from fhir_ivig.endpoints.tables import Row, Tables, by_subject
from fhir_ivig.issue import Issue


def readings(tables: Tables, population: Population, measure: Measure, visit: Visit) -> Readings:
    """The numbers of a measure at a visit.

    Where a subject has several rows there, the rule `several` of the visit or the measure chooses; without one none
    is used. Left out, with the reason: no row, no value, several rows, a value with a sign (`<10` is not 10), one
    that is no number, one outside of its scale, another unit or scale maximum than the measure's. All but the first
    two and the sign are Issues also. Where the endpoint says how, those without a value get one from another visit.
    """
    return carry(_read(tables, population, measure, visit, numeric=True), _numbers)


def words(tables: Tables, population: Population, measure: Measure, visit: Visit) -> Readings:
    """The same of a measure graded in words: `rows` hold a value without a sign, whatever it is; no `values`."""
    return carry(_read(tables, population, measure, visit, numeric=False), _words)


def _numbers(tables: Tables, population: Population, measure: Measure, visit: Visit) -> Readings:
    return _read(tables, population, measure, visit, numeric=True)


def _words(tables: Tables, population: Population, measure: Measure, visit: Visit) -> Readings:
    return _read(tables, population, measure, visit, numeric=False)


def _read(tables: Tables, population: Population, measure: Measure, visit: Visit, *, numeric: bool) -> Readings:
    found = Readings(tables, population, measure, visit)
    where = {"measure": [measure.name], "visit": [visit.name]}
    places = tables.places(TABLE, where | {"subject": population.subjects})
    cells = {name: tables.column(TABLE, name, places) for name in ("subject", *COLUMNS)}
    sound = _sound(cells, measure, numeric=numeric)
    subjects = cells["subject"].filter(sound).to_pylist()
    mask = sound.to_numpy(zero_copy_only=False)
    found.places = dict(zip(subjects, places[mask].tolist(), strict=True))
    if numeric:
        found.texts = cells["value"].filter(sound)
    rest = by_subject(tables.rows_at(TABLE, columns(tables), places[~mask].tolist()))
    for subject, rows in rest.items():
        _doubtful(found, subject, rows, numeric=numeric)
    for subject in population.subjects - found.subjects - found.reasons.keys():
        found.reasons[subject] = f"no row at {visit.name}"
        found.gaps.add(subject)
    return found


def _sound(cells: dict[str, Any], measure: Measure, *, numeric: bool) -> Any:
    """Which rows are the only one of their subject, with a value that is plainly right; the others need a look."""
    value, subject = cells["value"], cells["subject"]
    tally = pc.value_counts(subject)
    twice = tally.field("values").filter(pc.greater(tally.field("counts"), 1))
    masks = [value.is_valid(), cells["sign"].is_null(), pc.invert(pc.is_in(subject, value_set=twice))]
    if numeric:
        masks.append(pc.match_substring_regex(value, f"^{DECIMAL}$"))
        same = pc.equal(cells["unit"], measure.unit) if measure.unit is not None else cells["unit"].is_null()
        masks.append(same)
        known = cells["scale_max"].unique().drop_null().to_pylist()
        agreed = [text for text in known if measure.scale_max is not None and decimal(text) == measure.scale_max]
        scale = cells["scale_max"]
        masks.append(pc.or_(scale.is_null(), pc.is_in(scale, value_set=pa.array(agreed, pa.string()))))
    sound = masks[0]
    for mask in masks[1:]:
        sound = pc.and_(sound, pc.fill_null(mask, False))
    if numeric and measure.scale_max is not None:
        inside = pc.if_else(sound, value, None).cast(pa.float64())
        # Rounding to binary keeps the order: what is below the end in binary is below it.
        within = pc.and_(pc.greater_equal(inside, 0.0), pc.less(inside, float(measure.scale_max)))
        sound = pc.and_(sound, pc.fill_null(within, False))
    return sound


def _doubtful(found: Readings, subject: str, rows: list[Row], *, numeric: bool) -> None:
    """A subject with several rows at the visit, or one that cannot be taken as it stands."""
    visit, measure = found.visit, found.measure
    chosen, why, issues = choose(rows, found.tables, measure, visit)
    found.issues += issues
    if chosen is None:
        found.reasons[subject] = why
        if not issues and not any(row["value"] for row in rows):
            found.gaps.add(subject)
        return
    if any(row["sign"] for row in chosen.rows):
        signs = " ".join(row["sign"] or "" for row in chosen.rows if row["sign"])
        found.reasons[subject] = f"only a limit ({signs}) is known at {visit.name}"
        return
    numbers = []
    for row in chosen.rows if numeric else ():
        value, issue = number(row, measure)
        if value is not None:
            numbers.append(value)
        if issue:
            found.issues.append(issue)
            found.reasons[subject] = f"its value at {visit.name} cannot be used (see the issues)"
    if subject in found.reasons:
        return
    found.chosen[subject] = chosen
    if numeric:
        found.derived[subject] = sum(numbers[1:], numbers[0]) / len(numbers)


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
    limit = measure.scale_max if measure.scale_max is not None else scale
    if limit is not None and not 0 <= value <= limit:
        said = f"`{row['value']}` is not between 0 and {limit}, the ends of the scale of {measure.name}: correct it."
        return None, row.issue("value", said, "value")
    return value, None
