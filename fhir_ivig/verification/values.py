"""Two filled cells of a column, the study's and the record's: equal, different and how, or not comparable and why.

Numbers are compared exactly, as decimals; quantities after exact conversion, by the study's own factors first, then
by UCUM. Times are instants: 09:30+09:00 is 00:30Z. Texts are compared as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal

from fhir_ivig.mapping.units import factor
from fhir_ivig.shape import DECIMAL
from fhir_ivig.study.tolerances import NONE, Tolerance
from fhir_ivig.verification.verdict import DIFFERENT, NOT_COMPARABLE, SAME, Verdict

_DIGITS = Context(prec=200, Emin=-99999, Emax=99999, traps=[])
_NUMBER = re.compile(DECIMAL)


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


def compare_numbers(
    study: str, record: str, scale: Scale = PLAIN, times: tuple[Decimal, Decimal] = (Decimal(1),) * 2
) -> Verdict:
    """Two numbers, each multiplied by its factor in `times`; the tolerance is in the unit of the study's."""
    ours, theirs = number(study), number(record)
    if ours is None or theirs is None:
        return Verdict(
            NOT_COMPARABLE, "unreadable", f"{'The record' if ours is not None else 'The study'}'s is no number."
        )
    ours, theirs = (_DIGITS.multiply(one, by) for one, by in zip((ours, theirs), times, strict=True))
    if ours == theirs:
        return SAME
    apart = abs(_DIGITS.subtract(ours, theirs))
    tolerance = scale.tolerance
    allowed = _DIGITS.multiply(tolerance.value, times[0]) if tolerance.value is not None else None
    if tolerance.percent is not None:
        allowed = abs(_DIGITS.multiply(ours, _DIGITS.divide(tolerance.percent, Decimal(100))))
    if allowed is not None and apart <= allowed:
        return SAME
    return _named(ours, theirs, study, record, scale)


def compare_quantities(
    study: str, study_unit: str | None, record: str, record_unit: str | None, scale: Scale
) -> Verdict | None:
    """Two quantities; None where their units cannot be converted exactly into each other."""
    if study_unit == record_unit:
        return compare_numbers(study, record, scale)
    times = conversion(study_unit, record_unit, scale)
    return compare_numbers(study, record, scale, times) if times else None


def conversion(study: str | None, record: str | None, scale: Scale) -> tuple[Decimal, Decimal] | None:
    """What to multiply the study's and the record's values by to have both in one unit."""
    if study is None or record is None:
        return None
    known = {**scale.factors, **({scale.unit: Decimal(1)} if scale.unit else {})}
    if study in known and record in known:
        # Both are in the measure's unit then, in which its tolerance is.
        return known[study], known[record]
    if (by := factor(record, study)) is not None:
        return Decimal(1), by
    return (by, Decimal(1)) if (by := factor(study, record)) is not None else None


def _named(ours: Decimal, theirs: Decimal, study: str, record: str, scale: Scale) -> Verdict:
    """How two numbers differ."""
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
    if _exchanged(study, record):
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


def _exchanged(one: str, other: str) -> bool:
    """Whether two signs next to each other changed places."""
    if len(one) != len(other):
        return False
    apart = [place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    return (
        len(apart) == 2
        and apart[1] == apart[0] + 1
        and one[apart[0]] == other[apart[1]]
        and one[apart[1]] == other[apart[0]]
    )


def compare_texts(study: str, record: str) -> Verdict:
    """Two texts, as they are."""
    return SAME if study == record else Verdict(DIFFERENT, "value")


def compare_codes(study: str, record: str) -> Verdict:
    """Several words separated by `;`, whose order means nothing."""
    return SAME if sorted(study.split(";")) == sorted(record.split(";")) else Verdict(DIFFERENT, "value")
