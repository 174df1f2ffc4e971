"""What study.yaml says about measures and visits, held against a block of assessments."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, Underflow
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from fhir_ivig.shape import DECIMAL
from fhir_ivig.study.cells import Flaw
from fhir_ivig.study.source import Source
from fhir_ivig.study.study import Study
from fhir_ivig.study.texts import matches, rows_where, shown, strings, with_point

Columns = dict[str, pa.StringArray]

EXACT = Context(prec=60, traps=[Inexact, InvalidOperation, Overflow, Underflow])


class Conversion(NamedTuple):
    """Values of a measure that came in another unit, and what they were multiplied by."""

    measure: str
    theirs: str
    ours: str
    factor: Decimal


def assess(study: Study, source: Source, columns: Columns) -> tuple[Columns, list[Flaw], Counter[Conversion]]:
    """The columns of a block of assessments with units converted and scale_max filled.

    Out: the columns; the Flaws (unknown measures and visits, values that are no numbers where the measure has a unit,
    missing and unknown units, values outside of 0 to scale_max, another scale_max than the study's, a value with a
    reason why it is missing, or neither); and how many rows were converted.
    """
    ours = dict(columns)
    for name in {"unit", "upper_limit", "scale_max"} & source.constants.keys():  # they say something of a value
        ours[name] = pc.if_else(ours["value"].is_valid(), ours[name], pa.scalar(None, pa.string()))
    measures = list(study.measures.values())
    place = pc.index_in(ours["measure"], strings(study.measures))
    unit = strings(measure.unit for measure in measures).take(place)
    scale = strings(measure.scale_max for measure in measures).take(place)
    flaws = _unknown(ours, "measure", study.measures) + _unknown(ours, "visit", study.visits)
    if source.decimal == ",":
        ours["value"] = pc.if_else(unit.is_valid(), with_point(ours["value"]), ours["value"])
    flaws += _no_numbers(ours["value"], columns["value"], unit) + _reasons(ours)
    converted, wrong = _convert(ours, unit, place.is_valid(), source)
    flaws += wrong
    flaws += _scales(ours, scale)
    return ours, flaws, converted


def _unknown(columns: Columns, name: str, known: Collection[str]) -> list[Flaw]:
    cells = columns[name]
    rows = rows_where(pc.and_(cells.is_valid(), pc.invert(pc.is_in(cells, strings(known)))))
    text = f"is no {name} of study.yaml: add it there, or name it under `codes`."
    return [(row, name, "not-found", f"{shown(cells[row].as_py())} {text}") for row in rows]


def _no_numbers(values: pa.StringArray, cells: pa.StringArray, unit: pa.StringArray) -> list[Flaw]:
    wrong = pc.and_(pc.invert(matches(values, DECIMAL)), unit.is_valid())
    text = "is no number, and this measure has a unit: a sign such as < stands in the column sign."
    return [(row, "value", "value", f"{shown(cells[row].as_py())} {text}") for row in rows_where(wrong)]


def _reasons(columns: Columns) -> list[Flaw]:
    filled, why = columns["value"].is_valid(), columns["missing_reason"].is_valid()
    neither = "There is no value: fill it, or say why in missing_reason."
    both = "There is a value and a reason why it is missing: empty one of them."
    sign = "There is a sign without a value: fill the value, or empty the sign."
    return [
        *((row, "value", "required", neither) for row in rows_where(pc.invert(pc.or_(filled, why)))),
        *((row, "missing_reason", "invariant", both) for row in rows_where(pc.and_(filled, why))),
        *((row, "sign", "invariant", sign) for row in rows_where(pc.and_not(columns["sign"].is_valid(), filled))),
    ]


def _convert(
    columns: Columns, unit: pa.StringArray, known: pa.BooleanArray, source: Source
) -> tuple[Counter[Conversion], list[Flaw]]:
    """Turns every value that is in a unit of `source.units` into the measure's unit, in place."""
    given, measure = columns["unit"], columns["measure"]
    without = pc.and_(pc.and_(columns["value"].is_valid(), unit.is_valid()), given.is_null())
    flaws: list[Flaw] = [(row, "unit", "required", "The value has no unit: fill it.") for row in rows_where(without)]
    counts: Counter[Conversion] = Counter()
    other = pc.and_(pc.and_(known, given.is_valid()), pc.invert(pc.fill_null(pc.equal(given, unit), False)))
    if not pc.any(other).as_py():
        return counts, flaws
    for name, factors in source.units.items():
        for theirs, factor in factors.items():
            rows = pc.and_(other, pc.and_(pc.equal(measure, name), pc.equal(given, theirs)))
            positions = rows_where(rows)
            if not positions:
                continue
            wanted = unit[positions[0]].as_py()
            other = pc.and_not(other, rows)
            counts[Conversion(name, theirs, wanted, factor)] += len(positions)
            columns["unit"] = pc.if_else(rows, wanted, columns["unit"])
            for column in ("value", "upper_limit", "scale_max") if factor != 1 else ():
                columns[column], wrong = _times(columns[column], rows, factor, column)
                flaws += wrong
    for row in rows_where(other):
        wanted = unit[row].as_py()
        said = f"the measure has {wanted}" if wanted else "the measure has none"
        text = f"{shown(given[row].as_py())}, but {said}: give the factor to it under `units`, or correct the unit."
        flaws.append((row, "unit", "code-invalid", text))
    return counts, flaws


