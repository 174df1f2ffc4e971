"""What stands for a value that is missing at a visit, by the rule that the endpoint names under `missing`.

| Rule                  | What counts                                                                        |
|-----------------------|------------------------------------------------------------------------------------|
| `complete`            | nothing: who has no value is left out                                              |
| `locf`                | the value of the last visit before that has one, from the baseline on              |
| `baseline`            | the value at baseline                                                              |
| `worst`               | the worst value of the visits before, from the baseline on                         |
| `multiple_imputation` | nothing here: the kind draws values from a model (imputation.py)                   |

Nothing is carried to the baseline or before it, to a visit by which the subject had died, or over a value that is
there but cannot be used. The baseline is the visit that says so, else the one on day 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from fhir_ivig.endpoints.choosing import Chosen
from fhir_ivig.endpoints.result import NotEvaluableError, named
from fhir_ivig.endpoints.tables import Tables
from fhir_ivig.endpoints.terms import Visit

if TYPE_CHECKING:
    from fhir_ivig.endpoints.readings import Readings

CARRIED = {
    "locf": "Last observation carried forward",
    "baseline": "Baseline carried forward",
    "worst": "Worst observation carried forward",
}


def carry(found: Readings, read: Callable[..., Readings]) -> Readings:
    """The same readings, the gaps filled by the endpoint's rule; `read` reads another visit."""
    tables, visit, measure = found.tables, found.visit, found.measure
    plan = tables.plan
    plan.read += [found] if plan.traced else []
    gone = died(tables, visit) if found.gaps else {}
    found.reasons |= {subject: gone[subject] for subject in found.gaps & gone.keys()}
    found.gaps -= gone.keys()
    plan.asked = plan.asked or plan.missing in CARRIED
    if plan.missing not in CARRIED or not found.gaps:
        return found
    visits = plan.before(visit)
    if plan.missing == "worst" and measure.better is None:
        raise NotEvaluableError(f"the study file does not say whether {measure.name} is better higher or lower")
    if plan.missing == "baseline":
        visits = visits[-1:]
    came: dict[str, str] = {}
    for earlier in visits:
        gaps = found.gaps if plan.missing == "worst" else found.gaps - came.keys()
        others = read(tables, replace(found.population, subjects=frozenset(gaps)), measure, earlier)
        found.issues += others.issues
        for subject in others.subjects:
            if subject not in came or _worse(others, found, subject):
                came[subject] = earlier.name
                _take(found, others, subject, plan.missing, earlier.name)
    found.gaps -= came.keys()
    if came:
        who = named(f"{subject} from {name}" for subject, name in came.items())
        plan.notes.append(f"{CARRIED[plan.missing]} to {visit.name}, {measure.name} of {len(came)}: {who}.")
    return found


def _worse(one: Readings, than: Readings, subject: str) -> bool:
    value, known = one.values[subject], than.derived[subject]
    return value < known if one.measure.better == "higher" else value > known


def _take(found: Readings, others: Readings, subject: str, rule: str, visit: str) -> None:
    found.reasons.pop(subject, None)
    rows = others.chosen[subject].rows if subject in others.chosen else (others.rows[subject],)
    found.chosen[subject] = Chosen(rows, f"{rule} from {visit}", imputed=True)
    if subject in others.values:
        found.derived[subject] = others.values[subject]


def died(tables: Tables, visit: Visit) -> dict[str, str]:
    """Who is known by a fatal adverse event (its end, else its onset) to have died before the visit was over, or on
    a day that is not known, with that as the reason."""
    found = {}
    first = tables.first_days()
    for subject, day in tables.deaths().items():
        start = first.get(subject)
        if day is None or start is None or visit.end is None:
            found[subject] = f"no value at {visit.name}, and died on a day not known"
        elif day <= start + timedelta(visit.end):
            found[subject] = f"died before {visit.name}"
    return found
