"""How far a study's values and a hospital's may be apart and still be equal, as study.yaml says."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

from fhir_ivig.shape import Shape
from fhir_ivig.yamltext import Node

KEYS = ("tolerance", "tolerance_percent", "tolerance_days")
_NUMBER = r"(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?"
_PERCENT = r"100|[1-9]?[0-9](\.[0-9]{1,12})?"
_DAYS = r"0|[1-9][0-9]{0,3}"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """By how much two values of a measure may differ: in its unit, or in percent of the study's value; and by how
    many days their dates."""

    value: Decimal | None = None
    percent: Decimal | None = None
    days: int | None = None


NONE = Tolerance()


def read_tolerance(given: Mapping[str, Node], where: str, shape: Shape) -> Tolerance:
    """The tolerance among the keys of a measure; Issues go to the shape."""
    if "tolerance" in given and "tolerance_percent" in given:
        text = f"{where}: keep one of `tolerance` and `tolerance_percent`."
        shape.refuse(given["tolerance_percent"], text, "conflict")

    def number(key: str, pattern: str, what: str) -> Decimal | None:
        if key not in given:
            return None
        return Decimal(shape.match(given[key], f"{where}.{key}", pattern, what) or 0)

    days = _days(given["tolerance_days"], f"{where}.tolerance_days", shape) if "tolerance_days" in given else None
    value = number("tolerance", _NUMBER, "a number such as 0.5, in the measure's unit and not below 0")
    return Tolerance(value, number("tolerance_percent", _PERCENT, "a number from 0 to 100, without %"), days)


def read_tolerance_days(node: Node, tables: Collection[str], shape: Shape) -> dict[str, int]:
    """The days by table."""
    found = {}
    for name, child in shape.mapping(node, "tolerance_days").items():
        if name not in tables:
            shape.refuse(child, f"tolerance_days: there is no table `{name}`.", "not-found")
        found[name] = _days(child, f"tolerance_days.{name}", shape)
    return found


def _days(node: Node, name: str, shape: Shape) -> int:
    return int(shape.match(node, name, _DAYS, "a number of whole days from 0 to 9999") or 0)
