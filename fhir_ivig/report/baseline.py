"""Who the subjects were before treatment: the first table of a paper."""

from __future__ import annotations

from decimal import Decimal
from statistics import mean, stdev

from fhir_ivig.endpoints.assessments import readings
from fhir_ivig.endpoints.definition import Measure, Population, Visit
from fhir_ivig.endpoints.kinds.count import count
from fhir_ivig.endpoints.result import NotEvaluableError, Result
from fhir_ivig.report import words
from fhir_ivig.report.material import Material
from fhir_ivig.report.series import numeric
from fhir_ivig.report.sheet import Sheet

COLUMNS = 4  # populations side by side


def baseline(material: Material) -> Sheet | None:
    """Number, age, sex, diagnosis, and each measure at the baseline visit, in each arm and each population that is
    no part of another (has no `of`); None where there is no such population."""
    given = material.study.get("populations", {})
    arms = {arm for entry in material.endpoints().values() for arm in _words(entry.get("arms"))}
    populations = [
        population
        for name, population in material.definition.populations.items()
        if (name in arms or "of" not in given.get(name, {})) and population.subjects and population.courses is None
    ][:COLUMNS]
    visit = _visit(material)
    if not populations:
        return None
    columns = [_column(material, population, visit) for population in populations]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [(name, *(column.get(name, "") for column in columns)) for name in names]
    heads = ("Characteristic", *(population.label for population in populations))
    note = "Numbers are n (%) or mean \N{PLUS-MINUS SIGN} standard deviation (least to greatest)."
    note += f" Measures at {visit.name}." if visit else ""
    return Sheet("Subjects before treatment", heads, rows, numbers=tuple(range(1, len(heads))), note=note)


def _words(value: object) -> list[str]:
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []


def _visit(material: Material) -> Visit | None:
    """The visit from which the first endpoint measures change, else that of day 0."""
    visits = material.definition.visits
    asked = [entry.get("from") for entry in material.endpoints().values() if entry.get("from") in visits]
    on_day = [name for name, visit in visits.items() if visit.day == 0]
    return next((visits[str(name)] for name in [*asked, *on_day]), None)


def _column(material: Material, population: Population, visit: Visit | None) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        results = [result for result in count(material.tables, population) if isinstance(result, Result)]
    except NotEvaluableError:
        results = []
    for result in results:
        if result.statistic == "n":
            found["Subjects"] = words.estimate(result)
        elif result.unit == "subjects" and result.estimate is not None and result.n:
            found[words.statistic(result.statistic)] = (
                f"{words.estimate(result)} ({words.number(100 * result.estimate / result.n, 0)} %)"
            )
    ages = {result.statistic: result for result in results if result.estimate is not None}
    if {"age_mean", "age_min", "age_max"} <= ages.keys():
        mean_age, least, most = (words.estimate(ages[name]) for name in ("age_mean", "age_min", "age_max"))
        found["Age, years"] = f"{mean_age} ({least} to {most}){_of(ages['age_mean'].n or 0, population)}"
    for measure in numeric(material) if visit else ():
        if visit:
            found |= _measured(material, population, measure, visit)
    return found


def _measured(material: Material, population: Population, measure: Measure, visit: Visit) -> dict[str, str]:
    try:
        values: list[Decimal] = list(readings(material.tables, population, measure, visit).values.values())
    except NotEvaluableError:
        return {}
    if not values:
        return {}
    middle, spread = mean(values), Decimal(str(stdev(map(float, values)))) if len(values) > 1 else None
    places = words.places(*filter(None, (middle, spread)))
    around = f" \N{PLUS-MINUS SIGN} {words.number(spread, places)}" if spread is not None else ""
    said = f"{words.number(middle, places)}{around} ({min(values)} to {max(values)})"
    unit = f", {words.unit(measure.unit)}" if measure.unit else ""
    return {f"{measure.label}{unit}": said + _of(len(values), population)}


def _of(known: int, population: Population) -> str:
    return "" if known == len(population.subjects) else f", n = {known:,}"
