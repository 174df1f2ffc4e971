"""A resource marked as entered in error: what is sent for a row that left the study. Nothing is ever deleted.

FHIR says it by a status, each type in its own way (https://hl7.org/fhir/R4/resourcelist.html, the value sets bound to
each `status`). R4 has no way to say it of an AdverseEvent, a ResearchSubject or a ResearchStudy: `withdrawn` there is
said of the person or the study, not of the record.
"""

from __future__ import annotations

import msgspec

_STATUS: dict[str, bytes | None] = {"status": b'"entered-in-error"'}
_VERIFICATION = (
    b'{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-ver-status","code":"entered-in-error"}]}'
)
# Type -> elements to set, None to take away.
_MARKS: dict[str, dict[str, bytes | None]] = {
    "Observation": _STATUS,
    "MedicationAdministration": _STATUS,
    "MedicationRequest": _STATUS,
    "MedicationStatement": _STATUS,
    "Procedure": _STATUS,
    "Patient": {"active": b"false"},
    # con-5: no clinicalStatus beside this verificationStatus (https://hl7.org/fhir/R4/condition.html#invs)
    "Condition": {"verificationStatus": _VERIFICATION, "clinicalStatus": None},
}
_MARKS_R5: dict[str, dict[str, bytes | None]] = {
    **_MARKS,
    "AdverseEvent": _STATUS,
    "ResearchSubject": {"status": b'"retired"'},
    "ResearchStudy": {"status": b'"retired"'},
    "Condition": {"verificationStatus": _VERIFICATION},  # R5 requires a clinicalStatus and has no con-5
}


def withdrawn(resource: bytes, resource_type: str, version: str) -> bytes | None:
    """The resource as its type in FHIR `version` says that it was entered in error, the rest as it is; None where the
    type has no way to say it. ValueError when it is no JSON object."""
    marks = (_MARKS_R5 if version == "R5" else _MARKS).get(resource_type)
    if marks is None:
        return None
    try:
        members = msgspec.json.decode(resource, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError as error:
        raise ValueError("a resource is a JSON object") from error
    marked = {**members, **{name: msgspec.Raw(value) for name, value in marks.items() if value is not None}}
    return msgspec.json.encode({name: value for name, value in marked.items() if marks.get(name, b"") is not None})
