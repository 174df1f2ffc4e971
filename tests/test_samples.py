"""The FHIR files of the sample study are what its tables give, and they are valid FHIR."""

from __future__ import annotations

import json
from pathlib import Path

import fhir.resources
import fhir.resources.R4B
import pytest

from sample_bundles.__main__ import FORMS, HERE, write_samples


def test_the_files_are_what_the_tables_give(tmp_path: Path) -> None:
    write_samples(tmp_path)
    for version, form in FORMS:
        made, kept = tmp_path / version / form, HERE / version / form
        assert sorted(path.name for path in made.iterdir()) == sorted(path.name for path in kept.iterdir())
        for path in made.iterdir():
            assert path.read_bytes() == (kept / path.name).read_bytes(), f"run `make samples`: {path.name}"


@pytest.mark.parametrize("version", ["R4", "R5"])
def test_every_resource_is_valid(version: str) -> None:
    package = fhir.resources if version == "R5" else fhir.resources.R4B
    count = 0
    for path in (HERE / version / "ndjson").glob("*.ndjson"):
        for line in path.read_text("utf-8").splitlines():
            resource = json.loads(line)
            package.get_fhir_model_class(resource["resourceType"]).model_validate(resource)
            count += 1
    assert count == 559


@pytest.mark.parametrize("version", ["R4", "R5"])
def test_every_bundle_is_valid_and_holds_the_same(version: str) -> None:
    package = fhir.resources if version == "R5" else fhir.resources.R4B
    inside = set()
    for path in (HERE / version / "bundle").glob("*.json"):
        bundle = json.loads(path.read_text("utf-8"))
        package.get_fhir_model_class("Bundle").model_validate(bundle)
        inside |= {json.dumps(entry["resource"], sort_keys=True) for entry in bundle["entry"]}
    lines = {
        json.dumps(json.loads(line), sort_keys=True)
        for path in (HERE / version / "ndjson").glob("*.ndjson")
        for line in path.read_text("utf-8").splitlines()
    }
    assert inside == lines
