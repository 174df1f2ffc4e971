"""One element of anyone's resource against its template: which cells it holds, and what is wrong with it.

Constants match as FHIR's `pattern[x]` does (https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.pattern_x_):
more elements and list items than the template has are allowed; `display`, `text` and `unit`, which are for people,
are not compared. What must not be passed over is reported: modifierExtension, a comparator or another type of a
choice that the template has no hole for, a unit that cannot be converted exactly.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, DecimalException
from typing import Any

from fhir_ivig.issue import Code, Issue, Severity
from fhir_ivig.mapping import units
from fhir_ivig.mapping.elements import elements
from fhir_ivig.mapping.identity import SEPARATOR, identifier_system
from fhir_ivig.mapping.mapping import Mapping, Reads
from fhir_ivig.mapping.primitives import expected, fits
from fhir_ivig.mapping.template import SEVERAL, Constant, Group, Hole, Items, Template, holes
from fhir_ivig.mapping.tokens import unscaled

FOR_PEOPLE = {("CodeableConcept", "text"), ("Coding", "display"), ("Reference", "display"), ("Quantity", "unit")}


class Number(str):
    """A JSON number, as written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Lookup:
    """A cell to be found by a literal reference: part `part` of the key of the resource that it points to."""

    reference: str
    target: str
    part: int


@dataclass(slots=True)
class Match:
    """What an element holds: `cells` by column; `issues` without a row; `fits` is False where a constant differs."""

    cells: dict[str, str | Lookup] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)
    fits: bool = True

    @property
    def clean(self) -> bool:
        """Whether nothing makes the row unusable."""
        return self.fits and all(issue.severity in ("warning", "information") for issue in self.issues)


