"""How much less of a background medication was needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from fhir_ivig.endpoints.definition import Population, Visit
from fhir_ivig.endpoints.inference import paired_t
from fhir_ivig.endpoints.medications import assumed, in_force, treated
from fhir_ivig.endpoints.quantities import average
from fhir_ivig.endpoints.result import NotEvaluableError, Result, left_out
from fhir_ivig.endpoints.tables import Tables, references
from fhir_ivig.issue import Issue


def dose_reduction(
    tables: Tables, population: Population, medication: str, unit: str, from_: Visit, to: Visit
) -> Iterator[Result | Issue]:
    """`mean_from`, `mean_to` and `mean_reduction` (earlier dose minus later, t interval, paired t test).

    The dose is the one in force on the target day of the visit, counted from the subject's first infusion given: that
    day is defined for everybody treated, and does not move with what was measured when. A dose of 0 after the
    medication ended is an assumption, named in a warning.
    """
    for visit in (from_, to):
        if visit.day is None:
            raise NotEvaluableError(f"visit {visit.name} has no target day")
    found = treated(tables, population, medication, unit)
    yield from found.issues
    reasons, stopped = found.reasons, list[str]()
    pairs: dict[str, tuple[Decimal, Decimal]] = {}
    for subject, start in found.starts.items():
        amounts = []
        for visit in (from_, to):
            amount, why = in_force(found.doses[subject], start + timedelta(visit.day or 0))
            if amount is None:
                reasons[subject] = f"at {visit.name} {why}"
                break
            stopped += [f"{subject} at {visit.name}"] if why else []
            amounts.append(amount)
        else:
            pairs[subject] = (amounts[0], amounts[1])
    said = left_out(reasons) + assumed(stopped)
    rows = [dose.row for subject in pairs for dose in found.doses[subject]]
    reduction = paired_t([before - after for before, after in pairs.values()], "mean_reduction")
    for result in [
        *(
            Result(
                statistic=statistic,
                time_point=visit.name,
                estimate=average(pair[place] for pair in pairs.values()),
                method="mean",
                warnings=() if pairs else ("Not evaluable: no subject has both doses.",),
            )
            for place, (statistic, visit) in enumerate((("mean_from", from_), ("mean_to", to)))
        ),
        replace(reduction, time_point=f"{from_.name} to {to.name}"),
    ]:
        yield replace(
            result,
            n=len(pairs),
            missing=len(reasons),
            unit=unit,
            method=f"{result.method}; dose in force on the visit's target day",
            warnings=result.warnings + said,
            resources=references(rows),
        )
