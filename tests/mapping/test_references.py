"""Whom a reference means: the same `Type/id` at two servers is two persons."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fhir_ivig.mapping.collection import Bound, Mappings, References

HERE, THERE = "https://a.example.org/fhir", "https://b.example.org/fhir"
STUDY = "https://example.org/studies/one"


@pytest.fixture(scope="module")
def bound() -> Bound:
    return Mappings.load("R4").bind(STUDY, {"study": "one", "mrn_system": "https://a.example.org/mrn"})


def member(subject: str, patient: str) -> dict[str, Any]:
    """That a Patient is a subject of the study."""
    return {
        "resourceType": "ResearchSubject",
        "id": subject,
        "identifier": [{"system": f"{STUDY}/research_subject", "value": subject}],
        "status": "on-study",
        "study": {"identifier": {"system": f"{STUDY}/research_study", "value": "one"}},
        "individual": {"reference": patient},
    }


def ck(patient: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": "ck",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2157-6"}]},
        "subject": {"reference": patient},
        "effectiveDateTime": "2024-03-01",
        "valueQuantity": {"value": 300, "unit": "U/L", "system": "http://unitsofmeasure.org", "code": "U/L"},
    }


def subjects(bound: Bound, references: References, *resources: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The subjects of the Observations, and what is said of these."""
    found, said = [], []
    for number, resource in enumerate(resources, 1):
        block = bound.read(json.dumps(resource).encode() + b"\n", [number], "f", references, final=True)
        for read in block.reads:
            if "value" in read.batch.schema.names:
                found += read.batch.column("subject").to_pylist()
                said += [issue.text for issue in read.issues if issue.severity == "error"]
    return found, said


@pytest.mark.parametrize("base", [None, HERE, f"{HERE}/"], ids=["unknown", "known", "with a stroke"])
@pytest.mark.parametrize(
    "reference", ["Patient/1", f"{HERE}/Patient/1", f"{HERE}/Patient/1/_history/3", "Patient/1/_history/3"]
)
@pytest.mark.parametrize("told", ["Patient/1", f"{HERE}/Patient/1"])
def test_one_person_in_all_ways(bound: Bound, base: str | None, reference: str, told: str) -> None:
    assert subjects(bound, References(base), member("S-01", told), ck(reference)) == (["S-01"], [])


@pytest.mark.parametrize("told", ["Patient/1", f"{HERE}/Patient/1"])
def test_another_server_s_patient_is_another_person(bound: Bound, told: str) -> None:
    found, [said] = subjects(bound, References(HERE), member("S-01", told), ck(f"{THERE}/Patient/1"))
    assert found == []
    assert f"`{THERE}/Patient/1`" in said


def test_two_servers_in_files_whose_server_nobody_knows(bound: Bound) -> None:
    found, [said] = subjects(
        bound, References(), member("S-01", f"{HERE}/Patient/1"), ck(f"{THERE}/Patient/1"), ck(f"{HERE}/Patient/1")
    )
    assert found == ["S-01"]
    assert f"`{THERE}/Patient/1`" in said


def test_a_research_subject_may_name_another_server_s(bound: Bound) -> None:
    told = member("S-01", "Patient/1"), member("S-02", f"{THERE}/Patient/1")
    assert subjects(bound, References(HERE), *told, ck(f"{THERE}/Patient/1"), ck("Patient/1")) == (
        ["S-02", "S-01"],
        [],
    )
