"""The flow of subjects through a study's populations, and why each who is not in one is not."""

from __future__ import annotations

from fhir_ivig.endpoints.result import NotEvaluableError
from fhir_ivig.report.figures.flow import Step
from fhir_ivig.report.material import Material
from fhir_ivig.report.series import everyone

UNKNOWN = "no reason on record, the rule does not hold"


def steps(material: Material) -> list[Step]:
    """Everybody, then each population under the smallest one above it in the study file that holds all of it.

    The reason is that of the table `dispositions`.
    """
    everybody = everyone(material)
    reasons = _reasons(material)
    found = [Step("In the study", len(everybody), None, {})]
    members = [everybody]
    for population in material.definition.populations.values():
        holding = [place for place, above in enumerate(members) if population.subjects <= above]
        above = min(reversed(holding), key=lambda place: len(members[place]), default=0)
        without: dict[str, list[str]] = {}
        for subject in sorted(members[above] - population.subjects):
            without.setdefault(reasons.get(subject, UNKNOWN), []).append(subject)
        found.append(Step(population.label, len(population.subjects), above, without))
        members.append(population.subjects)
    return found


def _reasons(material: Material) -> dict[str, str]:
    try:
        rows = material.tables.rows("dispositions", ("reason",))
    except NotEvaluableError:
        return {}
    return {row.subject: reason for row in rows if (reason := row["reason"])}
