"""Dates moved by whole days, a number for each subject, so that all intervals of a subject stay as they are.

Times of day and their zones stay: the time between an infusion's start and end, or an event after it, is the same. A
month or year that is moved is no month or year any more. It becomes the smallest month or year that holds all of its
days; where they lie in two years, the one that holds more of them, and that is said.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhir_ivig.study.texts import strings

EARLIEST, LATEST = date(1800, 1, 1), date(2199, 12, 31)  # the years in which endpoints count days
_EPOCH = date(1970, 1, 1).toordinal()
NONE = np.iinfo(np.int32).min  # stands for a date that is not known


def shifted(texts: pa.StringArray, by: np.ndarray) -> tuple[pa.StringArray, np.ndarray, np.ndarray, np.ndarray]:
    """Dates and dateTimes (null where there is none), each moved by so many days (int).

    Out: the texts, null where they cannot be moved, and masks: which cannot, for leaving the years 1800 to 2199 or
    being outside of them already; which were less exact than a day; which of these lie in two years.
    """
    exact = pc.fill_null(pc.greater_equal(pc.binary_length(texts), 10), False)
    days = _day_numbers(pc.if_else(exact, pc.utf8_slice_codeunits(texts, 0, 10), None))
    whole = exact.to_numpy(zero_copy_only=False)
    moved = days.astype(np.int64) + by
    first, last = (end.toordinal() - _EPOCH for end in (EARLIEST, LATEST))
    out = whole & ((days < first) | (days > last) | (moved > last))
    kept = pa.array(np.where(whole & ~out, moved, 0).astype(np.int32), mask=~whole | out)
    dates = kept.cast(pa.date32()).cast(pa.string())
    new = pc.binary_join_element_wise(dates, pc.utf8_slice_codeunits(texts, 10), "")
    partial = texts.is_valid().to_numpy(zero_copy_only=False) & ~whole
    two = np.zeros(len(texts), dtype=bool)
    if partial.any():
        cells = new.to_pylist()
        for row in np.flatnonzero(partial).tolist():
            cells[row], two[row] = _partial(texts[row].as_py(), int(by[row]))
            out[row] = cells[row] is None
        new = strings(cells)
    return new, out, partial, two


def day_numbers(texts: pa.StringArray) -> np.ndarray:
    """The day of each date that is exact, counted from 1970; NONE where there is none."""
    exact = pc.fill_null(pc.greater_equal(pc.binary_length(texts), 10), False)
    return _day_numbers(pc.if_else(exact, pc.utf8_slice_codeunits(texts, 0, 10), None))


def _day_numbers(days: pa.StringArray) -> np.ndarray:
    numbers: np.ndarray = days.cast(pa.date32()).cast(pa.int32()).fill_null(NONE).to_numpy()
    return numbers


def from_day_number(number: int) -> date:
    """The date of a day counted from 1970."""
    return date.fromordinal(number + _EPOCH)


def span(text: str) -> tuple[date, date]:
    """The first and last day that a FHIR date can mean."""
    year, month, day = (int(part) if part else None for part in (text[:4], text[5:7], text[8:10]))
    first = date(year or 1, month or 1, day or 1)
    return first, first if day else date(first.year, month or 12, monthrange(first.year, month or 12)[1])


@lru_cache(maxsize=1 << 16)
def _partial(text: str, days: int) -> tuple[str | None, bool]:
    """A month or year moved, None where it leaves the years, and whether it lies in two years then."""
    first, last = span(text)
    if first < EARLIEST or last > LATEST or last + timedelta(days) > LATEST:
        return None, False
    first, last = first + timedelta(days), last + timedelta(days)
    if (first.year, first.month) == (last.year, last.month):
        return first.isoformat()[:7], False
    middle = first + (last - first) / 2
    return f"{middle.year:04}", first.year != last.year
