"""What was given: infusions completed or stopped, the courses they make, and the first of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date

from fhir_ivig.endpoints.quantities import Days, days
from fhir_ivig.endpoints.tables import Row, Tables, by_subject
from fhir_ivig.issue import Issue

GIVEN = ("completed", "stopped")  # a stopped infusion gave a part of its dose


def given(
    tables: Tables,
    subjects: Collection[str],
    columns: Iterable[str] = (),
    courses: Collection[tuple[str, ...]] | None = None,
) -> list[Row]:
    """The infusions of these subjects that were given, wholly or in part, of these (subject, course) only if said."""
    found = tables.rows("infusions", ["course", "day", "start", "status", *columns], {"status": GIVEN}, subjects)
    return found if courses is None else [row for row in found if (row.subject, row["course"]) in courses]


def by_course(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    """The infusions of each course given, by subject and course: courses with at least one infusion given."""
    grouped: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        grouped.setdefault((row.subject, row["course"] or ""), []).append(row)
    return grouped


@dataclass(slots=True)
class FirstInfusions:
    """The days that the first infusion of each subject can mean, or the reason why it is not known."""

    days: dict[str, Days] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)

    def day(self, subject: str) -> date | None:
        """The day of the first infusion where it is known to the day."""
        known = self.days.get(subject)
        return known.first if known and known.first == known.last else None


def first_infusions(tables: Tables, subjects: Collection[str]) -> FirstInfusions:
    """The first infusion given to each subject."""
    found = FirstInfusions()
    grouped = by_subject(given(tables, subjects))
    for subject in subjects:
        starts = [(row, days(row["start"] or "")) for row in grouped.get(subject, [])]
        known = [start for _, start in starts if start]
        for row in (row for row, start in starts if start is None):
            found.issues.append(row.issue("value", f"`{row['start'] or ''}` is not a date: correct it.", "start"))
        if not starts:
            found.reasons[subject] = "no infusion given"
        elif len(known) < len(starts):
            found.reasons[subject] = "an infusion without a date (see the issues)"
        else:
            found.days[subject] = Days(min(start.first for start in known), min(start.last for start in known))
    return found
