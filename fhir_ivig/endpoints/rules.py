"""Who meets a rule of the study file: subjects, or courses, with a row that has what the rule says.

| Rule                       | Who meets it                                                                       |
|----------------------------|------------------------------------------------------------------------------------|
| `{table, where, rows}`     | who has a row of `table` that meets every condition of `where` (column: condition); |
|                            | with `rows`, as many of them as its bounds say                                     |
| `{population: name}`       | who is in that population, which stands above                                      |
| `{all: [rule, ...]}`       | who meets every one                                                                |
| `{any: [rule, ...]}`       | who meets one at least                                                             |
| `{not: rule}`              | everybody else                                                                     |

A condition is a word, a list of words, or bounds: `at_least`, `above`, `at_most`, `below` with a number or a day. An
empty cell meets none; a cell that a bound cannot be held against is an Issue and meets none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from operator import ge, gt, le, lt
from typing import Any, NamedTuple

from fhir_ivig.endpoints.quantities import days, decimal, texts
from fhir_ivig.endpoints.tables import Tables
from fhir_ivig.issue import Code, Issue

Unit = tuple[str, ...]  # (subject,) or (subject, course)
Refuse = Callable[[Code, str, str], None]

COMPARED = {"at_least": ge, "above": gt, "at_most": le, "below": lt}
SHAPES = ("table", "population", "all", "any", "not")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a number or a day must be: comparisons by their words, all of which must hold."""

    limits: tuple[tuple[str, Decimal | date], ...]

    def hold(self, text: str) -> bool | None:
        """Whether they do, None where the text cannot be compared with them (no number, no date, too vague)."""
        verdicts = set()
        for word, limit in self.limits:
            if isinstance(limit, Decimal):
                number = decimal(text)
                verdicts.add(None if number is None else COMPARED[word](number, limit))
            else:
                span = days(text)
                ends = {COMPARED[word](day, limit) for day in span} if span else set()
                verdicts.add(ends.pop() if len(ends) == 1 else None)
        return None if None in verdicts else all(verdicts)

    def __str__(self) -> str:
        return " and ".join(f"{word.replace('_', ' ')} {limit}" for word, limit in self.limits)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as read. `shape` is one of SHAPES; `parts` are of `all`, `any` and `not`; `name` is the table's or the
    population's; `words`, `bounds` and `rows` are what a rule about a table asks."""

    shape: str
    name: str = ""
    parts: tuple[Rule, ...] = ()
    words: Mapping[str, tuple[str, ...]] | None = None
    bounds: Mapping[str, Bounds] | None = None
    rows: Bounds | None = None

    def tables(self) -> set[str]:
        """The tables that it asks."""
        return {self.name} if self.shape == "table" else set().union(*(part.tables() for part in self.parts))

    def populations(self) -> set[str]:
        """The populations that it asks."""
        if self.shape == "population":
            return {self.name}
        return set().union(*(part.populations() for part in self.parts))

    def __str__(self) -> str:
        if self.shape == "population":
            return f"in {self.name}"
        if self.shape == "not":
            return f"not ({self.parts[0]})"
        if self.parts:
            return f" {'and' if self.shape == 'all' else 'or'} ".join(f"({part})" for part in self.parts)
        asked = [f"{column} {' or '.join(words)}" for column, words in (self.words or {}).items()]
        asked += [f"{column} {bounds}" for column, bounds in (self.bounds or {}).items()]
        where = f" with {', '.join(asked)}" if asked else ""
        return f"{self.rows} rows in {self.name}{where}" if self.rows else f"a row in {self.name}{where}"


@dataclass(frozen=True, slots=True)
class Ground:
    """What a rule is held against: the tables, who there is (once asked for), the populations above, and by which
    columns is counted."""

    tables: Tables
    everyone: Callable[[], frozenset[Unit]]
    populations: Mapping[str, frozenset[Unit]]
    by: tuple[str, ...]  # ("subject",) or ("subject", "course")


class Met(NamedTuple):
    """Who meets a rule, the resources of the rows that say so, and what was wrong with some."""

    units: frozenset[Unit]
    sources: frozenset[str]
    issues: list[Issue]


def read_rule(entry: Any, path: str, known: Collection[str], refuse: Refuse) -> Rule | None:
    """The rule that an entry of the study file at `path` says; None with all that is wrong told to `refuse`."""
    if not isinstance(entry, dict):
        refuse("structure", "A rule must be keys with values.", path)
        return None
    shapes = [shape for shape in SHAPES if shape in entry]
    allowed = {*SHAPES, *(("where", "rows") if shapes == ["table"] or not shapes else ())}
    unknown = entry.keys() - allowed
    for key in unknown:
        refuse("not-supported", f"A population has no key `{key}` here: take it out.", f"{path}.{key}")
    asked = _table_rule(entry, path, refuse)
    if len(shapes) != 1:
        said = f"Say just one of {', '.join(SHAPES)}: which `table` has a row of theirs, or what else they meet."
        refuse("required", said, path)
        return None
    shape = shapes[0]
    below = f"{path}.{shape}"
    if shape == "table":
        found = asked
    elif shape == "population":
        found = Rule(shape, entry[shape]) if isinstance(entry[shape], str) and entry[shape] in known else None
        if found is None:
            refuse("not-found", f"No population `{entry[shape]}` stands above this one.", below)
    else:
        found = _composite(shape, entry[shape], below, known, refuse)
    return None if unknown else found