def strict_json(raw: bytes | str) -> Any:
    """JSON with numbers as written; ValueError for a doubled name, NaN, or what is no JSON."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(found)
        if len(members) < len(found):
            names = [name for name, _ in found]
            doubled = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"the name {', '.join(doubled)} stands twice in one object")
        return members

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    return json.loads(raw, parse_float=Number, parse_int=Number, parse_constant=constant, object_pairs_hook=pairs)


class Matcher:
    """Matches elements against the template of a bound mapping."""

    def __init__(self, mapping: Mapping, base: str, parameters: dict[str, str]) -> None:
        self.mapping, self.base, self.parameters = mapping, base, parameters

    def element(self, name: str, raw: str) -> Match:
        """The top-level element `name` from its JSON."""
        match = Match()
        path = f"{self.mapping.resource_type}.{name}"
        try:
            value = strict_json(raw)
        except (ValueError, RecursionError) as error:
            said = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
            match.issues.append(Issue("error", "structure", f"This is not FHIR JSON: {said}.", path=path))
            return match
        self.match(self.mapping.resource.members[name], value, match)
        return match

    def match(self, node: Template, value: Any, match: Match) -> None:
        reads = self.mapping.reads.get(node.path, Reads())
        if any(self.quietly(pattern, value) for pattern in reads.patterns):
            return
        if isinstance(node, Constant):
            self.constant(node, value, match, reads)
        elif isinstance(node, Hole):
            self.hole(node, value, match)
        elif isinstance(node, Items):
            self.items(node, value, match, reads)
        elif node.type == "Quantity" and isinstance(node.members.get("code"), Constant):
            self.quantity(node, value, match, reads)
        else:
            self.group(node, value, match, reads)

    def quietly(self, node: Template, value: Any) -> bool:
        """Whether a value fits a template, with nothing kept of it."""
        trial = Match()
        self.match(node, value, trial)
        return trial.clean

    def constant(self, node: Constant, value: Any, match: Match, reads: Reads) -> None:
        wanted = node.bound(self.parameters)
        text = _text(value)
        if reads.ignored or text == wanted or text in reads.constants:
            return
        if isinstance(value, Number) and _equal_numbers(text, wanted):
            return
        match.fits = False
        known = ", ".join((wanted, *reads.constants))
        self.issue(match, "code-invalid", f"This is `{_short(value)}`; the mapping reads {known}.", node)

    def hole(self, node: Hole, value: Any, match: Match) -> None:
        if node.target:
            self.reference(node, value, match)
        elif node.via:
            fitting = [
                cell for cell, values in node.entries.items() if any(self.quietly(each, value) for each in values)
            ]
            if len(fitting) == 1:
                self.fill(node, node.columns[0], fitting[0], match)
            else:
                said = "fits several words of the code map" if fitting else "is in no word of the code map"
                self.issue(match, "code-invalid", f"`{_short(value)}` {said} `{node.via}`.", node)
        else:
            text = _text(value) if not isinstance(value, dict | list) else None
            if text is not None and node.factor:
                text = unscaled(text, node.factor)
            if text is None or not fits(node.type, text) or (node.codes and text not in node.codes):
                said = f"one of {', '.join(sorted(node.codes))}" if node.codes else expected(node.type)
                self.issue(match, "value", f"`{_short(value)}` is not {said}.", node)
            else:
                self.fill(node, node.columns[0], text, match)

    def fill(self, node: Hole, column: str, cell: str | Lookup, match: Match) -> None:
        """Put a cell in its column; a second, different one is an error. A parameter of the study is compared."""
        if column.startswith("$"):
            if cell != self.parameters[column[1:]]:
                self.issue(match, "conflict", f"`{cell}` is not this study's `{self.parameters[column[1:]]}`.", node)
            return
        before = match.cells.setdefault(column, cell)
        if before != cell and isinstance(before, str) and isinstance(cell, str):
            self.issue(match, "conflict", f"Two places differ: `{before}` and `{cell}`.", node)

    def reference(self, node: Hole, value: Any, match: Match) -> None:
        """The key's cells from a business identifier of ours, else to be looked up by the literal reference."""
        target = node.target or ""
        identifier = value.get("identifier", {}) if isinstance(value, dict) else {}
        if isinstance(identifier, dict) and identifier.get("system") == identifier_system(self.base, target):
            parts = str(identifier.get("value", "")).split(SEPARATOR)
            if len(parts) == len(node.columns):
                for column, part in zip(node.columns, parts, strict=True):
                    self.fill(node, column, part, match)
                return
        literal = value.get("reference") if isinstance(value, dict) else None
        if isinstance(literal, str) and not literal.startswith("#") and literal.count("/") >= 1:
            short = "/".join(literal.split("/_history/")[0].split("/")[-2:])
            for place, column in enumerate(node.columns):
                if not column.startswith("$"):
                    self.fill(node, column, Lookup(short, target, place), match)
            return
        self.issue(match, "not-found", "The reference names nothing of this study.", node)

    def group(self, node: Group, value: Any, match: Match, reads: Reads) -> None:
        if not isinstance(value, dict):
            self.issue(match, "structure", f"A {node.type} is a JSON object, this is not.", node)
            return
        self.hazards(node, value, match)
        for name, child in node.members.items():
            if name in value:
                if (node.type, name) in FOR_PEOPLE and isinstance(child, Constant):
                    continue
                self.match(child, value[name], match)
            elif next(holes(child), None) is None and not reads.ignored:
                child_reads = self.mapping.reads.get(child.path, Reads())
                if (node.type, name) not in FOR_PEOPLE and not child_reads.ignored:
                    match.fits = False
                    self.issue(match, "required", "It is missing; the mapping expects a fixed value here.", child)

    def hazards(self, node: Group, value: dict[str, Any], match: Match) -> None:
        """What changes the meaning of the whole, or would be lost, though the template has no place for it."""
        for name in value.keys() - node.members.keys():
            reason = hazard(self.mapping.version, node.type, name, set(node.members))
            path = f"{node.path}.{name}"
            known = self.mapping.reads.get(path, Reads())
            if reason and not known.ignored and not self.all_known(known, value[name]):
                match.issues.append(Issue("error", "not-supported", reason, path=path))

    def all_known(self, known: Reads, value: Any) -> bool:
        listed = value if isinstance(value, list) else [value]
        return bool(known.patterns) and all(any(self.quietly(p, item) for p in known.patterns) for item in listed)

    def items(self, node: Items, value: Any, match: Match, reads: Reads) -> None:
        """Each item of the template against the items there: none, one, or (repeating) all that fit."""
        if reads.ignored and next(holes(node), None) is None:
            return
        if not isinstance(value, list):
            self.issue(match, "structure", "FHIR has a list here, this is none.", node)
            return
        left = list(value)
        for item in node.items:
            trials = [(each, self.trial(item, each)) for each in left]
            fitting = [(each, trial) for each, trial in trials if trial.fits]
            repeat = next((hole for hole in holes(item) if hole.repeat), None)
            if repeat and fitting:
                self.several(repeat, [trial for _, trial in fitting], match)
            elif len(fitting) > 1 and next(holes(item), None) and self.differ([trial for _, trial in fitting]):
                self.issue(match, "conflict", f"{len(fitting)} items fit where one is expected.", item)
            elif fitting:
                self.take(fitting[0][1], match)
            elif next(holes(item), None) is None:
                match.fits = False
                self.issue(match, "required", "No item has the fixed values that the mapping expects.", item)
            left = [each for each in left if all(each is not taken for taken, _ in fitting)]
        unread = [
            hole.columns[0] for item in node.items for hole in holes(item) if hole.columns[0] not in match.cells
        ]
        if left and unread and not reads.ignored and not node.path.endswith((".identifier", ".extension")):
            columns = ", ".join(dict.fromkeys(unread))
            self.issue(match, "incomplete", f"An item here fits no mapping; {columns} may be lost.", node, "warning")

    def trial(self, item: Template, value: Any) -> Match:
        trial = Match()
        self.match(item, value, trial)
        return trial

    @staticmethod
    def differ(trials: list[Match]) -> bool:
        return any(trial.cells != trials[0].cells for trial in trials)

    def take(self, trial: Match, match: Match) -> None:
        for column, cell in trial.cells.items():
            match.cells.setdefault(column, cell)
        match.issues += trial.issues

    def several(self, hole: Hole, trials: list[Match], match: Match) -> None:
        words = [str(trial.cells[hole.columns[0]]) for trial in trials if hole.columns[0] in trial.cells]
        match.issues += [issue for trial in trials for issue in trial.issues]
        if words:
            self.fill(hole, hole.columns[0], SEVERAL.join(words), match)

    def quantity(self, node: Group, value: Any, match: Match, reads: Reads) -> None:
        """A Quantity in the written unit, converted where another is given that can be converted exactly."""
        written = node.members["code"]
        if not isinstance(value, dict) or not isinstance(written, Constant):
            self.issue(match, "structure", "A Quantity is a JSON object, this is not.", node)
            return
        if "value" not in value:
            said = "A quantity without a value: nothing can be read from it."
            self.issue(match, "incomplete", said, node, "warning")
            return
        unit = written.bound(self.parameters)
        factor, said = self.factor(value, unit, reads)
        if factor is None:
            self.issue(match, "value", said, node)
            return
        plain = {name: each for name, each in value.items() if name not in ("code", "system", "unit")}
        if said:
            try:
                plain["value"] = Number(units.times(str(value["value"]), factor))
            except DecimalException:
                self.issue(match, "value", f"`{_short(value['value'])}` cannot be converted exactly.", node)
                return
            self.issue(match, "informational", said, node, "information")
        for name in ("code", "system", "unit"):
            child = node.members.get(name)
            if isinstance(child, Hole) and child.entries:
                self.fill(child, child.columns[0], next(iter(child.entries)), match)
        kept = {name: child for name, child in node.members.items() if name not in ("code", "system", "unit")}
        self.group(Group(node.type, kept, node.path, node.line), plain, match, reads)

    def factor(self, value: dict[str, Any], unit: str, reads: Reads) -> tuple[Decimal | None, str]:
        """What to multiply a value by, and what to say of it: nothing where it is in the written unit."""
        code, shown, system = value.get("code"), value.get("unit"), value.get("system")
        if code == unit and system == units.UCUM:
            return Decimal(1), ""
        declared = dict(reads.units)
        for given in (code, shown):
            if given in declared:
                return declared[given], f"Read in {unit}: {given} times {declared[given]}, as the mapping declares."
        if isinstance(code, str) and (system == units.UCUM or system is None):
            if (found := units.factor(code, unit)) is not None:
                return found, f"Read in {unit}: {code} times {found} (UCUM)."
            return None, f"The unit `{code}` cannot be converted to {unit}."
        said = f"The unit `{shown or code}` is no UCUM code" if shown or code else "There is no unit"
        return None, f"{said}: declare it under `reads` if it means {unit}."

    def issue(
        self,
        match: Match,
        code: Code,
        text: str,
        node: Template,
        severity: Severity = "error",
        column: str | None = None,
    ) -> None:
        column = column or next((hole.columns[0] for hole in _own_holes(node)), None)
        match.issues.append(Issue(severity, code, text, column=column, path=node.path))


