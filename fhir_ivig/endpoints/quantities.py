"""Words, numbers and dates out of text, exactly as far as the text goes."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from functools import lru_cache
from typing import Any, NamedTuple

DECIMAL = r"-?[0-9]{1,12}(\.[0-9]{1,12})?"
_DECIMAL = re.compile(DECIMAL)
_DATE = re.compile(r"(1[89][0-9]{2}|2[01][0-9]{2})(?:-([0-9]{2})(?:-([0-9]{2})(?:T.+)?)?)?")


def texts(value: Any) -> tuple[str, ...] | None:
    """A word or a list of words as a tuple of them; None where it is something else, or nothing."""
    words = value if isinstance(value, list) else [value]
    return tuple(words) if words and all(isinstance(word, str) and word for word in words) else None


class Days(NamedTuple):
    """The first and the last day that a date can mean: 2003-05 means 2003-05-01 to 2003-05-31."""

    first: date
    last: date


def decimal(text: str) -> Decimal | None:
    """The number as written, or None where the text is none.

    At most 12 digits stand before and after the point, so that sums, differences and products of a few of them
    are exact in Decimal's 28 digits; no quantity of a trial is larger or finer.
    """
    return Decimal(text) if _DECIMAL.fullmatch(text) else None


@lru_cache(maxsize=100_000)
def days(text: str) -> Days | None:
    """The days that a FHIR date or dateTime can mean, None where it is no date, or none of the years 1800 to 2199.

    Such a year is a slip or stands for something else (9999-12-31), and days could not be counted from it.
    Of a time only its day counts, as written in its own zone: that is the day in the hospital.
    """
    match = _DATE.fullmatch(text)
    if not match:
        return None
    year, month, day = (int(part) if part else None for part in match.groups())
    try:
        first = date(year or 0, month or 1, day or 1)
        last = first if day else date(first.year, month or 12, monthrange(first.year, month or 12)[1])
    except ValueError:
        return None
    return Days(first, last)


def age(birth: Days, on: Days) -> int | None:
    """Completed years of age, None where the dates leave two ages open.

    A birth date known to the month or year gives an age where every day it can mean gives the same one. Who is
    born on 29 February completes a year on 1 March in common years.
    """
    youngest, oldest = _years(birth.last, on.first), _years(birth.first, on.last)
    return youngest if youngest == oldest else None


def _years(birth: date, on: date) -> int:
    return on.year - birth.year - ((on.month, on.day) < (birth.month, birth.day))


def average(numbers: Iterable[Decimal]) -> Decimal | None:
    """The mean, from the exact sum (28 digits where it does not end); None of none."""
    every = list(numbers)
    with localcontext(prec=100):
        numerator, denominator = sum(every, Decimal(0)).as_integer_ratio()
    return Decimal(numerator) / (denominator * len(every)) if every else None


def agrees(estimate: Decimal, published: Decimal) -> bool:
    """Whether the estimate, rounded half up (as by hand and in SAS) to the decimals printed, is it."""
    return estimate.quantize(published, ROUND_HALF_UP, Context(prec=100)) == published
