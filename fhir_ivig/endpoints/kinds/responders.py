"""Subjects who responded, among those who were assessed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from fhir_ivig.endpoints.assessments import words
from fhir_ivig.endpoints.definition import Measure, Population, Visit
from fhir_ivig.endpoints.inference import proportion
from fhir_ivig.endpoints.result import Result, left_out
from fhir_ivig.endpoints.tables import Tables
from fhir_ivig.issue import Issue


def responders(
    tables: Tables, population: Population, responders: Population, measure: Measure, at: Visit
) -> Iterator[Result | Issue]:
    """`responders` and `percent` (Clopper-Pearson) of those of `population` whose `measure` is known `at` a visit.

    Who counts as a responder says the population `responders`. The number with each word found follows, one
    statistic a word, so that a word taken for no response can be seen.
    """
    found = words(tables, population, measure, at)
    yield from found.issues
    hits = found.rows.keys() & responders.subjects
    tally = Counter(row["value"] or "" for row in found.rows.values())
    sources = found.sources()
    counts = {"responders": len(hits)} | {f"{measure.name} {word}": tally[word] for word in sorted(tally)}
    for result in [
        *(Result(statistic=name, estimate=Decimal(number), unit="subjects") for name, number in counts.items()),
        proportion(len(hits), len(found.rows)),
    ]:
        yield replace(
            result,
            time_point=at.name,
            n=len(found.rows),
            missing=len(found.reasons),
            warnings=result.warnings + left_out(found.reasons),
            resources=sources,
        )
