"""What data sets say of each subject besides the tables' cells, and study days.

| `about`              | What it is                                                                          |
|----------------------|-------------------------------------------------------------------------------------|
| `first_day`          | the first day of the first course, else of the infusions given: day 0 of study.yaml |
| `first_infusion`     | when the first infusion given began                                                 |
| `last_infusion`      | when the last infusion given ended, or began where no end is known                  |
| `..._infusion_day`   | the same to the day                                                                 |
| `age`                | completed years at first_day                                                        |
| `death`, `death_day` | Y where an adverse event was fatal; the day, where it is known                      |
| `treated`            | Y where an infusion was given, else N                                               |

What is not known to the day, or could be another, is empty. A study day is the number of days since first_day, 1 for
that day itself, -1 for the day before: there is no day 0 (SDTM). Days are those written, each in its own zone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from fhir_ivig.endpoints.infusions import given
from fhir_ivig.endpoints.quantities import Days, age, days
from fhir_ivig.endpoints.result import NotEvaluableError
from fhir_ivig.endpoints.tables import Row, Tables, by_subject

About = Mapping[str, Mapping[str, str]]


def about(tables: Tables, subjects: Iterable[str]) -> About:
    """What is known, by fact, of whom: only what is known is there."""
    subjects = list(dict.fromkeys(subjects))
    infusions = _infusions(tables, subjects)
    firsts = {one: end for one, rows in infusions.items() if (end := _outermost(_starts(rows), last=False))}
    lasts = {one: end for one, rows in infusions.items() if (end := _outermost(_ends(rows), last=True))}
    starts = tables.first_days()
    deaths = tables.deaths()
    return {
        "first_day": {one: day.isoformat() for one, day in starts.items()},
        "first_infusion": firsts,
        "last_infusion": lasts,
        "first_infusion_day": {one: text[:10] for one, text in firsts.items()},
        "last_infusion_day": {one: text[:10] for one, text in lasts.items()},
        "age": _ages(tables, starts),
        "death": dict.fromkeys(deaths, "Y"),
        "death_day": {one: day.isoformat() for one, day in deaths.items() if day},
        "treated": {one: "Y" if one in infusions else "N" for one in subjects},
    }


def study_day(text: str | None, start: date | None) -> int | None:
    """The study day of a date; None where it, or the start, is not known to the day."""
    span = days(text or "")
    if span is None or start is None or span.first != span.last:
        return None
    since = (span.first - start).days
    return since + 1 if since >= 0 else since


def planned_day(day: int) -> int:
    """The study day of a day of study.yaml, which counts from 0."""
    return day + 1 if day >= 0 else day


def _infusions(tables: Tables, subjects: list[str]) -> dict[str, list[Row]]:
    try:
        return by_subject(given(tables, subjects, ["end"]))
    except NotEvaluableError:
        return {}


def _starts(rows: Iterable[Row]) -> list[str]:
    return [row["start"] or "" for row in rows]


def _ends(rows: Iterable[Row]) -> list[str]:
    return [row["end"] or row["start"] or "" for row in rows]


def _outermost(texts: list[str], *, last: bool) -> str | None:
    """The first or last of dates: as written where all of that day have times, else the day; None where it could be
    several days."""
    spans = [days(text) for text in texts]
    known = [span for span in spans if span]
    if not known or len(known) < len(spans):
        return None
    pick: Callable[..., Any] = max if last else min
    day = pick(span.first for span in known)
    if day != pick(span.last for span in known):
        return None
    written = [text for text in texts if text.startswith(day.isoformat())]
    if not all("T" in text for text in written):
        return str(day.isoformat())
    try:
        return str(pick(written, key=datetime.fromisoformat))
    except (ValueError, TypeError):  # leap seconds, or some without a zone
        return str(day.isoformat())


def _ages(tables: Tables, starts: Mapping[str, date]) -> dict[str, str]:
    if not tables.has("subjects", "birth_date"):
        return {}
    found = {}
    for row in tables.rows("subjects", ("birth_date",), subjects=starts):
        birth, start = days(row["birth_date"] or ""), starts[row.subject]
        years = age(birth, Days(start, start)) if birth else None
        if years is not None:
            found[row.subject] = str(years)
    return found
