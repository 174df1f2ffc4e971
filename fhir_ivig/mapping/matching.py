"""One element of anyone's resource against its template: which cells it holds, and what is wrong with it.

Constants match as FHIR's `pattern[x]` does (https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.pattern_x_):
more elements and list items than the template has are allowed; `display`, `text` and `unit`, which are for people,
are not compared. What must not be passed over is reported (see `hazards`). A contained resource's `id` and the
`#id` that refers to it are one local link: any name will do, if both agree.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fhir_ivig.issue import Code, Issue, Severity
from fhir_ivig.mapping.hazards import VOID, VOID_PLACES, hazard
from fhir_ivig.mapping.identity import identifier_system
from fhir_ivig.mapping.lists import match_items
from fhir_ivig.mapping.mapping import Mapping
from fhir_ivig.mapping.match import Match, local_link, own_holes
from fhir_ivig.mapping.primitives import expected, fits
from fhir_ivig.mapping.quantities import conversion, converted
from fhir_ivig.mapping.reads import Reads
from fhir_ivig.mapping.references import Lookup, identifier_of, whom
from fhir_ivig.mapping.strictjson import primitive, shown, strict_json
from fhir_ivig.mapping.template import ALSO, FOR_PEOPLE, Constant, Group, Hole, Items, Template, holes
from fhir_ivig.mapping.tokens import unscaled

UNIT = ("code", "system", "unit")
_NOTHING = Reads()


class Matcher:
    """Matches elements against the template of a bound mapping."""

    def __init__(self, mapping: Mapping, base: str, parameters: dict[str, str]) -> None:
        self.mapping, self.base, self.parameters = mapping, base, parameters

    def element(self, node: Template, raw: str) -> Match:
        """A top-level element from its JSON."""
        match = Match()
        try:
            self.match(node, strict_json(raw), match)
        except ValueError as error:
            match = Match(fits=False)
            self.issue(match, "structure", f"This is not FHIR JSON: {error}.", node)
        return match

    def further(self, name: str, raw: str) -> Match:
        """A top-level member that the template lacks, from its JSON."""
        try:
            return self.unmapped(self.mapping.resource, name, strict_json(raw))
        except ValueError as error:
            said = f"This is not FHIR JSON: {error}."
            return Match(issues=[Issue("error", "structure", said, path=f"{self.mapping.resource_type}.{name}")])

    def unmapped(self, node: Group, name: str, value: Any) -> Match:
        """A member that a group of the template lacks: an error where it must not be passed over."""
        match = Match()
        reason = hazard(self.mapping.version, node.type, name, value, set(node.members))
        path = f"{node.path}.{name}"
        reads = self.mapping.reads.get(path, _NOTHING)
        if reason is None or reads.ignored:
            return match
        for item in value if isinstance(value, list) else [value]:
            trials = [self.trial(pattern, item) for pattern in reads.patterns]
            match.void = match.void or next((trial.void for trial in trials if trial.fits), None)
            if not any(trial.clean or (trial.fits and trial.void) for trial in trials):
                match.issues = [Issue("error", "not-supported", reason, path=path)]
        return match

    def match(self, node: Template, value: Any, match: Match) -> None:
        """Add what a value holds to `match`; what only `reads` makes understood is said."""
        reads = self.mapping.reads.get(node.path, _NOTHING)
        if not reads.patterns:
            self.plainly(node, value, match, reads)
            return
        trial = Match()
        self.plainly(node, value, trial, reads)
        if not trial.clean and any(self.trial(pattern, value).clean for pattern in reads.patterns):
            said = f"Read `{shown(value)}`, as the mapping declares."
            self.issue(match, "informational", said, node, "information")
        else:
            match.add(trial)

    def plainly(self, node: Template, value: Any, match: Match, reads: Reads) -> None:
        if isinstance(node, Constant):
            self.constant(node, value, match, reads)
        elif isinstance(node, Hole):
            self.hole(node, value, match)
        elif isinstance(node, Items):
            match_items(self, node, value, match, reads)
        elif node.type == "Quantity" and isinstance(node.members.get("code"), Constant):
            self.quantity(node, value, match, reads)
        else:
            self.group(node, value, match, reads)

    def trial(self, node: Template, value: Any) -> Match:
        """What a value holds, by itself."""
        trial = Match()
        self.match(node, value, trial)
        return trial

    def constant(self, node: Constant, value: Any, match: Match, reads: Reads) -> None:
        wanted = node.bound(self.parameters)
        text = primitive(node.type, value)
        if reads.ignored:
            return
        if text is not None and (link := local_link(node)) is not None:
            match.cells[link] = text.removeprefix("#")
            if text.startswith("#") == wanted.startswith("#"):
                return
        if text == wanted:
            return
        if text in reads.constants:
            self.issue(match, "informational", f"Read `{text}`, as the mapping declares.", node, "information")
            return
        if node.type == "decimal" and text is not None and fits("decimal", text) and Decimal(text) == Decimal(wanted):
            return
        if void(node, text, match):
            return
        match.fits = False
        known = ", ".join((wanted, *reads.constants))
        said = f"This is `{shown(value)}`; the mapping reads {known}. Declare it under `reads` if it may be read too."
        self.issue(match, "structure" if text is None else "code-invalid", said, node)

    def hole(self, node: Hole, value: Any, match: Match) -> None:
        if node.target:
            self.reference(node, value, match)
        elif node.via:
            self.code_map(node, value, match)
        else:
            text = primitive(node.type, value)
            if text is not None and node.factor and fits(node.type, text):
                text = unscaled(text, node.factor)
            if text is None or not fits(node.type, text) or (node.codes and text not in node.codes):
                said = f"one of {', '.join(sorted(node.codes))}" if node.codes else expected(node.type)
                self.issue(match, "value", f"`{shown(value)}` is not {said}.", node)
            else:
                self.fill(node, node.columns[0], text, match)

    def code_map(self, node: Hole, value: Any, match: Match) -> None:
        fitting = [
            cell for cell, values in node.entries.items() if any(self.trial(each, value).clean for each in values)
        ]
        if len(fitting) == 1:
            self.fill(node, node.columns[0], fitting[0], match)
        elif void(node, value, match):
            return
        elif isinstance(value, dict) and "coding" not in value and isinstance(value.get("text"), str):
            said = f"`{shown(value)}` is words without a code: nothing is read from it."
            self.issue(match, "incomplete", said, node, "warning")
        else:
            said = "fits several words of the code map" if fitting else "is in no word of the code map"
            self.issue(match, "code-invalid", f"`{shown(value)}` {said} `{node.via}`.", node)

    def fill(self, node: Hole, column: str, cell: str | Lookup, match: Match) -> None:
        """Put a cell in its column; a second, different one is an error. A parameter of the study is compared."""
        if column.startswith("$"):
            if cell != self.parameters[column[1:]]:
                self.issue(match, "conflict", f"`{cell}` is not this study's `{self.parameters[column[1:]]}`.", node)
            return
        before = match.cells.setdefault(column, cell)
        if before != cell and isinstance(before, str) and isinstance(cell, str):
            self.issue(match, "conflict", f"Two places differ: `{shown(before)}` and `{shown(cell)}`.", node)

    def reference(self, node: Hole, value: Any, match: Match) -> None:
        """The key's cells from a business identifier of ours, else to be looked up by reference or identifier."""
        target = node.target or ""
        system, given = identifier_system(self.base, target), identifier_of(value)[0]
        if given != system and given.startswith(identifier_system(self.base, "")):
            match.fits = False
            self.issue(match, "conflict", f"The reference means `{shown(given)}`, not {target}.", node)
            return
        meant = whom(value, system, len(node.columns))
        if meant is None:
            said = f"The reference has neither an address nor an identifier: it gives no `{node.columns[0]}`."
            self.issue(match, "required", said, node)
            return
        for place, column in enumerate(node.columns):
            if not isinstance(meant, str):
                self.fill(node, column, meant[place], match)
            elif not column.startswith("$"):
                self.fill(node, column, Lookup(meant, target, place, len(node.columns) == 1), match)

    def group(self, node: Group, value: Any, match: Match, reads: Reads) -> None:
        if not isinstance(value, dict) or not value:
            match.fits = False
            said = f"A {node.type} is a JSON object with something in it; this is `{shown(value)}`."
            self.issue(match, "structure", said, node)
            return
        for name in value.keys() - node.members.keys():
            match.add(self.unmapped(node, name, value[name]))
        for name, child in node.members.items():
            if (node.type, name) in FOR_PEOPLE and isinstance(child, Constant):
                continue
            if name in value:
                self.match(child, value[name], match)
            elif next(holes(child), None) is None and not (reads.ignored or self.is_ignored(child)):
                match.fits = False
                self.issue(match, "required", "It is missing; the mapping expects a fixed value here.", child)

    def is_ignored(self, node: Template) -> bool:
        return self.mapping.reads.get(node.path, _NOTHING).ignored

    def quantity(self, node: Group, value: Any, match: Match, reads: Reads) -> None:
        """A Quantity in the written unit, converted where another is given that can be converted exactly."""
        written = node.members["code"]
        if not isinstance(value, dict) or not isinstance(written, Constant):
            self.group(node, value, match, reads)
            return
        if "value" not in value:
            said = f"A quantity without a value: `{next(own_holes(node.members['value'])).columns[0]}` stays empty."
            self.issue(match, "incomplete", said, node, "warning")
            return
        found = conversion(value, written.bound(self.parameters), reads)
        if found.factor is None:
            self.issue(match, found.code, found.said, node.members["value"])
            return
        number = converted(value["value"], found.factor)
        if number is None:
            self.issue(
                match, "value", f"`{shown(value['value'])}` cannot be converted exactly.", node.members["value"]
            )
            return
        if found.said:
            self.issue(match, found.code, found.said, node, "information")
        for child in (node.members.get(name) for name in UNIT):
            if isinstance(child, Hole) and child.entries:
                self.fill(child, child.columns[0], next(iter(child.entries)), match)
        members = {name: child for name, child in node.members.items() if name not in UNIT}
        rest = {name: each for name, each in value.items() if name not in UNIT} | {"value": number}
        self.group(Group(node.type, members, node.path, node.line), rest, match, reads)

    def issue(self, match: Match, code: Code, text: str, node: Template, severity: Severity = "error") -> None:
        column = next((hole.columns[0] for hole in own_holes(node)), None)
        match.issues.append(Issue(severity, code, text, column=column, path=node.path))


def void(node: Constant | Hole, value: Any, match: Match) -> bool:
    """Whether a status says there is no such thing; then `match` tells it."""
    if not isinstance(value, str) or value not in VOID or not node.path.endswith(VOID_PLACES):
        return False
    said = f"Its status is {value}: there is no such thing, and it gives no row."
    match.void = Issue("warning", "business-rule", said, path=node.path.replace(ALSO, ""))
    return True
