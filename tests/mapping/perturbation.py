"""Our own resources as others hand them on: the same said otherwise, with more around it."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

from fhir_ivig.mapping.mapping import Mapping
from fhir_ivig.mapping.strictjson import Number, strict_json
from fhir_ivig.mapping.template import Hole, holes

OTHER_UNITS = {  # UCUM code -> another, and what to multiply by
    "U/L": ("kU/L", "0.001"),
    "kg": ("g", "1000"),
    "g": ("mg", "1000"),
    "cm": ("mm", "10"),
    "mg/d": ("g/d", "0.001"),
    "mg": ("g", "0.001"),
}


def echoed(line: str, chance: random.Random) -> str:
    """As a server gives it back: its own order, `meta`, a narrative, versioned absolute references, blanks."""
    return _given_back(strict_json(line), chance)


def _given_back(resource: Any, chance: random.Random) -> str:
    resource = _shuffled(_absolute(resource), chance)
    resource["meta"] = {"versionId": "3", "lastUpdated": "2024-05-01T10:00:00.123Z", "source": "#abc"}
    resource["text"] = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">\\ "x"</div>'}
    return dump(resource, chance.choice([(",", ":"), (", ", ": "), (" , ", " : ")]))


def perturbed(line: str, mapping: Mapping, chance: random.Random) -> str:
    """As another system says it: further elements, codings and displays, other units, and what `reads` allows."""
    resource = strict_json(line)
    resource = _other_units(resource, chance)
    for path, reads in mapping.reads.items():
        names = path.split(".")[1:]
        if reads.constants and chance.random() < 0.7:
            _put(resource, names, chance.choice(reads.constants))
        elif reads.ignored and chance.random() < 0.5:
            _put(resource, names, None)
        elif (
            reads.instead
            and isinstance(mapping.resource.members[names[0]], Hole)
            and names[0] in resource
            and chance.random() < 0.5
        ):
            hole = next(holes(chance.choice(reads.instead)[1]))
            _elsewhere(resource, names[0], tuple(hole.path.split(".")[1:]))
    return _given_back(_extended(resource, chance, top=True), chance)


def dump(value: Any, separators: tuple[str, str]) -> str:
    """JSON with numbers as written."""
    comma, colon = separators
    if isinstance(value, dict):
        return (
            "{"
            + comma.join(f"{json.dumps(name)}{colon}{dump(each, separators)}" for name, each in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + comma.join(dump(each, separators) for each in value) + "]"
    return str(value) if isinstance(value, Number) else json.dumps(value)  # escapes all but ASCII


def _shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        members = [(name, _shuffled(each, chance)) for name, each in value.items()]
        chance.shuffle(members)
        return dict(members)
    return [_shuffled(each, chance) for each in value] if isinstance(value, list) else value


def _absolute(value: Any) -> Any:
    if isinstance(value, list):
        return [_absolute(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {name: _absolute(each) for name, each in value.items()}
    if isinstance(found.get("reference"), str) and "identifier" in found:
        found["reference"] = f"https://other.example.org/fhir/{found['reference']}/_history/2"
    return found


def _other_units(value: Any, chance: random.Random) -> Any:
    if isinstance(value, list):
        return [_other_units(each, chance) for each in value]
    if not isinstance(value, dict):
        return value
    found = {name: _other_units(each, chance) for name, each in value.items()}
    if str(found.get("code")) in OTHER_UNITS and "value" in found and chance.random() < 0.5:
        code, factor = OTHER_UNITS[found["code"]]
        number = Decimal(found["value"])
        if number.adjusted() < 50 and len(number.as_tuple().digits) < 20:
            found |= {"code": code, "value": Number(format(number * Decimal(factor), "f"))}
            found["unit"] = chance.choice([code, "as you know"])
    return found


def _put(resource: Any, names: list[str], value: Any) -> None:
    """Give the element at a path another value; None takes it out."""
    for name in names[:-1]:
        resource = resource.get(name)
        resource = resource[0] if isinstance(resource, list) else resource
        if resource is None:
            return
    if names[-1] in resource and value is not None:
        resource[names[-1]] = value
    elif value is None and len(resource) > 1:  # an object without anything in it is not FHIR
        resource.pop(names[-1], None)


def _elsewhere(resource: dict[str, Any], name: str, path: tuple[str, ...]) -> None:
    value = resource[name]
    if path[-1] == "effectiveInstant" and "T" not in value:
        return
    del resource[name]
    for step in path[:-1]:
        resource = resource.setdefault(step, {})
    resource[path[-1]] = value


def _extended(value: Any, chance: random.Random, top: bool = False) -> Any:
    """Every object with an id and an extension of its own; every list of codings with another; displays."""
    if isinstance(value, list):
        return [_extended(each, chance) for each in value]
    if not isinstance(value, dict):
        return value
    found = {name: _extended(each, chance) for name, each in value.items()}
    more = {"url": "https://other.example.org/ext", "valueString": "x"}
    if "url" not in found and chance.random() < 0.5:
        found["extension"] = [*found.get("extension", []), more]
        found.setdefault("id", "e1")
    if isinstance(found.get("coding"), list):
        another = {"system": "https://other.example.org/codes", "code": "q", "display": "another"}
        found["coding"] = chance.sample([*found["coding"], another], len(found["coding"]) + 1)
        if chance.random() < 0.5:
            found.setdefault("text", "in other words")
    if top:
        found["language"] = "ja"
    return found
