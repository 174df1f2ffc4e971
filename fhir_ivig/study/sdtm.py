"""Where a measure stands in SDTM, where the study says so: `sdtm: {domain: MK, testcd: MMTTOT}` of a measure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from fhir_ivig.shape import Shape
from fhir_ivig.yamltext import Node

DOMAINS = ("LB", "VS", "QS", "RS", "MK")
CODE = "[A-Z_][A-Z0-9_]{0,7}"  # what SDTM allows for --TESTCD


@dataclass(frozen=True, slots=True)
class Place:
    """The domain and the short name (--TESTCD); None where the study leaves it open."""

    domain: str | None = None
    testcd: str | None = None


NONE = Place()


def read_place(given: Mapping[str, Node], where: str, others: Collection[Place], shape: Shape) -> Place:
    """What stands under `sdtm` among the keys of a measure; Issues, also for a short name of one of the others, go to
    the shape."""
    if "sdtm" not in given:
        return NONE
    said = shape.fields(given["sdtm"], f"{where}.sdtm", ("domain", "testcd"))
    domain = shape.choice(said["domain"], f"{where}.sdtm.domain", DOMAINS) if "domain" in said else ""
    wanted = "a capital letter or _ and at most seven more, digits among them"
    code = shape.match(said["testcd"], f"{where}.sdtm.testcd", CODE, wanted) if "testcd" in said else ""
    if code and code in [other.testcd for other in others]:
        shape.refuse(said["testcd"], f"{where}.sdtm: another measure has the testcd `{code}`.", "duplicate")
    return Place(domain or None, code or None)
