"""The shipped facts about FHIR's elements, held against the model classes that they were taken from.

Two sources must agree: `fhir.resources` (cardinalities, choices, targets, the codes that it quotes) and the
definitions of FHIR (the value sets).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import fhir.resources
import fhir.resources.R4B
import pytest

from fhir_ivig.mapping.collection import Mappings
from fhir_ivig.mapping.elements import describe_all, elements
from fhir_ivig.mapping.template import Constant, Group, Hole, Items, Template

PACKAGES = {"R4": fhir.resources.R4B, "R5": fhir.resources}
versions = pytest.mark.parametrize("version", PACKAGES)
# Where the list of codes that the models quote is shorter than the value set: the definition of R5 has `outcome` too.
QUOTED_IN_PART = {("R5", "BundleEntrySearch.mode")}
NOT_REQUIRED = {"Expression.language"}  # the models quote codes of this one, but FHIR binds it as extensible


@cache
def shipped(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files("fhir_ivig.mapping").joinpath(name).read_text("utf-8"))
    return found


def codes(version: str, path: str) -> set[str]:
    """The codes of a required value set, of whatever system; none where there is none."""
    binding = shipped("value_sets.json")[version].get(path, {"codes": {}})
    return {code for found in binding["codes"].values() for code in found}


def quoted(version: str) -> Iterator[tuple[str, set[str]]]:
    """Each element of the tables for which the model classes quote codes, with these."""
    for type_name, known in shipped(f"elements_{version}.json").items():
        for field in PACKAGES[version].get_fhir_model_class(type_name).model_fields.values():
            said = (field.json_schema_extra or {}).get("enum_values")
            if said and known[field.alias].split()[0] == "code":
                yield f"{type_name}.{field.alias}", set(said)


@versions
def test_the_table_is_what_the_model_classes_say(version: str) -> None:
    assert shipped(f"elements_{version}.json") == describe_all(version)


@versions
def test_the_value_sets_hold_the_codes_that_the_model_classes_quote(version: str) -> None:
    said_of = dict(quoted(version))
    assert {path for path in said_of if not codes(version, path)} == NOT_REQUIRED
    for path in said_of.keys() - NOT_REQUIRED:
        said, found = said_of[path], codes(version, path)
        if "+" in said or (version, path) in QUOTED_IN_PART:  # `registered | preliminary | final | amended +`
            assert said - {"+"} < found, path
        else:
            assert said == found, path
    assert len(said_of) > 30


@versions
def test_a_value_set_is_of_an_element_that_can_hold_its_codes(version: str) -> None:
    for path in shipped("value_sets.json")[version]:
        type_name, name = path.split(".")
        element = elements(version, type_name)[name]
        assert element.type in ("code", "CodeableConcept", "Coding"), path
        assert element.codes, path
        assert element.value_set, path


@versions
def test_every_required_code_that_a_mapping_writes_has_its_value_set(version: str) -> None:
    written = {path for each in Mappings.load(version).by_name.values() for path in coded(version, each.resource)}
    assert {path for path in written if not codes(version, path)} == set()
    assert len(written) >= 6, written


def coded(version: str, node: Template) -> Iterator[str]:
    """`Type.element` of each required code that a template writes."""
    if isinstance(node, Items):
        for item in node.items:
            yield from coded(version, item)
    if isinstance(node, Group):
        known = elements(version, node.type)
        for name, member in node.members.items():
            if (
                isinstance(member, Constant | Hole)
                and name in known
                and known[name].required
                and member.type == "code"
            ):
                yield f"{node.type}.{name}"
            yield from coded(version, member)


def test_what_the_tables_say() -> None:
    observation = elements("R4", "Observation")
    status, value, subject = observation["status"], observation["valueQuantity"], observation["subject"]
    assert (status.type, status.required, status.many, status.choice) == ("code", True, False, None)
    assert ("http://hl7.org/fhir/observation-status", "final") in (status.codes or ())
    assert (value.choice, value.choice_required, value.primitive) == ("value", False, False)
    assert subject.targets[:4] == ("Patient", "Group", "Device", "Location")  # R4 has these, R4B more
    assert elements("R4", "ResearchSubject")["study"].targets == ("ResearchStudy",)
    assert "MedicationRequest" not in elements("R4", "AdverseEventSuspectEntity")["instance"].targets
    assert observation["category"].many
    assert elements("R4", "MedicationAdministration")["medicationReference"].choice_required
    assert elements("R4B", "Observation") == observation
    assert elements("R5", "Observation")["triggeredBy"].type == "ObservationTriggeredBy"
    assert elements("R4", "Obsevation") == {}


def test_a_type_that_is_not_in_the_tables_comes_from_the_model_classes() -> None:
    assert "Encounter" not in shipped("elements_R4.json")
    assert elements("R4", "Encounter")["status"].required
