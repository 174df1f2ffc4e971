"""Which value stands for a visit where a subject has several there, by the rule that the study file names.

| Rule      | The value of the visit                                                                          |
|-----------|-------------------------------------------------------------------------------------------------|
| `nearest` | the one nearest to the visit's target day, of two equally near the earlier; days count from the |
|           | first day of the subject's first course                                                         |
| `first`, `last` | the earliest, the latest                                                                  |
| `mean`    | the mean of all                                                                                 |

Rows without a value are passed over. Two on one day are told apart by their times; where there are none, nothing is
chosen. Without a rule, several rows are an Issue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from fhir_ivig.endpoints.quantities import days
from fhir_ivig.endpoints.tables import Row, Tables
from fhir_ivig.endpoints.terms import Measure, Visit
from fhir_ivig.issue import Issue

RULES = ("nearest", "first", "last", "mean")


@dataclass(frozen=True, slots=True)
class Chosen:
    """The rows that a value is from and, where a rule chose, derived or carried it, the rule in words."""

    rows: tuple[Row, ...]
    rule: str = ""
    imputed: bool = False

    @property
    def row(self) -> Row:
        """The first of the rows, with the resources of all."""
        behind = ";".join(dict.fromkeys(row.resource for row in self.rows if row.resource))
        return replace(self.rows[0], resource=behind or None)


def choose(
    rows: Sequence[Row], tables: Tables, measure: Measure, visit: Visit
) -> tuple[Chosen | None, str, list[Issue]]:
    """What stands for the visit, of one subject's rows there; or the reason why nothing does, and Issues."""
    rule = visit.several or measure.several
    if len(rows) > 1 and (rule is None or (rule == "mean" and measure.unit is None)):
        return None, f"more than one {measure.name} at {visit.name}", _doubled(rows, measure, visit)
    filled = [row for row in rows if row["value"]]
    if not filled:
        why = next((row["missing_reason"] for row in rows if row["missing_reason"]), None)
        return None, f"no value at {visit.name}" + (f" ({why})" if why else ""), []
    if len(filled) == 1:
        return Chosen((filled[0],)), "", []
    if rule == "mean":
        return Chosen(tuple(filled), f"mean of {len(filled)}"), "", []
    ordered = sorted(filled, key=_order)
    if any(_moment(row) is _VAGUE for row in filled):
        return None, f"several values at {visit.name}, not all dated to the day", []
    if rule == "nearest":
        start = tables.first_days().get(rows[0].subject)
        if start is None or visit.day is None:
            missing = "no target day" if visit.day is None else "no first course known to the day"
            return None, f"several values at {visit.name}, and {missing} to find the nearest", []
        target = visit.day
        ordered.sort(key=lambda row: abs((_moment(row)[0] - start).days - target))
        said = f"nearest to day {visit.day} of {len(filled)}"
        alike = abs((_moment(ordered[0])[0] - start).days - target)
        ordered = [row for row in ordered if abs((_moment(row)[0] - start).days - target) == alike]
    else:
        said = f"{rule} of {len(filled)}"
    best = ordered[-1] if rule == "last" else ordered[0]
    if sum(not _apart(_moment(row), _moment(best)) for row in ordered) > 1:
        return None, f"more than one {measure.name} at {visit.name} on one day", _doubled(filled, measure, visit)
    return Chosen((best,), said), "", []


Moment = tuple[date, datetime | None]
_VAGUE: Moment = (date.min, None)


def _moment(row: Row) -> Moment:
    """The day as written, and the instant where a time is."""
    text = row["date"] or ""
    span = days(text)
    if span is None or span.first != span.last:
        return _VAGUE
    try:
        instant = datetime.fromisoformat(text).astimezone(UTC) if "T" in text else None
    except (ValueError, OverflowError):
        instant = None
    return span.first, instant


def _order(row: Row) -> tuple[date, datetime]:
    day, instant = _moment(row)
    return day, instant or datetime.min.replace(tzinfo=UTC)


def _apart(one: Moment, other: Moment) -> bool:
    """Whether it is known which of the two was earlier."""
    return one[0] != other[0] or (one[1] is not None and other[1] is not None and one[1] != other[1])


def _doubled(rows: Sequence[Row], measure: Measure, visit: Visit) -> list[Issue]:
    what, others = f"{measure.name} at {visit.name}", ", ".join(str(row.number) for row in rows)
    text = f"{rows[0].subject} has more than one {what} (rows {others}): keep one, or say under `measures` which"
    text += f" counts (`several: {' | '.join(RULES)}`). None is used until then."
    return [row.issue("duplicate", text) for row in rows]
