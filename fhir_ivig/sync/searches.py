"""The searches that find a study's resources, derived from its mappings."""

from __future__ import annotations

from collections.abc import Iterable

from fhir_ivig.mapping.collection import Bound
from fhir_ivig.mapping.identity import identifier_system
from fhir_ivig.mapping.mapping import Mapping
from fhir_ivig.mapping.reads import Reads
from fhir_ivig.mapping.template import Constant, Group, Hole, Items, Template
from fhir_ivig.sync.pull import Search


def searches(bound: Bound) -> list[Search]:
    """One search a resource type: the study's own Patients by identifier, everything else by its subject.

    Where every mapping of a type claims a `code`, only those codes are asked for.
    """
    types: dict[str, list[Mapping]] = {}
    for mapping in bound.mappings.by_name.values():
        types.setdefault(mapping.resource_type, []).append(mapping)
    return [search(bound.base, mappings) for mappings in types.values()]


def search(base: str, mappings: list[Mapping]) -> Search:
    """The search for the resources of some mappings of one resource type."""
    kind, subject = mappings[0].resource_type, subject_parameter(mappings[0])
    if subject is None:
        return Search(kind, {"identifier": _any(f"{identifier_system(base, mapping.name)}|" for mapping in mappings)})
    codes = [claimed_codes(mapping) for mapping in mappings]
    return Search(kind, {"code": _any(code for each in codes for code in each)} if all(codes) else {}, subject)


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
