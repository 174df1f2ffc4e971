"""Whether a subject meets a rule about measures: yes, no, or that it cannot be told, with the evidence.

| Rule                                | It is met where                                                            |
|-------------------------------------|----------------------------------------------------------------------------|
| `{measure, ...}`                    | the measure at the visit meets every comparison named, see COMPARISONS     |
| `{improvement_score: '20'}`         | the Total Improvement Score is so high, or higher (improvement.py)         |
| `{worsening: proderm}`              | it got worse, by a definition of WORSENING                                 |
| `{all: [rule, ...]}`, `{any: [...]}`| every one is met, one is                                                   |
| `{at_least: '3', of: [rule, ...]}`  | so many of them are                                                        |
| `{not: rule}`                       | it is not                                                                  |
| `{confirmed: rule, visits: [...]}`  | it is met at two visits, one after the other in that list                  |

`visit` beside `measure`, `improvement_score` or `worsening` names another visit than the one asked about. What is
not known stays unknown unless the rest decides: `any` with one met is met, `all` with one not met is not (Kleene).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any

from fhir_ivig.endpoints.assessments import readings
from fhir_ivig.endpoints.definition import CoreSet, Definition, Measure, Visit
from fhir_ivig.endpoints.improvement import scores
from fhir_ivig.endpoints.populations import Population
from fhir_ivig.endpoints.quantities import decimal, texts
from fhir_ivig.endpoints.readings import Readings
from fhir_ivig.endpoints.tables import Tables
from fhir_ivig.endpoints.verdicts import ALONE, COMPARISONS, WORSENING, Verdict, Verdicts, combined, compared
from fhir_ivig.issue import Code, Issue

ALLOWED = {
    "measure": {"visit", *COMPARISONS},
    "improvement_score": {"visit"},
    "worsening": {"visit"},
    "all": set[str](),
    "any": set[str](),
    "of": {"at_least"},
    "not": set[str](),
    "confirmed": {"visits"},
}

Asked = Callable[[Visit], Verdicts]


class Judge:
    """Reads rules and holds the subjects of a population against them; `from_` is the visit before.

    `issues` are those of the tables, and those of the rules: they have no file, their path begins at the rule.
    """

    def __init__(self, tables: Tables, definition: Definition, population: Population, from_: Visit) -> None:
        self.issues: list[Issue] = []
        self._tables, self._definition, self._population, self._from = tables, definition, population, from_
        self._read: dict[tuple[str, str], Readings] = {}

    def read(self, entry: Any, path: str) -> Asked | None:
        """The rule as a function of the visit asked about; None, with Issues, where it is none."""
        if not isinstance(entry, dict):
            self._refuse("structure", "A rule must be keys with values.", path)
            return None
        shapes = [shape for shape in ALLOWED if shape in entry]
        if len(shapes) != 1:
            self._refuse("structure", f"A rule has just one of {', '.join(ALLOWED)}.", path)
            return None
        shape = shapes[0]
        if unknown := entry.keys() - {shape} - ALLOWED[shape]:
            said = f"A rule with `{shape}` has no key `{min(unknown)}`: take it out."
            self._refuse("not-supported", said, f"{path}.{min(unknown)}")
            return None
        if shape in ("all", "any", "of"):
            return self._several(shape, entry, path)
        if shape == "not":
            inner = self.read(entry["not"], f"{path}.not")
            return partial(self._not, inner) if inner else None
        if shape == "confirmed":
            return self._confirmed(entry, path)
        asked = {"measure": self._measure, "improvement_score": self._score, "worsening": self._worsening}[shape]
        found = asked(entry, path)
        if "visit" in entry and found:
            visit = self._visit(entry["visit"], f"{path}.visit")
            return partial(_elsewhere, found, visit) if visit else None
        return found

    def _refuse(self, code: Code, text: str, path: str) -> None:
        self.issues.append(Issue("error", code, text, path=path))

    def _visit(self, name: Any, path: str) -> Visit | None:
        visits = self._definition.visits
        if isinstance(name, str) and name in visits:
            return visits[name]
        self._refuse("not-found", f"There is no visit `{name}`: there are {', '.join(visits)}.", path)
        return None

    def _number(self, text: Any, path: str) -> Decimal | None:
        number = decimal(text) if isinstance(text, str) else None
        if number is None or number < 0:
            self._refuse("value", f"`{text}` is not a number of 0 or more, in quotes.", path)
            return None
        return number

    def _several(self, shape: str, entry: Mapping[str, Any], path: str) -> Asked | None:
        rules = entry[shape]
        if not isinstance(rules, list) or not rules:
            self._refuse("structure", f"`{shape}` is of a list of rules.", f"{path}.{shape}")
            return None
        parts = [self.read(rule, f"{path}.{shape}[{place}]") for place, rule in enumerate(rules)]
        least: Decimal | None = Decimal(1) if shape == "any" else Decimal(len(rules))
        if shape == "of":
            least = self._number(entry.get("at_least"), f"{path}.at_least")
        known = [part for part in parts if part]
        if least is None or len(known) < len(parts):
            return None
        return partial(self._combine, known, int(least) + (least % 1 > 0))

    def _combine(self, parts: Iterable[Asked], least: int, visit: Visit) -> Verdicts:
        every = [part(visit) for part in parts]
        return {one: combined([part[one] for part in every], least) for one in self._population.subjects}

    def _not(self, inner: Asked, visit: Visit) -> Verdicts:
        found = inner(visit)
        return {one: it._replace(met=None if it.met is None else not it.met) for one, it in found.items()}

    def _confirmed(self, entry: Mapping[str, Any], path: str) -> Asked | None:
        inner = self.read(entry["confirmed"], f"{path}.confirmed")
        names = texts(entry.get("visits"))
        if names is None or len(names) < 2:
            self._refuse("structure", "`visits` is a list of two visits or more.", f"{path}.visits")
            return None
        visits = [self._visit(name, f"{path}.visits") for name in names]
        known = [visit for visit in visits if visit]
        return partial(self._twice, inner, known) if inner and len(known) == len(visits) else None

    def _twice(self, inner: Asked, visits: Sequence[Visit], asked_about: Visit) -> Verdicts:
        every = [inner(visit) for visit in visits]
        return {
            one: combined([combined([a[one], b[one]], 2) for a, b in pairwise(every)], 1)
            for one in self._population.subjects
        }

    def _measure(self, entry: Mapping[str, Any], path: str) -> Asked | None:
        measures = self._definition.measures
        name = entry["measure"]
        if not isinstance(name, str) or name not in measures:
            said = f"There is no measure `{name}`: there are {', '.join(measures)}."
            self._refuse("not-found", said, f"{path}.measure")
            return None
        measure = measures[name]
        limits = {key: self._number(entry[key], f"{path}.{key}") for key in COMPARISONS if key in entry}
        if not limits:
            self._refuse("required", f"Say one of {', '.join(COMPARISONS)}.", path)
            return None
        if any(key.endswith("scale") for key in limits) and not measure.scale_max:
            self._refuse("required", f"{name} has no scale_max: add it to the measure.", path)
            return None
        known = {key: limit for key, limit in limits.items() if limit is not None}
        return partial(self._compare, measure, known) if len(known) == len(limits) else None

    def _readings(self, measure: Measure, visit: Visit) -> Readings:
        key = measure.name, visit.name
        if key not in self._read:
            self._read[key] = readings(self._tables, self._population, measure, visit)
            self.issues += self._read[key].issues
        return self._read[key]

    def _compare(self, measure: Measure, limits: Mapping[str, Decimal], visit: Visit) -> Verdicts:
        after = self._readings(measure, visit)
        alone = all(key in ALONE for key in limits)
        return compared(measure, limits, after if alone else self._readings(measure, self._from), after, visit)

    def _core_set(self, path: str) -> CoreSet | None:
        known = self._definition.core_set
        said = "It needs the core set: name its measures at the top of the study file."
        if known is None:
            self._refuse("required", said, path)
        return known

    def _score(self, entry: Mapping[str, Any], path: str) -> Asked | None:
        least = self._number(entry["improvement_score"], f"{path}.improvement_score")
        core_set = self._core_set(path)
        return partial(self._scored, core_set, least) if core_set and least is not None else None

    def _scored(self, core_set: CoreSet, least: Decimal, visit: Visit) -> Verdicts:
        found = scores(self._tables, self._population, core_set, self._from, visit)
        self.issues += found.issues
        known = {
            one: Verdict(score.total >= least, (f"{score.total} points at {visit.name}",), score.rows)
            for one, score in found.scores.items()
        }
        return known | {one: Verdict(None, (why,), ()) for one, why in found.reasons.items()}

    def _worsening(self, entry: Mapping[str, Any], path: str) -> Asked | None:
        name = entry["worsening"]
        if not isinstance(name, str) or name not in WORSENING:
            said = f"There is no definition `{name}` of worsening: there are {', '.join(WORSENING)}."
            self._refuse("code-invalid", said, f"{path}.worsening")
            return None
        core_set = self._core_set(path)
        return self.read(_named(WORSENING[name], core_set), path) if core_set else None


def _elsewhere(asked: Asked, visit: Visit, asked_about: Visit) -> Verdicts:
    """What is asked, at the visit that the rule names."""
    return asked(visit)


def _named(rule: Any, core_set: CoreSet) -> Any:
    """A rule with the study's measures in place of the items of the core set."""
    if isinstance(rule, list):
        return [_named(part, core_set) for part in rule]
    if not isinstance(rule, dict):
        return rule
    return {
        key: core_set.scales[value].name if key == "measure" else _named(value, core_set)
        for key, value in rule.items()
    }