def _composite(shape: str, entry: Any, path: str, known: Collection[str], refuse: Refuse) -> Rule | None:
    if isinstance(entry, list) == (shape == "not") or not entry:
        refuse("structure", f"`{shape}` is of {'one rule' if shape == 'not' else 'a list of rules'}.", path)
        return None
    children = [(path, entry)] if shape == "not" else [(f"{path}[{at}]", child) for at, child in enumerate(entry)]
    parts = [read_rule(child, place, known, refuse) for place, child in children]
    return Rule(shape, parts=tuple(part for part in parts if part)) if all(parts) else None


def _table_rule(entry: Mapping[str, Any], path: str, refuse: Refuse) -> Rule | None:
    table, conditions = entry.get("table", ""), entry.get("where", {})
    faults = list[str]()

    def wrong(code: Code, text: str, at: str) -> None:
        faults.append(at)
        refuse(code, text, at)

    if "table" in entry and not (isinstance(table, str) and table):
        wrong("value", f"`{table}` is no text: put it in quotes.", f"{path}.table")
    if not isinstance(conditions, dict):
        wrong("structure", "`where` must be columns with their words.", f"{path}.where")
        conditions = {}
    words: dict[str, tuple[str, ...]] = {}
    bounds: dict[str, Bounds] = {}
    for column, value in conditions.items():
        listed = texts(value)
        if isinstance(value, dict):
            limits = read_bounds(value, f"{path}.where.{column}", wrong)
            bounds |= {column: limits} if limits else {}
        elif listed is None:
            said = "This must be a word, or a list of words, in quotes where YAML reads something else."
            wrong("value", said, f"{path}.where.{column}")
        else:
            words[column] = listed
    rows = read_bounds(entry["rows"], f"{path}.rows", wrong) if "rows" in entry else None
    return None if faults else Rule("table", table, words=words, bounds=bounds, rows=rows)


def read_bounds(entry: Any, path: str, refuse: Refuse) -> Bounds | None:
    """Bounds such as `{at_least: '18', below: '75'}`; None with what is wrong told to `refuse`."""
    if not isinstance(entry, dict) or not entry or entry.keys() - COMPARED.keys():
        refuse("structure", f"Bounds are one or more of {', '.join(COMPARED)}.", path)
        return None
    limits: list[tuple[str, Decimal | date]] = []
    for word, text in entry.items():
        known = isinstance(text, str)
        number, span = (decimal(text), days(text)) if known else (None, None)
        if number is None and (span is None or span.first < span.last):
            refuse("value", f"`{text}` is neither a number nor a day such as 2003-05-17.", f"{path}.{word}")
            return None
        limits.append((word, span.first if number is None and span else number or Decimal(0)))
    return Bounds(tuple(limits))


def meeting(rule: Rule, ground: Ground) -> Met:
    """Who meets the rule. Raises NotEvaluableError where a table or a column is not there."""
    if rule.shape == "population":
        return Met(ground.populations[rule.name], frozenset(), [])
    if rule.shape == "table":
        return _rows_meeting(rule, ground)
    parts = [meeting(part, ground) for part in rule.parts]
    issues = [issue for part in parts for issue in part.issues]
    sources = frozenset().union(*(part.sources for part in parts))
    if rule.shape == "not":
        return Met(ground.everyone() - parts[0].units, frozenset(), issues)
    join = frozenset.intersection if rule.shape == "all" else frozenset.union
    return Met(join(*(part.units for part in parts)), sources, issues)


def _rows_meeting(rule: Rule, ground: Ground) -> Met:
    tables, table = ground.tables, rule.name
    places = tables.places(table, rule.words)
    issues: list[Issue] = []
    for column, bounds in (rule.bounds or {}).items():
        cells = tables.cells(table, column, places)
        verdicts = [cell is not None and bounds.hold(cell) for cell in cells]
        for place, cell, verdict in zip(places.tolist(), cells, verdicts, strict=True):
            if verdict is None:
                said = f"`{cell}` cannot be told to be {bounds}: it does not count until it is corrected."
                issues.append(Issue("error", "value", said, f"{table}.csv", tables.number(table, place), column))
        places = places[[bool(verdict) for verdict in verdicts]]
    tally = tables.tally(table, ground.by, places)
    sources = frozenset(tables.behind(table, places))
    if rule.rows:
        everybody = {*tally, *ground.everyone()}
        return Met(frozenset(unit for unit in everybody if rule.rows.hold(str(tally.get(unit, 0)))), sources, issues)
    return Met(frozenset(tally), sources, issues)


def unmet(rule: Rule, units: Collection[Unit], ground: Ground) -> dict[Unit, str]:
    """Of those who do not meet the rule: the parts of it that each does not meet, in words."""
    if rule.shape != "all":
        said = (
            f"not ({rule})" if rule.parts else f"not {rule}" if rule.rows or not rule.tables() else f"without {rule}"
        )
        return dict.fromkeys(units, str(rule.parts[0]) if rule.shape == "not" else said)
    parts = [(part, meeting(part, ground).units) for part in rule.parts]
    found: dict[Unit, list[str]] = {unit: [] for unit in units}
    for part, met in parts:
        for unit, said in unmet(part, set(units) - met, ground).items():
            found[unit].append(said)
    return {unit: "; ".join(said) for unit, said in found.items()}
