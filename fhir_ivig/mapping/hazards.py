"""What must not be passed over in a resource, though a mapping has no place for it.

FHIR calls an element a modifier when what it says changes what the others mean
(https://hl7.org/fhir/R4/conformance-rules.html#isModifier): whoever does not understand it may not use the resource.
"""

from __future__ import annotations

from typing import Any

from fhir_ivig.mapping.elements import elements
from fhir_ivig.mapping.strictjson import shown

# Statuses that say there is no such thing (any more): no row, and nothing is lost. And where they may stand: a
# status, or what a mapping declares instead of one.
VOID = ("entered-in-error", "cancelled")
VOID_PLACES = (".status", ".modifierExtension#.valueCode", ".verificationStatus#.coding.code")

# Modifier elements of the types mapped here that a template need not hold (isModifier in FHIR 4.0.1 and 5.0.0).
# `status` and the like are in every template, because FHIR requires them.
MODIFIERS = {
    "Condition": {"clinicalStatus", "verificationStatus"},
    "MedicationRequest": {"doNotPerform"},
    "Patient": {"active", "deceasedBoolean", "deceasedDateTime", "link"},
    "Quantity": {"comparator"},
}


def hazard(version: str, type_name: str, name: str, value: Any, mapped: set[str]) -> str | None:
    """Why an unmapped member of a type must not be passed over; None: it may be. `mapped` are its mapped members."""
    if name == "modifierExtension":
        return f"A modifierExtension that the mapping does not know ({shown(value)}) changes what this means."
    if name == "implicitRules":
        return f"implicitRules that the mapping does not know ({shown(value)}) change what this means."
    if name == "comparator" and type_name == "Quantity":
        return f"`{shown(value)}` makes this a limit, not a value, and the mapping has no column for it."
    if name in MODIFIERS.get(type_name, ()):
        return f"`{name}` ({shown(value)}) changes what this means: declare under `reads` what of it is understood."
    known = elements(version, type_name)
    element = known.get(name)
    if element and element.choice:
        others = sorted(other for other in mapped if other in known and known[other].choice == element.choice)
        if others:
            return (
                f"{element.choice}[x] is given as {name} (`{shown(value)}`); the mapping reads {', '.join(others)}."
            )
    return None
