"""A laboratory value in multiples of its upper limit of normal, and its grade."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from statistics import median

from fhir_ivig.endpoints.assessments import readings
from fhir_ivig.endpoints.core_set import upper_limits
from fhir_ivig.endpoints.definition import Measure, Population, Visit
from fhir_ivig.endpoints.result import NotEvaluableError, Result, left_out
from fhir_ivig.endpoints.tables import Tables, references
from fhir_ivig.issue import Issue

CPK_INCREASED = (Decimal(1), Decimal("2.5"), Decimal(5), Decimal(10))
DISEASE = (
    "A grade is of the laboratory value alone: myositis itself raises muscle enzymes, so it is no adverse event."
)


def laboratory_grade(
    tables: Tables,
    population: Population,
    measure: Measure,
    at: tuple[Visit, ...],
    above: tuple[Decimal, ...] = CPK_INCREASED,
) -> Iterator[Result | Issue]:
    """At each visit `median_multiple` and `max_multiple` of the upper limit of normal of that day's laboratory, and
    `grade_0`, `grade_1` ... the subjects with each grade; then `multiple` and `grade` of each subject.

    Grade 1 begins above the first of the multiples `above`, grade 2 above the second. By default they are those of
    "CPK increased" of CTCAE version 5: >ULN to 2.5, >2.5 to 5, >5 to 10, >10 times ULN (read in pharmaverse/admiral,
    data-raw/adlb_grading/ncictcaev5.json).
    """
    if list(above) != sorted(set(above)):
        raise NotEvaluableError("the multiples under `above` must rise")
    for visit in at:
        found = readings(tables, population, measure, visit)
        yield from found.issues
        limits = upper_limits(tables, population, measure, visit)
        reasons = dict(found.reasons)
        for subject in found.values.keys() - limits.keys():
            reasons[subject] = f"no upper limit of normal at {visit.name}"
        known = {subject: found.values[subject] for subject in sorted(found.values.keys() & limits.keys())}
        # multiplied, so that a value right on a bound is not above it
        grades = {one: sum(value > edge * limits[one] for edge in above) for one, value in known.items()}
        multiples = {one: value / limits[one] for one, value in known.items()}
        tally = Counter(grades.values())
        method = f"{measure.name}, grades above {', '.join(map(str, above))} times ULN"
        none = () if known else ("Not evaluable: nobody has a value with its upper limit of normal.",)
        common = Result(
            statistic="multiple",
            time_point=visit.name,
            n=len(known),
            missing=len(reasons),
            unit="times ULN",
            method=method,
            warnings=(*none, DISEASE, *left_out(reasons)),
            resources=references(found.rows[one] for one in known),
        )
        for statistic, estimate in (
            ("median_multiple", median(multiples.values()) if known else None),
            ("max_multiple", max(multiples.values(), default=None)),
        ):
            yield replace(common, statistic=statistic, estimate=estimate)
        for grade in range(len(above) + 1):
            count = Decimal(tally[grade]) if known else None
            yield replace(common, statistic=f"grade_{grade}", estimate=count, unit="subjects")
        for subject in known:
            own = replace(common, subject=subject, n=1, missing=0, warnings=())
            own = replace(own, resources=references([found.rows[subject]]))
            yield replace(own, estimate=multiples[subject])
            yield replace(own, statistic="grade", estimate=Decimal(grades[subject]), unit="grade")
