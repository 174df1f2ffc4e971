"""Adverse events by course: the denominator is courses, neither patients nor daily infusions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from fhir_ivig.endpoints.definition import Population
from fhir_ivig.endpoints.inference import proportion
from fhir_ivig.endpoints.infusions import by_course, given
from fhir_ivig.endpoints.result import Result, left_out
from fhir_ivig.endpoints.tables import Tables, references
from fhir_ivig.issue import Issue


def events_per_course(
    tables: Tables, population: Population, causality: tuple[str, ...] = ("related", "possible")
) -> Iterator[Result | Issue]:
    """`courses` given, `events` suspected, `courses_with_event` and their `percent` (Clopper-Pearson).

    An event is suspected where its row names a course and its causality is one of `causality`, by default a
    reasonable possibility or more (ICH E2A, II.A.2); an event without causality is suspected too, with a warning.
    """
    infusions = given(tables, population.subjects, courses=population.courses)
    courses = by_course(infusions)
    columns = ("event", "course", "causality")
    suspected, doubtful = [], {}
    for row in tables.rows("adverse_events", columns, subjects=population.subjects):
        if not row["course"] or (row["causality"] and row["causality"] not in causality):
            continue
        if population.courses is not None and (row.subject, row["course"]) not in population.courses:
            continue
        event = f"{row.subject} event {row['event']}"
        if (row.subject, row["course"]) not in courses:
            doubtful[event] = "its course was not given"
            yield row.issue("not-found", f"Course {row['course']} was not given: correct it.", "course")
            continue
        if not row["causality"]:
            doubtful[event] = ""
        suspected.append(row)
    assumed = tuple(f"{event}: no causality, taken as suspected." for event, why in doubtful.items() if not why)
    said = assumed + left_out({event: why for event, why in doubtful.items() if why})
    hit = {(row.subject, row["course"]) for row in suspected}
    counts = {"courses": len(courses), "events": len(suspected), "courses_with_event": len(hit)}
    for result in [
        *(
            Result(statistic=name, estimate=Decimal(number), unit="events" if name == "events" else "courses")
            for name, number in counts.items()
        ),
        proportion(len(hit), len(courses)),
    ]:
        yield replace(
            result,
            n=len(courses),
            warnings=result.warnings + said,
            resources=references([*suspected, *infusions]),
        )
