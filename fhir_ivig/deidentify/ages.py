"""What is left of a birth date: the age in completed years at the first infusion, and nothing else.

It is written as a birth date that gives this age: the month before the one of the first infusion, so many years
earlier. Where the birth date left two ages open, it is a year that leaves the same two open. Whoever is above 89 at
any date of the tables is 90 at the first infusion: 45 CFR 164.514(b)(2)(i)(C) wants such ages in one group.
"""

from __future__ import annotations

from datetime import date

from fhir_ivig.deidentify.dates import span

OLDEST = 89


def years_between(birth: date, on: date) -> int:
    """Completed years; who is born on 29 February completes a year on 1 March in common years."""
    return on.year - birth.year - ((on.month, on.day) < (birth.month, birth.day))


def born(birth: str, first: date, last: date, days: int) -> tuple[str | None, bool]:
    """The birth date to write for a subject whose dates are moved by so many days, and whether the age was pooled.

    birth: as written; first and last: the days of the first infusion and of the last date of the subject, not moved.
    None where the age is below 0, for a wrong date, or no birth date leaves these two ages open.
    """
    earliest, latest = span(birth)
    ages = sorted({years_between(latest, first), years_between(earliest, first)})
    if ages[0] < 0 or len(ages) > 2:
        return None, False
    moved = date.fromordinal(first.toordinal() + days)
    if years_between(earliest, last) > OLDEST:
        return _of_age(OLDEST + 1, moved), True
    if len(ages) == 1:
        return _of_age(ages[0], moved), False
    last_day = (moved.month, moved.day) == (12, 31)  # on which whoever was born in a year is of the same age
    return None if last_day else f"{moved.year - ages[1]:04}", False


def _of_age(age: int, on: date) -> str:
    """The month before that of a day, so many years earlier: whoever was born in it is of that age."""
    month, year = (on.month - 1, on.year - age) if on.month > 1 else (12, on.year - age - 1)
    return f"{year:04}-{month:02}"
