"""JSON as FHIR wants it: no name twice, and numbers as they were written."""

from __future__ import annotations

import json
from typing import Any

from fhir_ivig.mapping.primitives import NUMBER_TYPES


class Number(str):
    """A JSON number, as written."""

    __slots__ = ()


def strict_json(raw: bytes | str) -> Any:
    """The value of a JSON text, its numbers as `Number`.

    ValueError, with words for a person, for what is no JSON, has a name twice in an object, or is nested too deep.
    Half of a surrogate pair, which is no character, does not come here: whoever decodes lines refuses it.
    """
    try:
        value = json.loads(
            raw, parse_float=Number, parse_int=Number, parse_constant=_constant, object_pairs_hook=_members
        )
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg[0].lower()}{error.msg[1:]}") from None
    return value


def _members(found: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(found)
    if len(members) < len(found):
        names = [name for name, _ in found]
        doubled = sorted({name[:60] for name in names if names.count(name) > 1})
        raise ValueError(f"the name {', '.join(doubled)} stands twice in one object")
    return members


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def primitive(kind: str, value: Any) -> str | None:
    """The text of a JSON value that FHIR's primitive type is written as (number, boolean or string); else None."""
    if kind == "boolean":
        return {True: "true", False: "false"}[value] if isinstance(value, bool) else None
    return value if isinstance(value, str) and isinstance(value, Number) == (kind in NUMBER_TYPES) else None


def codings(value: Any) -> list[str]:
    """Every `system|code` in a JSON value, as a FHIR search writes a token; codes without a system are none."""
    if isinstance(value, list):
        return [found for each in value for found in codings(each)]
    if not isinstance(value, dict):
        return []
    here = [value.get("system"), value.get("code")]
    if all(isinstance(part, str) for part in here):
        return ["|".join(map(str, here))]
    return [found for each in value.values() for found in codings(each)]


def shown(value: Any) -> str:
    """A value for a message: a word itself, an object by its codes, its text or the url that it goes by."""
    if isinstance(value, dict):
        named = [value.get(name) for name in ("code", "text", "reference", "url", "display")]
        found = codings(value) or [each for each in named if isinstance(each, str)]
        return _short(", ".join(found) or "an object without a code")
    if isinstance(value, list):
        return ", ".join(map(shown, value[:3])) if value else "an empty list"
    if value is None:
        return "null"
    return _short(str(value).lower() if isinstance(value, bool) else str(value))


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:117]}..."
