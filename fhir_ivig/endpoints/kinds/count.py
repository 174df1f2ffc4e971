"""Who is in a population: how many, of which diagnosis and sex, how old at the first infusion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from fhir_ivig.endpoints.definition import Population
from fhir_ivig.endpoints.infusions import first_infusions
from fhir_ivig.endpoints.quantities import age, average, days
from fhir_ivig.endpoints.result import NotEvaluableError, Result, left_out
from fhir_ivig.endpoints.tables import Row, Tables, one_each, references
from fhir_ivig.issue import Issue


def count(tables: Tables, population: Population) -> Iterator[Result | Issue]:
    """`n`; the number with each diagnosis and sex found in the subjects table; `age_min`, `age_max`, `age_mean`.

    Age is in completed years at the first infusion given. A partial birth date gives an age only where every day
    it can mean gives the same one; otherwise the subject is left out of the age, and named.
    """
    size = len(population.subjects)
    yield Result(statistic="n", n=size, estimate=Decimal(size), unit="subjects", resources=population.resources)
    columns = ("sex", "birth_date", "diagnosis")
    every = tables.rows("subjects", columns)
    single, doubled, issues = one_each((row for row in every if row.subject in population.subjects), "row")
    yield from issues
    sources = references(single.values())
    absent = {subject: doubled.get(subject, "not in subjects") for subject in population.subjects - single.keys()}
    for column in ("diagnosis", "sex"):
        cells = {subject: row[column] for subject, row in single.items()}
        reasons = absent | {subject: f"{column} is empty" for subject, cell in cells.items() if not cell}
        tally = Counter(cells.values())
        for word in sorted({cell for row in every if (cell := row[column])}):
            yield Result(
                statistic=word,
                n=size - len(reasons),
                missing=len(reasons),
                estimate=Decimal(tally[word]),
                unit="subjects",
                warnings=left_out(reasons),
                resources=sources,
            )
    yield from _ages(tables, population, single, absent)


def _ages(
    tables: Tables, population: Population, single: dict[str, Row], absent: dict[str, str]
) -> Iterator[Result | Issue]:
    try:
        first = first_infusions(tables, population.subjects)
    except NotEvaluableError as error:
        raise NotEvaluableError(f"age at the first infusion: {error}") from None
    yield from first.issues
    ages: dict[str, Decimal] = {}
    reasons = dict(absent)
    for subject, row in single.items():
        birth = days(row["birth_date"] or "")
        if not row["birth_date"]:
            reasons[subject] = "birth_date is empty"
        elif birth is None:
            reasons[subject] = "birth_date is not a date"
            yield row.issue("value", "This is not a date: correct it.", "birth_date")
        elif subject in first.reasons:
            reasons[subject] = first.reasons[subject]
        elif birth.first > first.days[subject].last:
            reasons[subject] = "born after the first infusion"
            yield row.issue("value", "This is after the first infusion: correct it.", "birth_date")
        elif (years := age(birth, first.days[subject])) is None:
            reasons[subject] = "birth_date leaves two ages open"
        else:
            ages[subject] = Decimal(years)
    said = () if ages else ("Not evaluable: no age is known.",)
    known = ages.values()
    for statistic, estimate in (
        ("age_min", min(known, default=None)),
        ("age_max", max(known, default=None)),
        ("age_mean", average(known)),
    ):
        yield Result(
            statistic=statistic,
            time_point="first infusion",
            n=len(ages),
            missing=len(reasons),
            estimate=estimate,
            unit="a",
            method="completed years",
            warnings=said + left_out(reasons),
            resources=references(single[subject] for subject in ages),
        )
