"""A hospital's own data on a server, and a study that wants them: no identifier of the study is on any of it."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from fhir_ivig.fhir.client import Client
from fhir_ivig.study.study import Study

STUDY = """\
study: ward
title: A study on a ward
status: active
base: https://example.org/studies/{name}
fhir_version: R4
parameters: {{mrn_system: 'https://hospital.example.org/{name}'}}
visits:
  - {{visit: week 0, day: 0, window: [-14, 0]}}
  - {{visit: week 4, day: 28, window: [21, 42]}}
measures:
  CK: {{label: Creatine kinase, unit: U/L, better: lower}}
tables: {{subjects: {{}}, courses: {{}}, infusions: {{}}, assessments: {{}}}}
"""
SUBJECTS = "subject,mrn\nS-01,4711\nS-02,4712\nS-03,4713\nS-04,4714\n"
COURSES = "subject,course,start,planned_days\nS-01,1,2024-03-04,5\nS-01,2,2024-06-03,5\nS-02,1,2024-03-04,5\n"


class Hospital:
    """Everything here has ids and an MRN system of its own, so that several may be on one server."""

    def __init__(self, server: str | Client, folder: Path) -> None:
        self.name, self.client = uuid.uuid4().hex, server if isinstance(server, Client) else Client(server)
        folder.mkdir()
        (folder / "study.yaml").write_text(STUDY.format(name=self.name))
        (folder / "subjects.csv").write_text(SUBJECTS)
        (folder / "courses.csv").write_text(COURSES)
        self.study = Study.load(folder / "study.yaml")

    def id(self, name: str) -> str:
        return f"{name}-{self.name}"

    def put(self, *resources: dict[str, Any]) -> None:
        for resource in resources:
            ref = f"{resource['resourceType']}/{resource['id']}"
            self.client.transport.ask(
                "PUT", ref, json.dumps(resource).encode(), {"Content-Type": "application/fhir+json"}
            )

    def patient(self, name: str, mrn: str, **more: Any) -> dict[str, Any]:
        identifier = {"system": self.study.parameters["mrn_system"], "value": mrn}
        return {
            "resourceType": "Patient",
            "id": self.id(name),
            "identifier": [identifier],
            "gender": "female",
            **more,
        }

    def ck(self, name: str, patient: str, day: str, value: int, **more: Any) -> dict[str, Any]:
        return {
            "resourceType": "Observation",
            "id": self.id(name),
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "2157-6"}]},
            "subject": {"reference": f"Patient/{self.id(patient)}"},
            "effectiveDateTime": day,
            "valueQuantity": {"value": value, "unit": "U/L", "system": "http://unitsofmeasure.org", "code": "U/L"},
            **more,
        }

    def infusion(self, name: str, patient: str, day: str) -> dict[str, Any]:
        drug = {"coding": [{"system": "http://www.whocc.no/atc", "code": "J06BA02"}], "text": "Human immunoglobulin"}
        dose = {"value": 25, "unit": "g", "system": "http://unitsofmeasure.org", "code": "g"}
        return {
            "resourceType": "MedicationAdministration",
            "id": self.id(name),
            "status": "completed",
            "medicationCodeableConcept": drug,
            "subject": {"reference": f"Patient/{self.id(patient)}"},
            "effectiveDateTime": day,
            "dosage": {"dose": dose},
        }
