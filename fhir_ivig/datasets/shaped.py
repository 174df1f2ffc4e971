"""A study's tables as SDTM-shaped or ADaM-shaped data sets."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fhir_ivig.datasets.analysis import analysis_rows, event_rows
from fhir_ivig.datasets.dataset import Made, Variable
from fhir_ivig.datasets.declared import Declaration, Declared, declarations
from fhir_ivig.datasets.deriving import RESOURCE, Ground, Texts, make
from fhir_ivig.datasets.domains import tests
from fhir_ivig.datasets.subjects import about
from fhir_ivig.endpoints.definition import Definition, define
from fhir_ivig.endpoints.tables import Tables
from fhir_ivig.issue import Issue, many
from fhir_ivig.study.study import Study
from fhir_ivig.yamltext import load, plain

if TYPE_CHECKING:
    import pyarrow as pa

LABEL = 40  # what SAS allows


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
    known = {subject for table in cells.values() for subject in table.get("subject", ()) if subject}
    ground = Ground(study, cells, tests(study, _limited(cells)), about(source, sorted(known)), definition)
    declared = list(declarations(standard))
    issues = [*source.issues, *definition.issues, *_without_infusion(ground, standard)]
    if standard == "adam":
        issues += _analysed(ground, source)
        declared = [_with_flags(one, definition, issues) if one.name == "ADSL" else one for one in declared]
    issues += _without_table(declared, ground)
    found = [one for one in (make(ground, declaration) for declaration in declared) if one is not None]
    return found, [*issues, *(issue for one in found for issue in one.dataset.issues)]


def _without_infusion(ground: Ground, standard: str) -> Iterator[Issue]:
    """What stays empty of those from whose first course, or infusion, everything counts, if they have none."""
    known, first = ground.about["treated"], ground.about["first_day"]
    undated = [one for one in known if one not in first]
    untreated = [one for one, given in known.items() if given == "N"]
    if undated:
        said = f"{many(len(undated), 'subject')} without a day of a course or infusion, the first {undated[0]}: "
        said += "AGE and study days, which count from it, are empty."
        yield Issue("warning", "incomplete", said)
    if untreated and standard == "adam":
        said = (
            f"{many(len(untreated), 'subject')} given no infusion, the first {untreated[0]}: SAFFL is N, TRTEMFL is "
        )
        said += "empty. Placebo is not among the infusions: take the flag of a population of study.yaml instead."
        yield Issue("warning", "incomplete", said)


def _without_table(declared: list[Declaration], ground: Ground) -> list[Issue]:
    """What is said of data sets that the study has no table for."""
    lacking: dict[str, list[str]] = {}
    for one in declared:
        if one.home not in ground.tables:
            lacking.setdefault(one.home, []).append(one.name)
    return [
        Issue("information", "informational", f"Without the table {table} there is no {', '.join(names)}.")
        for table, names in lacking.items()
    ]


def _analysed(ground: Ground, tables: Tables) -> list[Issue]:
    """Adds what ADaM's rows are made of to the ground's tables."""
    issues: list[Issue] = []
    if "assessments" in ground.tables:
        ground.tables["analysis"], issues = analysis_rows(tables, ground.definition, ground.tables["assessments"])
    if "adverse_events" in ground.tables:
        ground.tables["events"], found = event_rows(tables, ground.about, ground.tables["adverse_events"])
        issues += found
    if ground.definition.baseline is None:
        said = "No visit is the baseline (one on day 0, or with `baseline: yes`): BASE, CHG and PCHG are empty."
        issues.append(Issue("warning", "incomplete", said, ground.study.path.name, path="visits"))
    return issues


def _with_flags(declaration: Declaration, definition: Definition, issues: list[Issue]) -> Declaration:
    """ADSL with a flag for each population of study.yaml; one that cannot be told has none, and a warning."""
    taken = {declared.variable.name for declared in declaration.variables}
    flags = tuple(_flags(definition, taken, issues))
    return replace(declaration, variables=(*declaration.variables, *flags))


def _flags(definition: Definition, taken: set[str], issues: list[Issue]) -> Iterator[Declared]:
    for name, one in definition.populations.items():
        if one.why:
            said = f"ADSL has no flag for it: {one.why}."
            issues.append(Issue("warning", "incomplete", said, path=f"populations.{name}"))
            continue
        flag = _flag(name, taken)
        taken.add(flag)
        fits = len(one.label) <= LABEL and one.label.isascii()
        label = one.label if fits else f"Population {name} Flag"[:LABEL]
        variable = Variable(
            flag,
            label,
            "text",
            origin=f"Derived: populations.{name}",
            codes=("Y", "N"),
            note=f"Sponsor-defined: {one.label}, by study.yaml.",
        )
        yield Declared(variable, "population", name, {})


def _flag(name: str, taken: Collection[str]) -> str:
    """The name of a population's flag: its first six letters and FL; a number for the last where that is taken."""
    letters = re.sub("[^A-Z0-9]", "", name.upper()).lstrip("0123456789")[:6] or "POP"
    flag, number = f"{letters}FL", 1
    while flag in taken:
        number += 1
        flag = f"{letters[: 6 - len(str(number))]}{number}FL"
    return flag


def _cells(table: pa.Table, resources: pa.Array | None) -> dict[str, Texts]:
    cells = {name: table.column(name).to_pylist() for name in table.column_names}
    return cells | ({RESOURCE: resources.to_pylist()} if resources is not None else {})


def _limited(cells: Mapping[str, Mapping[str, Texts]]) -> set[str]:
    """The measures with an upper limit of normal in some row."""
    found = cells.get("assessments", {"measure": [], "upper_limit": []})
    pairs = zip(found["measure"], found["upper_limit"], strict=True)
    return {measure for measure, limit in pairs if measure and limit}
