"""Codes: ours are defined, those of others registered with their source, and no other stands in a mapping file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from fhir_ivig.mapping.collection import Mappings
from fhir_ivig.mapping.loading import shipped

OWN = "https://fhir-ivig.github.io/CodeSystem/ivig-myositis"
FOLDER = shipped() / "terminology"
FILES = sorted(FOLDER.glob("*.json"))
CERTAINTIES = {"verified", "secondary", "misspelt"}


def codings(node: Any) -> Iterator[tuple[str, str]]:
    """Every system with its code below a node, as a mapping file writes them."""
    if isinstance(node, dict):
        if isinstance(node.get("system"), str) and isinstance(node.get("code"), str):
            yield node["system"], node["code"].replace("{{", "{").replace("}}", "}")
        for child in node.values():
            yield from codings(child)
    elif isinstance(node, list):
        for child in node:
            yield from codings(child)


def used() -> set[tuple[str, str]]:
    files = [*shipped().glob("*.yaml"), *shipped().glob("R5/*.yaml")]
    assert len(files) > 20
    return {pair for file in files for pair in codings(yaml.load(file.read_text("utf-8"), yaml.BaseLoader))}


def registered() -> list[dict[str, Any]]:
    return yaml.load((FOLDER / "codes.yaml").read_text("utf-8"), yaml.BaseLoader)


def load(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def own_codes() -> list[str]:
    return [concept["code"] for concept in load("CodeSystem-ivig-myositis")["concept"]]


def test_own_codes_are_defined_and_used() -> None:
    codes = own_codes()
    assert len(codes) == len(set(codes)) == load("CodeSystem-ivig-myositis")["count"]
    assert set(codes) == {code for system, code in used() if system == OWN}


def test_every_own_code_has_display_and_definition() -> None:
    for concept in load("CodeSystem-ivig-myositis")["concept"]:
        assert concept["display"]
        assert concept["definition"]


def test_codes_of_others_are_registered_and_used() -> None:
    known = [(group["system"], code) for group in registered() for code in group["codes"]]
    assert len(known) == len(set(known))
    assert {pair for pair in used() if pair[0] != OWN} == set(known)


def test_every_registered_code_has_source_and_certainty() -> None:
    for group in registered():
        assert group["certainty"] in CERTAINTIES
        assert group["source"]
        assert all(group["codes"].values())


@pytest.mark.parametrize("version", ["R4B", "R5"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_terminology_is_valid_fhir(file: Any, version: str) -> None:
    import fhir.resources
    import fhir.resources.R4B

    given = json.loads(file.read_text("utf-8"))
    package: Any = fhir.resources.R4B if version == "R4B" else fhir.resources
    package.get_fhir_model_class(given["resourceType"]).model_validate(given)
    assert file.stem == f"{given['resourceType']}-{given['id']}"
    assert given["url"].endswith(f"/{given['resourceType']}/{given['id']}")


@pytest.mark.parametrize("file", [file for file in FILES if file.name.startswith("ValueSet")], ids=lambda f: f.stem)
def test_value_sets_hold_known_codes_under_the_same_name(file: Any) -> None:
    names = {concept["code"]: concept["display"] for concept in load("CodeSystem-ivig-myositis")["concept"]}
    verified = {(g["system"], code) for g in registered() if g["certainty"] == "verified" for code in g["codes"]}
    for include in json.loads(file.read_text("utf-8"))["compose"]["include"]:
        for concept in include["concept"]:
            if include["system"] == OWN:
                assert names[concept["code"]] == concept["display"]
            else:
                assert (include["system"], concept["code"]) in verified


def test_the_value_set_of_measures_holds_every_measure() -> None:
    mappings = Mappings.load("R4").by_name.values()
    files = [shipped() / f"{mapping.name}.yaml" for mapping in mappings if "measure" in mapping.rows]
    templates = [yaml.load(file.read_text("utf-8"), yaml.BaseLoader)["resource"] for file in files]
    first = {next(codings(template["code"])) for template in templates}
    includes = load("ValueSet-ivig-myositis-measures")["compose"]["include"]
    assert first == {(include["system"], concept["code"]) for include in includes for concept in include["concept"]}


@pytest.mark.parametrize(
    ("name", "mapping", "code_map"),
    [("physician-grades", "physician_assessment", "grades"), ("biopsy", "diagnosis", "biopsy")],
)
def test_value_sets_are_the_code_maps(name: str, mapping: str, code_map: str) -> None:
    given = yaml.load((shipped() / f"{mapping}.yaml").read_text("utf-8"), yaml.BaseLoader)["maps"][code_map]
    include = load(f"ValueSet-ivig-myositis-{name}")["compose"]["include"][0]
    assert [code for _, code in codings(list(given.values()))] == [each["code"] for each in include["concept"]]


@pytest.mark.parametrize("version", ["R4", "R5"])
def test_terminology_is_not_taken_for_mappings(version: str) -> None:
    assert not {"codes", "codings"} & Mappings.load(version).by_name.keys()
