"""The flow of subjects (and courses) through a study's populations, as a figure draws it."""

from __future__ import annotations

from fhir_ivig.endpoints.populations import flow
from fhir_ivig.report.figures.flow import Step
from fhir_ivig.report.material import Material
from fhir_ivig.report.series import everyone


def steps(material: Material) -> list[Step]:
    """Everybody, then each population under the one that it is a part of, with why others are not in it.

    A population of which the study file does not say what it is a part of stands under the smallest one above that
    holds all of it.
    """
    everybody = everyone(material)
    found = [Step("In the study", len(everybody), "subject", None, {})]
    members = [everybody]
    places: dict[str | None, int] = {None: 0}
    for one in flow(material.definition.populations, material.tables):
        if one.why:
            continue
        own = frozenset(one.included)
        above = places.get(one.parent, 0)
        if one.parent is None and one.by == "subject":
            holding = [place for place, step in enumerate(found) if step.by == "subject" and own <= members[place]]
            above = min(reversed(holding), key=lambda place: len(members[place]), default=0)
        without: dict[str, list[str]] = {}
        for member, reason in one.excluded.items():
            if found[above].by != one.by or member in members[above]:
                without.setdefault(reason, []).append(member)
        places[one.population] = len(found)
        found.append(Step(one.label, len(own), one.by, above, without))
        members.append(own)
    return found