def _times(
    cells: pa.StringArray, rows: pa.BooleanArray, factor: Decimal, column: str
) -> tuple[pa.StringArray, list[Flaw]]:
    encoded = cells.filter(rows).dictionary_encode()
    given = encoded.dictionary.to_pylist()
    products = [_product(text, factor) for text in given]
    text = "has too many digits to be converted exactly: correct it, or convert it yourself."
    wrong = strings(one for one, product in zip(given, products, strict=True) if product is None)
    flaws: list[Flaw] = [
        (row, column, "value", f"{shown(cells[row].as_py())} {text}")
        for row in rows_where(pc.and_(rows, pc.is_in(cells, wrong)) if len(wrong) else pc.and_(rows, False))
    ]
    return pc.replace_with_mask(cells, rows, strings(products).take(encoded.indices)), flaws


def _product(text: str, factor: Decimal) -> str | None:
    if not re.fullmatch(DECIMAL, text):
        return text  # a Flaw already
    try:
        return str(EXACT.multiply(Decimal(text), factor))
    except ArithmeticError:
        return None


def _scales(columns: Columns, scale: pa.StringArray) -> list[Flaw]:
    """Fills scale_max from the study's measures, in place, where there is a value to be seen against it."""
    given = columns["scale_max"]
    columns["scale_max"] = pc.if_else(columns["value"].is_valid(), pc.coalesce(given, scale), given)
    flaws: list[Flaw] = []
    for row in rows_where(pc.not_equal(given, scale)):
        theirs, wanted = given[row].as_py(), scale[row].as_py()
        if _number(theirs) != _number(wanted):
            text = f"{shown(theirs)}, but the study's scale_max is {wanted}: correct one of them."
            flaws.append((row, "scale_max", "conflict", text))
    for greatest in pc.unique(columns["scale_max"]).drop_null().to_pylist():
        rows = pc.equal(columns["scale_max"], greatest)
        outside = _outside(pc.unique(columns["value"].filter(rows)).drop_null(), greatest)
        for row in rows_where(pc.and_(rows, pc.is_in(columns["value"], outside))) if len(outside) else ():
            text = f"{shown(columns['value'][row].as_py())} is not between 0 and {greatest}, the scale's end."
            flaws.append((row, "value", "value", text))
    return flaws


def useless_limits(limits: pa.StringArray) -> list[tuple[int, str]]:
    """The rows whose upper limit of normal is not above 0, which nothing can be held against, with what to say."""
    every = {text: _number(text) for text in pc.unique(limits).drop_null().to_pylist()}
    wrong = [text for text, number in every.items() if number is not None and number <= 0]
    said = "is not above 0, so the upper limit of normal is not used: correct it, or empty the cell."
    rows = rows_where(pc.is_in(limits, strings(wrong))) if wrong else []
    return [(row, f"{shown(limits[row].as_py())} {said}") for row in rows]


def _outside(values: pa.StringArray, greatest: str) -> pa.StringArray:
    """Those of the values that are below 0 or above the greatest."""
    most = _number(greatest)
    if most is None:
        return strings([])
    values = values.filter(matches(values, DECIMAL))
    try:
        # Rounding to binary keeps the order, so only what is not below the end needs a look in decimal.
        near = pc.or_(pc.greater_equal(values.cast(pa.float64()), float(most)), pc.starts_with(values, "-"))
        values = values.filter(near)
    except pa.ArrowInvalid:
        pass  # too large for binary
    return strings(text for text in values.to_pylist() if not 0 <= Decimal(text) <= most)


def _number(text: str) -> Decimal | None:
    """None where it is no number, which is a Flaw already."""
    return Decimal(text) if re.fullmatch(DECIMAL, text) else None
