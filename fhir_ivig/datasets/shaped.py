"""A study's tables as SDTM-shaped or ADaM-shaped data sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fhir_ivig.datasets.dataset import Made
from fhir_ivig.datasets.declared import declarations
from fhir_ivig.datasets.deriving import RESOURCE, Ground, make
from fhir_ivig.datasets.domains import tests
from fhir_ivig.datasets.subjects import about
from fhir_ivig.endpoints.definition import define
from fhir_ivig.endpoints.tables import Tables
from fhir_ivig.issue import Issue
from fhir_ivig.study.study import Study
from fhir_ivig.yamltext import load, plain

if TYPE_CHECKING:
    import pyarrow as pa


def shaped(
    study: Study,
    standard: str,
    tables: Mapping[str, pa.Table],
    resources: Mapping[str, pa.Array],
    numbers: Mapping[str, Any],
) -> tuple[list[Made], list[Issue]]:
    """The data sets of `sdtm` or `adam` that a study's tables (as `load_tables` gives them) have something of, and
    Issues."""
    source = Tables(tables, resources, numbers)
    definition = define(plain(load(study.path)), source)
    cells = {name: _cells(table, resources.get(name)) for name, table in tables.items()}
    known = {subject for table in cells.values() for subject in table["subject"] if subject}
    ground = Ground(study, cells, tests(study, _limited(cells)), about(source, sorted(known)), definition)
    every = [make(ground, declaration) for declaration in declarations(standard)]
    found = [one for one in every if one is not None]
    issues = [*source.issues, *definition.issues]
    return found, [*issues, *(issue for one in found for issue in one.dataset.issues)]


def _cells(table: pa.Table, resources: pa.Array | None) -> dict[str, list[str | None]]:
    cells = {name: table.column(name).to_pylist() for name in table.column_names}
    return cells | ({RESOURCE: resources.to_pylist()} if resources is not None else {})


def _limited(cells: Mapping[str, Mapping[str, list[str | None]]]) -> set[str]:
    """The measures with an upper limit of normal in some row."""
    found = cells.get("assessments", {"measure": [], "upper_limit": []})
    pairs = zip(found["measure"], found["upper_limit"], strict=True)
    return {measure for measure, limit in pairs if measure and limit}
