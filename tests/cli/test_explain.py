"""What `explain` shows of every mapping is true: its example is written without a word and is valid FHIR."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import fhir.resources
import fhir.resources.R4B
import pytest
from done import Done

import fhir_ivig
from fhir_ivig.library import list_mappings

BASE = "https://example.org/studies/mine"


@pytest.mark.parametrize("version", ["R4", "R4B", "R5"])
@pytest.mark.parametrize("name", list_mappings())
def test_the_example_is_written_and_valid(typed: Callable[..., Done], name: str, version: str) -> None:
    found = typed("explain", name, "--fhir-version", version, "--json").json
    bound = fhir_ivig.bind_mapping(name, base=BASE, version=version)
    written = bound.write([found["example_row"]])
    assert (written.issues, written.json_lines()) == ([], [found["example"]])
    resource: dict[str, Any] = json.loads(found["example"])
    package: Any = fhir.resources if version == "R5" else fhir.resources.R4B
    package.get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    back = bound.read([found["example"]])
    assert back.issues == []
    assert {name: cell for name, cell in back.to_dicts()[0].items() if cell is not None} == found["example_row"]
    assert found["search"].startswith(f"{resource['resourceType']}?")
    for row in found["columns"]:
        assert row["path"].startswith(resource["resourceType"]) or row["how"].startswith("is always")


def test_every_mapping_says_what_it_is_about(typed: Callable[..., Done]) -> None:
    listed = typed("explain", "--json").json
    assert len(listed) >= 17
    assert all(listed.values())
    assert all(name in typed("explain").stdout for name in listed)
