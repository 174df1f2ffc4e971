"""The searches that find a study's resources, derived from its mappings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.mapping.collection import Bound
from fhir_ivig.mapping.identity import identifier_system
from fhir_ivig.mapping.mapping import Mapping
from fhir_ivig.mapping.reads import Reads
from fhir_ivig.mapping.template import Constant, Group, Hole, Items, Template
from fhir_ivig.sync.search import Search

_SPECIAL = re.compile(r"([\\,|$])")


def searches(
    bound: Bound,
    *,
    subjects: Sequence[str] | None = None,
    patients: Sequence[str] = (),
    only_patients: bool = False,
    codes: Sequence[str] | None = None,
) -> list[Search]:
    """One search a resource type: the study's Patients and ResearchSubjects by identifier, all else by its subject.

    Where every mapping of a type claims a `code`, only those codes are asked for. `subjects` narrows the cohort to
    these of the study's subjects. `patients` are ids of further Patients; with `only_patients` they are the cohort.
    `codes` (each `system|code`) narrows to the resources with one of these codes, besides who and when: Patients,
    ResearchSubjects and courses. IssueError for a code that no mapping of the study reads.
    """
    types: dict[str, list[Mapping]] = {}
    for mapping in bound.mappings.by_name.values():
        types.setdefault(mapping.resource_type, []).append(mapping)
    found = []
    for kind, mappings in types.items():
        asked = search(bound.base, mappings)
        if kind in ("Patient", "ResearchSubject"):
            if only_patients:
                asked = replace(asked, parameters={}) if asked.subjects else _by_id(())
            else:
                asked = _members(bound.base, mappings, subjects)
        found.append(asked)
    if patients:
        found.append(_by_id(patients))
    found = [each for each in found if each.any_of is None or each.values]
    return found if codes is None else _narrowed(found, types, codes)


def search(base: str, mappings: list[Mapping]) -> Search:
    """The search for the resources of some mappings of one resource type."""
    kind, subject = mappings[0].resource_type, subject_parameter(mappings[0])
    if subject is None:
        return Search(kind, {"identifier": _any(f"{identifier_system(base, mapping.name)}|" for mapping in mappings)})
    codes = [claimed_codes(mapping) for mapping in mappings]
    return Search(kind, {"code": _any(code for each in codes for code in each)} if all(codes) else {}, subject)


def escaped(text: str) -> str:
    """A value in a search, in which some signs have a meaning: https://hl7.org/fhir/R4/search.html#escaping."""
    return _SPECIAL.sub(r"\\\1", text)


def _members(base: str, mappings: list[Mapping], subjects: Sequence[str] | None) -> Search:
    """Who is in the study, by our identifiers."""
    kind, systems = mappings[0].resource_type, [identifier_system(base, mapping.name) for mapping in mappings]
    if subjects is None:
        return Search(kind, {"identifier": _any(f"{system}|" for system in systems)})
    values = [f"{system}|{escaped(subject)}" for system in systems for subject in subjects]
    return Search(kind, any_of="identifier", values=values)


def _by_id(patients: Sequence[str]) -> Search:
    return Search("Patient", any_of="_id", values=patients)


def _narrowed(found: list[Search], types: dict[str, list[Mapping]], codes: Sequence[str]) -> list[Search]:
    unread = sorted(
        set(codes) - {code for each in types.values() for mapping in each for code in claimed_codes(mapping)}
    )
    if unread:
        said = f"No mapping of the study reads {', '.join(unread)}: write system|code as in the mapping file."
        raise IssueError(Issue("fatal", "not-found", said))
    kept = []
    for each in found:
        mappings = types[each.resource_type]
        if (
            not each.subjects
            or each.resource_type == "ResearchSubject"
            or any(mapping.table == "courses" for mapping in mappings)
        ):
            kept.append(each)
            continue
        wanted = [code for mapping in mappings for code in claimed_codes(mapping) if code in codes]
        if wanted:
            kept.append(replace(each, parameters={**each.parameters, "code": _any(wanted)}))
    return kept


def _any(values: Iterable[str]) -> str:
    """One parameter for any of the values; the parameter said again for each would ask for all of them at once.

    https://hl7.org/fhir/R4/search.html#combining
    """
    return ",".join(values)


def subject_parameter(mapping: Mapping) -> str | None:
    """The element that refers to the Patient, which is also the name of its search parameter."""
    for name, node in mapping.resource.members.items():
        if isinstance(node, Hole) and node.target == "patient":
            return name
    return None


def claimed_codes(mapping: Mapping) -> list[str]:
    """`system|code` of the codings that make a resource the mapping's, written and read."""
    if "code" not in mapping.claims:
        return []
    path = f"{mapping.resource_type}.code"
    also = mapping.reads.get(path, Reads()).patterns
    return [token for node in (mapping.resource.members["code"], *also) for token in _codings(node)]


def _codings(node: Template) -> list[str]:
    if isinstance(node, Items):
        return [token for item in node.items for token in _codings(item)]
    if not isinstance(node, Group):
        return []
    system, code = node.members.get("system"), node.members.get("code")
    if isinstance(system, Constant) and isinstance(code, Constant):
        return [f"{system.bound({})}|{code.bound({})}"]
    return [token for child in node.members.values() for token in _codings(child)]
