"""Courses given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from fhir_ivig.endpoints.definition import Population
from fhir_ivig.endpoints.infusions import by_course, given
from fhir_ivig.endpoints.result import Result
from fhir_ivig.endpoints.tables import Tables, references


def count_courses(tables: Tables, population: Population) -> Iterator[Result]:
    """`n`, the courses with at least one infusion completed or stopped; `second`, how many of them were the second
    of their subject (the number of subjects with two or more)."""
    rows = given(tables, population.subjects, courses=population.courses)
    courses = Counter(subject for subject, _ in by_course(rows))
    second = sum(number > 1 for number in courses.values())
    for statistic, number in (("n", courses.total()), ("second", second)):
        yield Result(
            statistic=statistic,
            n=courses.total(),
            estimate=Decimal(number),
            unit="courses",
            method="courses with at least one infusion completed or stopped",
            resources=references(rows),
        )
