"""Numbers of SAS that are days or times, as texts.

SAS counts days, or seconds, from the beginning of 1960. Which of them a number is, and how much of it is shown, only
its format says (SAS 9.4 Formats and Informats: Reference, Date and Time). As in a workbook, `MAY2003` is 2003-05 if
it is the first of May, and else the whole day: nothing that is stored is lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from fhir_ivig.study.number_formats import plain_number

_START = datetime(1960, 1, 1)
_SIGN = "[BCDNPSX]?"  # between day, month and year
# The names of formats, what a number counts, and what of it is shown.
_FORMATS = (
    (rf"DATE|(DDMMYY|MMDDYY|YYMMDD){_SIGN}|(WEEK|WORD)DAT[EX]|NLDATE[A-Z]*|EURDF[A-Z]+", "days", "day"),
    (r"[EB]8601DA|IS8601DA|JULIAN|JULDAY|PDJUL[GI]|NENGO|MINGUO|H(EB)?DATE", "days", "day"),
    (r"YYQ[A-Z]*|QTRR?|MONTH|MONNAME|(WEEK)?DAY|DOWNAME|WEEK[UVW]", "days", "day"),
    (rf"MONYY|YYMON|(YYMM|MMYY){_SIGN}", "days", "month"),
    (r"YEAR", "days", "year"),
    (r"DATETIME|DATEAMPM|MDYAMPM|[EB]8601[DL][TXZ]|IS8601D[TZ]|NLDATM[A-Z]*", "seconds", "time"),
    (r"DTDATE|DTWKDATX|[EB]8601DN|IS8601DN", "seconds", "day"),
    (r"DTMONYY", "seconds", "month"),
    (r"DTYEAR", "seconds", "year"),
    (r"TIME|TIMEAMPM|HHMM|TOD|[EB]8601T[MXZ]|IS8601T[MZ]", "seconds", "clock"),
)


def text_of(form: str) -> Callable[[float], str]:
    """What makes texts of the numbers of a format, its name with or without width (`DATE9.`, `DATE`): ISO days and
    times, else the number. A number that is no day of the calendar stays as it is."""
    name = re.sub(r"\d*(\.\d*)?$", "", form.upper())
    found = (partial(_text, unit=unit, shown=shown) for names, unit, shown in _FORMATS if re.fullmatch(names, name))
    return next(found, plain_number)


def _text(value: float, unit: str, shown: str) -> str:
    try:
        moment = _START + timedelta(**{unit: value})
    except OverflowError:
        return plain_number(value)
    if shown == "clock":
        return moment.time().isoformat() if 0 <= value < 86_400 else plain_number(value)
    if shown == "time" or moment.time() != datetime.min.time():
        return moment.isoformat() if unit == "seconds" else plain_number(value)
    day = moment.date().isoformat()
    if shown == "year" and day.endswith("-01-01"):
        return day[:4]
    return day[:7] if shown == "month" and moment.day == 1 else day
