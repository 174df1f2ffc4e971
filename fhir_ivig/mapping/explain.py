"""What a mapping does, for people: its columns beside FHIRPaths, and an example made from itself."""

from __future__ import annotations

from typing import Any

from fhir_ivig.mapping.mapping import Mapping
from fhir_ivig.mapping.template import Constant, Hole, holes
from fhir_ivig.mapping.tokens import value_of

# A cell of each primitive type, for the example.
EXAMPLES = {
    "decimal": "612.60",
    "id": "group-1",
    "integer": "5",
    "positiveInt": "5",
    "unsignedInt": "5",
    "date": "1951-04",
    "dateTime": "2003-05-17",
    "instant": "2003-05-17T09:30:00+09:00",
    "boolean": "true",
}


def explain(mapping: Mapping) -> list[dict[str, Any]]:
    """One record a column: `column`, `path` (FHIRPath), `type`, `how` it gets there, what else is `read`."""
    found: list[dict[str, Any]] = [
        {"column": column, "path": "", "type": "", "how": f"is always {cell}", "reads": ""}
        for column, cell in mapping.rows.items()
    ]
    for hole in holes(mapping.resource):
        found.append(
            {
                "column": ", ".join(hole.columns),
                "path": hole.path,
                "type": hole.type,
                "how": _how(hole),
                "reads": ", ".join(_elsewhere(mapping, hole)),
            }
        )
    return found


def _elsewhere(mapping: Mapping, hole: Hole) -> list[str]:
    """The FHIRPaths where a hole's cells may stand instead."""
    others = (template for reads in mapping.reads.values() for _, template in reads.instead)
    return [other.path for template in others for other in holes(template) if other.columns == hole.columns]


def _how(hole: Hole) -> str:
    if hole.target:
        return f"refers to {hole.target}"
    if hole.via:
        return "; ".join(f"{cell}: {_code(values[0])}" for cell, values in hole.entries.items())
    if hole.factor:
        return f"times {hole.factor}"
    return "as it is"


def _code(node: Any) -> str:
    """The codes of a code map's value."""
    if isinstance(node, Constant):
        return node.text
    value = value_of(node, {})
    codings = value.get("coding", [value]) if isinstance(value, dict) else []
    return " + ".join(str(coding.get("code")) for coding in codings)


def example_row(mapping: Mapping) -> dict[str, str]:
    """A row that the mapping writes, with every column filled that may be filled at once."""
    row: dict[str, str] = {}
    for hole in holes(mapping.resource):
        for column in hole.columns:
            if not column.startswith("$") and column not in row:
                cell = next(iter(hole.entries), None) or next(iter(sorted(hole.codes)), None)
                row[column] = cell or ("1" if hole.target else EXAMPLES.get(hole.type, column.replace("_", " ")))
    row |= {column: f"{column}-1" for column in mapping.key if column not in row or row[column] == "1"}
    row["subject"] = "S-01" if "subject" in row else ""
    for column in mapping.either[1:]:
        row.pop(column, None)
    row.pop("sign", None)
    return {column: cell for column, cell in {**row, **mapping.rows}.items() if cell}