def hazard(version: str, type_name: str, name: str, mapped: set[str]) -> str | None:
    """Why an unmapped member must not be passed over, or None: it may be."""
    if name == "modifierExtension":
        return "A modifierExtension that the mapping does not know changes what this means."
    if name == "implicitRules":
        return "implicitRules that the mapping does not know change what this means."
    if name == "comparator" and type_name == "Quantity":
        return "A comparator makes this a limit, not a value, and the mapping has no column for it."
    known = elements(version, type_name)
    element = known.get(name)
    if element and element.choice:
        others = [other for other in mapped if other in known and known[other].choice == element.choice]
        if others:
            return f"{element.choice}[x] is given as {name}; the mapping reads {', '.join(sorted(others))}."
    return None


def _own_holes(node: Template) -> Iterator[Hole]:
    return (hole for hole in holes(node) if not hole.columns[0].startswith("$"))


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str) else None


def _equal_numbers(text: str | None, wanted: str) -> bool:
    try:
        return text is not None and Decimal(text) == Decimal(wanted)
    except DecimalException:
        return False


def _short(value: Any) -> str:
    """A value for a message: itself when it is one word, else its codes."""
    if isinstance(value, dict):
        codes = [value.get("code")] if "code" in value else [each.get("code") for each in value.get("coding", [])]
        return ", ".join(str(code) for code in codes) or "an object without a code"
    if isinstance(value, list):
        return "a list"
    text = "null" if value is None else _text(value) or ""
    return text if len(text) <= 60 else f"{text[:57]}..."
