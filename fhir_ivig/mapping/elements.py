"""What FHIR says of each element: its type, cardinality, choice, reference targets and required value set.

The facts come from two small files beside this one, so that no model class is imported in daily work:

- `elements_R4.json`, `elements_R5.json`: taken from the model classes of `fhir.resources` (R4B for R4 and R4B, whose
  elements are the same for every resource mapped here; R5) by `python -m fhir_ivig.mapping.elements`. One text an
  element: type, cardinality, `?` and the name of its choice (`!` where one of them is required), allowed targets.
- `value_sets.json`: the codes of every *required* binding of those types, expanded from the definitions of
  FHIR 4.0.1 and 5.0.0 (https://hl7.org/fhir/R4/definitions.json.zip and /R5/; CC0), each with its value set.

A type that a new mapping needs and the files lack is taken from the model classes when it is asked for.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args, get_origin

VERSIONS = {"R4": "R4", "R4B": "R4", "R5": "R5"}  # the version of a study -> the table that holds for it
RESOURCES = [
    "AdverseEvent",
    "Bundle",
    "Condition",
    "Medication",
    "MedicationAdministration",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "Patient",
    "Procedure",
    "ResearchStudy",
    "ResearchSubject",
]


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type. `choice` is `value` for `valueQuantity` (`choice_required`: one of them
    must be there); `codes` the (system, code) pairs of a required binding, else None; `targets` the resource types
    that a Reference may point to (empty: any)."""

    name: str
    type: str
    many: bool
    required: bool
    choice: str | None
    choice_required: bool
    targets: tuple[str, ...]
    codes: frozenset[tuple[str, str]] | None = None
    value_set: str | None = None

    @property
    def primitive(self) -> bool:
        """Whether its value is a JSON string, number or boolean."""
        return self.type[0].islower()


@cache
def elements(version: str, type_name: str) -> dict[str, Element]:
    """The elements of a resource or data type (`Observation`, `ObservationComponent`, `Quantity`), by name.

    Comes from the shipped tables, else from the model classes. An unknown type has no elements: `{}`.
    """
    table = _shipped(f"elements_{VERSIONS[version]}.json")
    described = table.get(type_name)
    if described is None:
        described = describe(version, type_name)
    bindings = _shipped("value_sets.json")[VERSIONS[version]]
    return {name: _element(name, text, bindings.get(f"{type_name}.{name}")) for name, text in described.items()}


@cache
def _shipped(name: str) -> dict[str, Any]:
    text = files("fhir_ivig.mapping").joinpath(name).read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _element(name: str, text: str, binding: dict[str, Any] | None) -> Element:
    kind, cardinality, *rest = text.split()
    choice = next((part[1:] for part in rest if part[0] == "?"), None)
    targets = tuple(next((part[2:] for part in rest if part.startswith("->")), "").split("|"))
    codes = None
    if binding and binding["codes"]:
        codes = frozenset((system, code) for system, found in binding["codes"].items() for code in found)
    return Element(
        name=name,
        type=kind,
        many=cardinality.endswith("*"),
        required=cardinality.startswith("1"),
        choice=choice.rstrip("!") if choice else None,
        choice_required=bool(choice and choice.endswith("!")),
        targets=() if targets == ("",) else targets,
        codes=codes,
        value_set=binding["value_set"] if binding else None,
    )


def describe(version: str, type_name: str) -> dict[str, str]:
    """The elements of a type as the model class of `fhir.resources` has them, in the form of the tables.

    `Reference 1..1 ->Patient|Group` or `Quantity 0..1 ?value`. An unknown type gives `{}`.
    """
    import fhir.resources
    import fhir.resources.R4B

    package: Any = fhir.resources if VERSIONS[version] == "R5" else fhir.resources.R4B
    try:
        model = package.get_fhir_model_class(type_name)
    except (LookupError, ValueError):
        return {}
    found = {}
    for field in model.model_fields.values():
        said = field.json_schema_extra or {}
        if not said.get("element_property"):
            continue
        kind, many = _type_of(field.annotation)
        required = field.is_required() or said.get("element_required", False)
        words = [kind, f"{int(required)}..{'*' if many else '1'}"]
        if choice := said.get("one_of_many"):
            words.append(f"?{choice}{'!' if said.get('one_of_many_required') else ''}")
        if kind in ("Reference", "CodeableReference") and said.get("enum_reference_types"):
            targets = "|".join(said["enum_reference_types"])
            words.append("" if targets == "Resource" else f"->{targets}")
        found[field.alias] = " ".join(filter(None, words))
    return found


def _type_of(annotation: Any) -> tuple[str, bool]:
    """FHIR type name and whether it repeats, from `Optional[List[abc.CodingType]]` and the like."""
    inner = [kind for kind in get_args(annotation) if kind is not type(None)]
    if get_origin(annotation) is list:
        return _type_of(inner[0])[0], True
    if hasattr(annotation, "__metadata__"):
        name = type(annotation.__metadata__[0]).__name__
        return name[0].lower() + name[1:], False
    if inner:
        return _type_of(inner[0])
    return {"bool": "boolean", "bytes": "base64Binary"}.get(annotation.__name__) or annotation.__name__.removesuffix(
        "Type"
    ), False


def describe_all(version: str) -> dict[str, dict[str, str]]:
    """The table of every resource type mapped here and of every type that those are made of."""
    found: dict[str, dict[str, str]] = {}
    todo = list(RESOURCES)
    while todo:
        name = todo.pop()
        if name in found or not (described := describe(version, name)):
            continue
        found[name] = described
        todo += [text.split()[0] for text in described.values() if text[0].isupper()]
    return dict(sorted(found.items()))


def main() -> None:
    """Write the tables of elements anew, one line a type."""
    for version in ("R4", "R5"):
        lines = [f"{json.dumps(name)}: {json.dumps(found)}" for name, found in describe_all(version).items()]
        path = Path(__file__).with_name(f"elements_{version}.json")
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
        sys.stdout.write(f"{path}: {len(lines)} types\n")


if __name__ == "__main__":
    main()
