"""Who is counted: the populations of a study file, by subject or by course, and how subjects flow between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from fhir_ivig.endpoints.result import NotEvaluableError
from fhir_ivig.endpoints.rules import Ground, Refuse, Rule, Unit, meeting, read_rule, unmet
from fhir_ivig.endpoints.tables import Tables
from fhir_ivig.issue import Issue

SUBJECT, COURSE = ("subject",), ("subject", "course")
WORDS = ("label", "of", "by", "reason")


@dataclass(frozen=True, slots=True)
class Population:
    """The subjects that a rule of the study file chose, and the resources behind that; `why` it could not, if so.

    `courses` are the chosen (subject, course) of a population by course, None of one by subject. `of` names the
    population that it is a part of, None where that is everybody; `rule` is what a member meets; `reason` the table
    and column where it stands why somebody is not in it.
    """

    name: str
    label: str
    subjects: frozenset[str]
    resources: tuple[str, ...] = ()
    why: str | None = None
    courses: frozenset[Unit] | None = None
    of: str | None = None
    rule: Rule | None = None
    reason: tuple[str, str] | None = None

    @property
    def by(self) -> tuple[str, ...]:
        """The columns that name one of its members."""
        return SUBJECT if self.courses is None else COURSE

    @property
    def units(self) -> frozenset[Unit]:
        """Its members."""
        return frozenset((subject,) for subject in self.subjects) if self.courses is None else self.courses


def population(
    name: str, entry: Any, above: Mapping[str, Population], tables: Tables, refuse: Refuse
) -> tuple[Population, list[Issue]]:
    """The population that an entry of the study file says, of those `above` it, and what was wrong in the tables."""
    path, faults = f"populations.{name}", list[str]()

    def wrong(code: Any, text: str, at: str) -> None:
        faults.append(at)
        refuse(code, text, at)

    if not isinstance(entry, dict):
        wrong("structure", "This must be keys with values.", path)
        entry = {}
    for key in [key for key in WORDS if key in entry and not (isinstance(entry[key], str) and entry[key])]:
        wrong("value", f"`{entry[key]}` is no text: put it in quotes.", f"{path}.{key}")
    label, of, by = entry.get("label", name), entry.get("of"), entry.get("by", "subject")
    if isinstance(of, str) and of not in above:
        wrong("not-found", f"No population `{of}` stands above this one.", f"{path}.of")
    if by not in ("subject", "course"):
        wrong("code-invalid", f"`{by}` is neither subject nor course.", f"{path}.by")
    table, _, column = str(entry.get("reason", "")).partition(".")
    if "reason" in entry and not column:
        wrong("value", "Write the table and its column: dispositions.reason.", f"{path}.reason")
    rule = None
    if entry:
        rule = read_rule({key: entry[key] for key in entry.keys() - set(WORDS)}, path, above, wrong)
    if faults or rule is None:
        said = f"the definition of population {name} is faulty"
        return Population(name, str(label), frozenset(), why=said), []
    asked = Population(
        name,
        label,
        frozenset(),
        courses=frozenset() if by == "course" else None,
        of=of,
        rule=rule,
        reason=(table, column) if column else None,
    )
    return _chosen(asked, rule, above, tables)


def _chosen(
    asked: Population, rule: Rule, above: Mapping[str, Population], tables: Tables
) -> tuple[Population, list[Issue]]:
    """The same population with who meets its rule."""
    for name in {*([asked.of] if asked.of else []), *rule.populations()}:
        if above[name].why:
            return replace(asked, why=above[name].why), []
    try:
        ground = _ground(asked, above, tables)
        met = meeting(rule, ground)
    except NotEvaluableError as error:
        return replace(asked, why=f"population {asked.name}: {error}"), []
    units = met.units & ground.everyone() if asked.of else met.units
    subjects = frozenset(unit[0] for unit in units)
    courses = None if asked.courses is None else units
    return replace(asked, subjects=subjects, courses=courses, resources=tuple(sorted(met.sources))), met.issues


def _ground(asked: Population, above: Mapping[str, Population], tables: Tables) -> Ground:
    def everyone() -> frozenset[Unit]:
        return units(above[asked.of]) if asked.of else tables.everyone(asked.by)

    def units(known: Population) -> frozenset[Unit]:
        if known.by == asked.by:
            return known.units
        if asked.by == SUBJECT:
            return frozenset((subject,) for subject in known.subjects)
        return frozenset(unit for unit in tables.everyone(asked.by) if unit[0] in known.subjects)

    named = asked.rule.populations() if asked.rule else ()
    return Ground(tables, cache(everyone), {name: units(above[name]) for name in named}, asked.by)


@dataclass(frozen=True, slots=True)
class Step:
    """From a population to a part of it: who went in, and who did not with the reason.

    `parent` is None where it is everybody; members are subjects, or `subject course number` of one by course. `why`
    says why it cannot be told, if so.
    """

    population: str
    label: str
    parent: str | None
    by: str
    included: tuple[str, ...] = ()
    excluded: Mapping[str, str] = field(default_factory=dict)
    why: str | None = None


def flow(populations: Mapping[str, Population], tables: Tables) -> list[Step]:
    """The steps from everybody to each population, in the order of the study file.

    The reason is the one on record (`reason`; `dispositions.reason` where the rule asks that table and it is filled),
    else the parts of the rule that are not met, in words.
    """
    steps = []
    for one in populations.values():
        by = "subject" if one.courses is None else "course"
        if one.why or one.rule is None:
            steps.append(Step(one.name, one.label, one.of, by, why=one.why))
            continue
        ground = _ground(one, populations, tables)
        out = ground.everyone() - one.units
        reasons = unmet(one.rule, out, ground) | _on_record(one, one.rule, out, tables)
        excluded = {" course ".join(unit): reasons[unit] for unit in sorted(out)}
        included = tuple(" course ".join(unit) for unit in sorted(one.units))
        steps.append(Step(one.name, one.label, one.of, by, included, excluded))
    return steps


def _on_record(one: Population, rule: Rule, out: frozenset[Unit], tables: Tables) -> dict[Unit, str]:
    """The reasons that a table gives."""
    table, column = one.reason or ("dispositions", "reason")
    if (one.reason is None and table not in rule.tables()) or not tables.has(table, column):
        return {}
    said: dict[str, list[str]] = {}
    for row in tables.rows(table, (column,), subjects={unit[0] for unit in out}):
        if row[column]:
            said.setdefault(row.subject, []).append(row[column] or "")
    return {unit: "; ".join(said[unit[0]]) for unit in out if unit[0] in said}
