"""The identifiers of a resource as it is sent and received, and the id that it stands under."""

from __future__ import annotations

import msgspec

from fhir_ivig.mapping.identity import logical_id

Identity = tuple[str, str]  # system, value


class _Identified(msgspec.Struct):
    identifier: msgspec.Raw = msgspec.Raw(b"[]")


def identities(resource: bytes) -> set[Identity]:
    """The identifiers (system, value) of a resource, also of a type that has but one; none that lacks either, or is
    not as FHIR has it."""
    try:
        found = msgspec.json.decode(msgspec.json.decode(resource, type=_Identified).identifier)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return set()
    pairs = [
        (each.get("system"), each.get("value"))
        for each in (found if isinstance(found, list) else [found])
        if isinstance(each, dict)
    ]
    return {(system, value) for system, value in pairs if system and value and {type(system), type(value)} == {str}}


def identity(resource: bytes, name: str) -> Identity | None:
    """The identifier that the id `name` was made from; None if it was made from none."""
    return next((key for key in identities(resource) if logical_id(*key) == name), None)


def with_id(resource: bytes, name: str | None) -> bytes:
    """The resource under an id, or (None) under none; the rest as it is."""
    members = msgspec.json.decode(resource, type=dict[str, msgspec.Raw])
    members.pop("id", None)
    place = {"id": msgspec.Raw(msgspec.json.encode(name))} if name else {}
    return msgspec.json.encode({"resourceType": members.pop("resourceType"), **place, **members})
