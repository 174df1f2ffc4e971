"""Numbers and days of a workbook as texts, as their number formats (ECMA-376 part 1, 18.8.31) show them.

A number is written with at most the 15 digits that Excel shows. Where its format fixes the digits (`0.00`, `0000000`)
and nothing is rounded by them, they are kept: 612.60, 0041873. A day is ISO text as exact as its format shows.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal

from fhir_ivig.study.texts import shown

_FIXED = re.compile(r"(?:#,##)?(0+)(?:\.(0+))?(?:_[^0#]|;.*)?")
_PADDED = re.compile(r"[^.E]*0[^.E]*0")  # zeros in front, among other signs: 004-1873
_SCALED = re.compile(r"[0#?],+(?![0#?,])")  # thousands left out: 0.0,
_ELAPSED = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_UNSHOWN = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.|_.|\*.')  # of a number format: literal text, colours, blanks


def number_text(value: str, form: str) -> tuple[str, str]:
    """A stored number as the text that is shown, by its number format, and why it cannot be taken."""
    number = Decimal(f"{float(value):.15g}")
    if re.fullmatch(r"-?\d+", value) and Decimal(value) != number:
        return value, f"{shown(value)} has more than the 15 digits that Excel holds: write it as text."
    if (fixed := _FIXED.fullmatch(form)) and abs(number) < 1 << 50:
        whole, digits = len(fixed[1]), len(fixed[2] or "")
        rounded = number.quantize(Decimal(1).scaleb(-digits))
        if rounded == number:
            return (f"{rounded:f}".zfill(whole) if not digits else f"{rounded:f}"), ""
    text, signs = plain_number(float(value)), _UNSHOWN.sub("", form.partition(";")[0])
    if "%" in signs:
        return text, f"It is shown as a percentage and stored as {text}: write the number that is meant, without a %."
    if _SCALED.search(signs):
        return text, f"It is shown in thousands and stored as {text}: write the number that is meant, in full."
    if not fixed and _PADDED.match(signs):
        return text, f"It is shown as {shown(form)} says and stored as {text}: write it as text, as it is meant."
    return text, ""


def plain_number(value: float) -> str:
    """A number with at most 15 significant digits, in which every decimal number of so many comes back."""
    number = Decimal(f"{value:.15g}")
    return f"{number:f}" if -9 <= number.adjusted() <= 20 else str(number)


def day_text(value: str, form: str, since_1904: bool) -> tuple[str, str]:
    """A serial day as ISO text, as exact as its format shows it, and why it cannot be taken."""
    serial, signs = float(value), _UNSHOWN.sub("", form).lower()
    clock = "h" in signs or "s" in signs
    day, fraction = divmod(serial, 1)
    if _ELAPSED.search(form):
        return value, f"It is shown as a time that has passed and stored as {shown(value)} days: write what is meant."
    if clock and "y" not in signs and "d" not in signs and serial < 1:
        return (datetime.min + timedelta(seconds=round(fraction * 86400))).time().isoformat(), ""
    if not since_1904 and serial < 61:
        return value, "This day is before 1900-03-01, where spreadsheets miscount: write it as text, like 1900-02-03."
    if not 0 <= serial < 2958466:
        return value, f"{shown(value)} is no day of the calendar: correct it, or its format."
    moment = datetime(1904, 1, 1) if since_1904 else datetime(1899, 12, 30)
    moment += timedelta(days=day, milliseconds=round(fraction * 86_400_000))
    if clock or moment.time() != datetime.min.time():
        return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds"), ""
    text = moment.date().isoformat()
    if "d" not in signs and moment.day == 1 and "y" in signs:
        return (text[:4] if "m" not in signs and moment.month == 1 else text[:7]), ""
    return text, ""
