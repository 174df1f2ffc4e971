"""Two filled cells of a column, the study's and the record's: equal, different and how, or not comparable and why.

Numbers are compared exactly, as decimals; quantities after exact conversion, by the study's own factors first, then
by UCUM. Times are instants: 09:30+09:00 is 00:30Z. Texts are compared as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from typing import NamedTuple

from fhir_ivig.mapping.units import factor
from fhir_ivig.shape import DECIMAL
from fhir_ivig.study.tolerances import NONE, Tolerance
from fhir_ivig.verification.verdict import DIFFERENT, NOT_COMPARABLE, SAME, Verdict

_DIGITS = Context(prec=200, Emin=-99999, Emax=99999, traps=[])
_NUMBER = re.compile(DECIMAL)
_WRITTEN = 40  # digits of a number that somebody types


@dataclass(frozen=True)
class Scale:
    """What is known of the quantities of a measure: how far they may be apart, its unit, and what values in the
    study's other units are multiplied by to be in it."""

    tolerance: Tolerance = NONE
    unit: str | None = None
    factors: Mapping[str, Decimal] = field(default_factory=dict)


PLAIN = Scale()


def number(text: str) -> Decimal | None:
    """The number that a text is, as far as it is one."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


class Times(NamedTuple):
    """What to multiply the study's value, the record's and the tolerance by to have all in one unit; no tolerance
    where its unit cannot be converted."""

    study: Decimal = Decimal(1)
    record: Decimal = Decimal(1)
    tolerance: Decimal | None = Decimal(1)


_ONE = Times()


def compare_numbers(study: str, record: str, scale: Scale = PLAIN, times: Times = _ONE) -> Verdict:
    """Two numbers, each multiplied by its factor."""
    ours, theirs = number(study), number(record)
    if ours is None or theirs is None:
        return Verdict(
            NOT_COMPARABLE, "unreadable", f"{'The record' if ours is not None else 'The study'}'s is no number."
        )
    ours, theirs = _DIGITS.multiply(ours, times.study), _DIGITS.multiply(theirs, times.record)
    if ours == theirs:
        return SAME
    allowed = Decimal(0)
    if scale.tolerance.percent is not None:
        allowed = abs(_DIGITS.multiply(ours, _DIGITS.divide(scale.tolerance.percent, Decimal(100))))
    elif scale.tolerance.value is not None and times.tolerance is not None:
        allowed = _DIGITS.multiply(scale.tolerance.value, times.tolerance)
    return SAME if abs(_DIGITS.subtract(ours, theirs)) <= allowed else _named(ours, theirs, scale)


def compare_quantities(
    study: str, study_unit: str | None, record: str, record_unit: str | None, scale: Scale
) -> Verdict | None:
    """Two quantities; None where their units cannot be converted exactly into each other."""
    if study_unit is None and record_unit is None:
        return compare_numbers(study, record, scale)
    times = conversion(study_unit, record_unit, scale)
    return compare_numbers(study, record, scale, times) if times else None


def conversion(study: str | None, record: str | None, scale: Scale) -> Times | None:
    """What to multiply by to have quantities of both units in one: the measure's if that is exact, else one of the
    two."""

    def by(unit: str, wanted: str) -> Decimal | None:
        known = scale.factors.get(unit) if wanted == scale.unit and unit != wanted else None
        return factor(unit, wanted) if known is None else known

    if study is None or record is None:
        return None
    for wanted in filter(None, (scale.unit, study, record)):
        ours, theirs = by(study, wanted), by(record, wanted)
        if ours is not None and theirs is not None:
            return Times(ours, theirs, by(scale.unit, wanted) if scale.unit else None)
    return None


def _named(ours: Decimal, theirs: Decimal, scale: Scale) -> Verdict:
    """How two numbers of one unit differ."""
    one, two = (_DIGITS.normalize(each) for each in (ours, theirs))
    if one.as_tuple()[:2] == two.as_tuple()[:2] and ours and theirs:
        shift = int(two.as_tuple().exponent) - int(one.as_tuple().exponent)
        many = f"The record's is {_times(shift)} the study's."
        return Verdict(DIFFERENT, "decimal shift" if shift % 3 else "unit", many)
    for unit, by in scale.factors.items():
        if theirs in (_DIGITS.multiply(ours, by), _DIGITS.divide(ours, by)):
            return Verdict(DIFFERENT, "unit", f"One is {by} times the other, as {unit} is converted.")
    if _rounded(ours, theirs) or _rounded(theirs, ours):
        return Verdict(DIFFERENT, "rounded")
    if _exchanged(one, two):
        return Verdict(DIFFERENT, "digits exchanged")
    return Verdict(DIFFERENT, "value")


def _times(shift: int) -> str:
    power = abs(shift)
    many = f"{10**power}" if power <= 6 else f"10 to the power of {power}"
    return f"{many} times" if shift > 0 else f"1/{many} of"


def _rounded(exact: Decimal, short: Decimal) -> bool:
    """Whether the second number is the first with fewer decimals."""
    places = int(short.as_tuple().exponent)
    if places <= int(exact.as_tuple().exponent) or places > 0:
        return False
    return any(
        exact.quantize(short, rounding, context=_DIGITS) == short for rounding in (ROUND_HALF_UP, ROUND_HALF_EVEN)
    )


def _exchanged(one: Decimal, other: Decimal) -> bool:
    """Whether two digits next to each other changed places."""
    if max(abs(one.adjusted()), abs(other.adjusted())) > _WRITTEN:
        return False
    decimals = -min(0, int(one.as_tuple().exponent), int(other.as_tuple().exponent))
    first, second = (f"{each:.{decimals}f}" for each in (one, other))
    return any(first[:at] + first[at + 1] + first[at] + first[at + 2 :] == second for at in range(len(first) - 1))


def compare_texts(study: str, record: str) -> Verdict:
    """Two texts, as they are."""
    return SAME if study == record else Verdict(DIFFERENT, "value")


def compare_codes(study: str, record: str) -> Verdict:
    """Several words separated by `;`, whose order means nothing."""
    return SAME if sorted(study.split(";")) == sorted(record.split(";")) else Verdict(DIFFERENT, "value")
