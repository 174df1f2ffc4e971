"""The study file of a de-identified study: the same questions, without what names a person, a server or a machine.

What leaves of study.yaml is what the investigators wrote for everybody: its names, visits, measures, populations,
endpoints, references (`LEAVES`). Comments, the `server`, and how files were read do not. `mrn_system` names a
hospital: a name of the study's own stands for it. Cells of hashed columns that a population names become hashes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from fhir_ivig.deidentify.words import scalars
from fhir_ivig.issue import Issue
from fhir_ivig.study.classes import class_of
from fhir_ivig.study.study import Study
from fhir_ivig.yamltext import load, plain

LEAVES = (
    "study", "title", "status", "base", "fhir_version", "parameters", "visits", "measures", "core_set", "populations",
    "endpoints", "multiplicity", "references", "dictionary", "deidentify", "tolerance_days",
)  # fmt: skip
MAPPINGS = "mappings"  # the folder of the study's own mapping files beside the new study.yaml
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}(-[0-9]{2}.*)?")


def defined(study: Study, tables: Iterable[str]) -> dict[str, Any]:
    """The new study file as plain values; what names hashed cells in it is still as it was (see `naming`)."""
    text = {key: value for key, value in plain(load(study.path)).items() if key in LEAVES}
    text["tables"] = {table: {} for table in tables}
    if "mrn_system" in study.parameters:
        text["parameters"] = {**text["parameters"], "mrn_system": f"{study.base}/mrn"}
    if study.mappings:
        text["mappings"] = [f"{MAPPINGS}/{number}" for number, _ in enumerate(study.mappings, 1)]
    return text


def warnings(study: Study) -> Iterator[Issue]:
    """What the study asks that a de-identified study cannot answer as before, and parameters that leave."""
    by_class: dict[str, set[str]] = {"remove": set(), "shift": set(), "birth_date": set()}
    for name in study.tables:
        for column in study.dictionary[name].columns.values():
            by_class.setdefault(class_of(column) or "", set()).add(column.name)
    for where, name, below in _conditions({"populations": study.populations, "endpoints": study.endpoints}):
        if name in by_class["remove"]:
            text = f"{where} asks for `{name}`, which is removed: its results change."
            yield Issue("warning", "business-rule", text, study.path.name)
        elif name in by_class["shift"] | by_class["birth_date"] and any(
            _DATE.fullmatch(text) for _, text in scalars(below)
        ):
            text = f"{where} compares `{name}` with a date of the calendar, and dates are moved: its results change."
            yield Issue("warning", "business-rule", text, study.path.name)
    if "term" in by_class["remove"]:
        for name, entry in study.endpoints.items():
            if isinstance(entry, dict) and entry.get("kind") == "watch_list":
                text = f"endpoints.{name} looks for words in the terms of adverse events, which are removed: its "
                text += "results change. Where the terms are coded, `deidentify: columns` may keep them."
                yield Issue("warning", "business-rule", text, study.path.name)
    for name in study.parameters.keys() - {"mrn_system"}:
        yield Issue("information", "informational", f"The parameter {name} leaves as it is.", study.path.name)


def _conditions(part: Any, where: str = "", inside: bool = False) -> Iterator[tuple[str, str, Any]]:
    """Each key below a `where` with its place and what it asks for."""
    if isinstance(part, list):
        for child in part:
            yield from _conditions(child, where, inside)
    elif isinstance(part, dict):
        for name, child in part.items():
            if inside:
                yield where, name, child
            yield from _conditions(child, f"{where}.{name}".removeprefix("."), name == "where")


def own_mappings(study: Study) -> dict[str, Any]:
    """The study's own mapping files without comments: where each goes beside the new study.yaml, and its values."""
    return {
        f"{MAPPINGS}/{number}/{path.relative_to(source)}": plain(load(path))
        for number, source in enumerate(study.mappings, 1)
        for path in [*source.glob("*.yaml"), *source.glob("R5/*.yaml")]
    }
