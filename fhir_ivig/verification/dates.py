"""Two dates, as exact as they are: the study's and the record's."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from fhir_ivig.verification.verdict import DIFFERENT, NOT_COMPARABLE, SAME, Verdict

_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?(T.+)?")
# A day in no zone may begin 14 hours before the same day in UTC, and end 12 hours after it.
_EARLIEST, _LATEST = timedelta(hours=-14), timedelta(hours=36)


class When(NamedTuple):
    """The first and the last day that a date can mean, as written in its own zone, and the instant where there is a
    time; of a leap second, the one before it, and so much later."""

    first: date
    last: date
    instant: datetime | None
    zulu: bool
    fraction: str


@lru_cache(maxsize=1 << 16)
def when(text: str) -> When | None:
    """What a FHIR date or dateTime says; None where it is none, or none in the calendar."""
    match = _DATE.fullmatch(text)
    if not match:
        return None
    year, month, day, time = match.groups()
    try:
        first = date(int(year), int(month or 1), int(day or 1))
        last = first if day else date(first.year, int(month or 12), monthrange(first.year, int(month or 12))[1])
        if not time:
            return When(first, last, None, False, "")
        clock, _, rest = text.replace(":60", ":59").partition(".")
        digits = re.match("[0-9]*", rest)[0] if rest else ""  # type: ignore[index]  # matches always
        leap = "leap" if ":60" in text[:19] else ""
        instant = datetime.fromisoformat(clock + rest[len(digits) :]).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return When(first, last, instant, text.endswith("Z"), leap + digits.rstrip("0"))


def instant_text(text: str) -> str:
    """A date as it is; a time as its instant in UTC, so that equal instants are equal texts."""
    found = when(text) if "T" in text else None
    return f"{found.instant.isoformat()}.{found.fraction}" if found and found.instant else text


def compare_dates(study: str, record: str, tolerance: int | None = None) -> Verdict:
    """Two dates of the types date and dateTime.

    Two times are equal as instants. A time beside a day, or a month beside one of its days, is not comparable: they
    may mean the same. With a tolerance in days, days as written are compared and times in them count for nothing.
    """
    ours, theirs = when(study), when(record)
    if ours is None or theirs is None:
        return Verdict(NOT_COMPARABLE, "unreadable", f"{'The record' if ours else 'The study'}'s is no date.")
    if ours.instant and theirs.instant and (ours.instant, ours.fraction) == (theirs.instant, theirs.fraction):
        return SAME
    exact = ours.first == ours.last and theirs.first == theirs.last
    if exact and tolerance is not None and abs((theirs.first - ours.first).days) <= tolerance:
        return SAME
    if (ours.first, ours.last, ours.instant) == (theirs.first, theirs.last, theirs.instant) and not ours.instant:
        return SAME
    if not exact:
        return _inexact(ours, theirs)
    if (ours.instant is None) != (theirs.instant is None) and _may_be(ours, theirs):
        side = "study" if ours.instant is None else "record"
        return Verdict(NOT_COMPARABLE, "exactness", f"The {side} has no time of day.")
    days = (theirs.first - ours.first).days
    if days == 0:
        return Verdict(DIFFERENT, "time")
    if (ours.first.day, ours.first.month, ours.first.year) == (
        theirs.first.month,
        theirs.first.day,
        theirs.first.year,
    ):
        return Verdict(DIFFERENT, "day and month")
    count = f"{abs(days)} day{'s' if abs(days) > 1 else ''}"
    return Verdict(DIFFERENT, "date", f"The record's is {count} {'later' if days > 0 else 'earlier'}.")


def _inexact(ours: When, theirs: When) -> Verdict:
    if ours.first <= theirs.first and theirs.last <= ours.last:
        return Verdict(NOT_COMPARABLE, "exactness", "The study's is less exact; the record's lies in it.")
    if theirs.first <= ours.first and ours.last <= theirs.last:
        return Verdict(NOT_COMPARABLE, "exactness", "The record's is less exact; the study's lies in it.")
    return Verdict(DIFFERENT, "date")


def _may_be(ours: When, theirs: When) -> bool:
    """Whether a time may lie in a day: by the day as written, in UTC (where servers put times) in any zone."""
    timed, day = (ours, theirs.first) if ours.instant else (theirs, ours.first)
    if timed.first == day or not timed.zulu or timed.instant is None:
        return timed.first == day
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return _EARLIEST <= timed.instant - midnight < _LATEST
