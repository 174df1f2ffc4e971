"""A Quantity in the unit that a mapping writes: what its value is multiplied by, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, DecimalException
from typing import Any

from fhir_ivig.issue import Code
from fhir_ivig.mapping import units
from fhir_ivig.mapping.reads import Reads
from fhir_ivig.mapping.strictjson import Number, shown


@dataclass(frozen=True, slots=True)
class Conversion:
    """What to multiply a value by (None: it cannot be read), and why; nothing is said of the written unit itself."""

    factor: Decimal | None
    said: str = ""
    code: Code = "informational"


def conversion(value: dict[str, Any], unit: str, reads: Reads) -> Conversion:
    """How a Quantity is read in a UCUM unit: as it is, as `reads` declares, or by UCUM where that is exact."""
    code, word, system = value.get("code"), value.get("unit"), value.get("system")
    if code == unit and system == units.UCUM:
        return Conversion(Decimal(1))
    declared = dict(reads.units)
    for given in (code, word):
        if isinstance(given, str) and given in declared:
            said = f"Read in {unit}: {given} times {declared[given]}, as the mapping declares."
            return Conversion(declared[given], said)
    if isinstance(code, str) and system in (units.UCUM, None):
        if (found := units.factor(code, unit)) is not None:
            return Conversion(found, f"Read in {unit}: {code} times {found:f} (UCUM).")
        return Conversion(None, f"The unit `{shown(code)}` cannot be converted to {unit}.", "value")
    if code is None and word is None:
        return Conversion(None, f"There is no unit: it is not taken for {unit}.", "required")
    named = shown(word if code is None else code)
    said = f"The unit `{named}` is no UCUM code: declare it under `reads` if it means {unit}."
    return Conversion(None, said, "code-invalid")


def converted(value: Any, factor: Decimal) -> Any:
    """A JSON number times a factor, exactly; what is no number as it is. None: not exact within 200 digits."""
    if not isinstance(value, Number):
        return value
    try:
        return Number(units.times(value, factor))
    except DecimalException:
        return None
