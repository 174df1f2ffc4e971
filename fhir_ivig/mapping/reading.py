"""Resources to rows: each top-level element is read once for each distinct text it has.

What this package wrote, or a server echoed, has one free hole in an element whose rest is constant: there the cell
is cut out between the constants, a whole column at once (`cuts`). Whatever else an element holds is read by the
`Matcher`, once for each distinct text. Both give the same cells; a test holds them against each other.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from fhir_ivig.issue import Issue
from fhir_ivig.mapping.cuts import Cut, cut_of
from fhir_ivig.mapping.identity import identifier_system
from fhir_ivig.mapping.mapping import Mapping
from fhir_ivig.mapping.match import Match
from fhir_ivig.mapping.matching import Matcher
from fhir_ivig.mapping.reads import Reads
from fhir_ivig.mapping.references import Told
from fhir_ivig.mapping.strictjson import Number, strict_json
from fhir_ivig.mapping.template import Hole, Template, holes

if TYPE_CHECKING:
    import pyarrow as pa

    from fhir_ivig.mapping.columns import Lines

MEMO = 1 << 16  # distinct texts of an element remembered before starting anew
Resolve = Callable[[str, str], str | None]  # (reference or identifier, target mapping) -> identifier value
_NOTHING = Reads()


@dataclass(slots=True)
class Read:
    """The rows of one mapping in a block: resources in = rows + withheld + deferred.

    `batch` has the mapping's columns and is in line with `resources` (`Type/id`) and `numbers`. `deferred` are
    places in the block whose references may be found later. `learned` is what this block tells of who others are (a
    hospital's own Patient, by way of our ResearchSubject).
    """

    mapping: str
    batch: pa.RecordBatch
    resources: pa.Array
    numbers: Any
    issues: list[Issue] = field(default_factory=list)
    withheld: int = 0
    deferred: list[int] = field(default_factory=list)
    learned: list[Told] = field(default_factory=list)
    echoed: bool = False


class Reader:
    """A mapping bound to a study, ready to read. `sought` says whether other mappings refer to it."""

    def __init__(self, mapping: Mapping, base: str, parameters: dict[str, str], sought: bool) -> None:
        self.mapping, self.parameters, self.sought = mapping, parameters, sought
        self.system = identifier_system(base, mapping.name)
        self.matcher = Matcher(mapping, base, parameters)
        self.members = {n: t for n, t in mapping.resource.members.items() if n not in ("resourceType", "identifier")}
        self.paths = {hole.columns[0]: hole.path for hole in reversed(list(holes(mapping.resource)))}
        self.cuts = {name: cut for name, node in self.members.items() if (cut := cut_of(node, parameters))}
        opening, closing = _brackets(mapping)
        known = f'{opening}{{"system":{json.dumps(self.system)},"value":"'
        self.own = Cut(known, f'"}}{closing}\n', Hole(("",), "string", "identifier", 0), {})
        self.memo: dict[tuple[str, str], dict[str, Match]] = {}
        tops = {path.split(".")[1] for path in mapping.reads}
        self.others = {other for reads in mapping.reads.values() for other, _ in reads.instead} - self.members.keys()
        self.names = tuple(dict.fromkeys((*self.members, *sorted(tops), *sorted(self.others))))
        self.unmapped = tuple(
            name for name in self.names if name not in self.others | self.members.keys() | {"identifier"}
        )

    def reads(self, name: str) -> Reads:
        """What else is understood for a top-level element."""
        return self.mapping.reads.get(f"{self.mapping.resource_type}.{name}", _NOTHING)

    def claimed_by(self) -> list[str]:
        """The elements whose constants make a resource this mapping's, and those that may stand for them."""
        return [
            name for own in self.mapping.claims for name in (own, *(other for other, _ in self.reads(own).instead))
        ]

    def claims(self, lines: Lines) -> Any:
        """Which lines are this mapping's, by the constants of the elements that it claims: a numpy mask."""
        import numpy as np

        mask = np.ones(len(lines), bool)
        for name in self.mapping.claims:
            fitting = _fitting(lines, name, partial(self.element, name))
            for other, node in self.reads(name).instead:
                fitting |= _fitting(lines, other, partial(self.instead, name, other, node))
            mask &= fitting
        return mask

    def element(self, name: str, text: str) -> Match:
        """What an element holds, from its JSON."""
        if name == "identifier":
            return self.remembered(("", name), text, self.identifiers)
        return self.remembered(("", name), text, lambda raw: self.matcher.element(self.members[name], raw))

    def instead(self, name: str, other: str, node: Template, text: str) -> Match:
        """What another element holds that may stand for one of the template."""
        return self.remembered((name, other), text, lambda raw: self.matcher.element(node, raw))

    def further(self, name: str, text: str) -> Match:
        """What is wrong with a member that the template does not have."""
        return self.remembered(("?", name), text, lambda raw: self.matcher.further(name, raw))

    def remembered(self, key: tuple[str, str], text: str, find: Callable[[str], Match]) -> Match:
        memo = self.memo.setdefault(key, {})
        if len(memo) > MEMO:
            memo.clear()
        if text not in memo:
            memo[text] = find(text)
        return memo[text]

    def identifiers(self, text: str) -> Match:
        """The key under `""` where one of the identifiers is ours, what the template's further ones hold, and the
        names that others have for this resource."""
        template = self.mapping.resource.members.get("identifier")
        path = f"{self.mapping.resource_type}.identifier"
        try:
            value = strict_json(text)
        except ValueError as error:
            said = f"This is not FHIR JSON: {error}."
            return Match(issues=[Issue("error", "structure", said, path=path)])
        listed = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]
        own = [each.get("value") for each in listed if each.get("system") == self.system]
        others = [each for each in listed if each.get("system") != self.system]
        match = self.matcher.trial(template, others) if template is not None and others else Match()
        pairs = [(each.get("system"), each.get("value")) for each in others]
        match.names = tuple(f"{system}|{name}" for system, name in pairs if _is_text(system) and _is_text(name))
        if own and not all(map(_is_text, own)):
            said = "Our identifier has no value that is a text."
            match.issues.append(Issue("error", "value", said, path=path))
        elif len(set(own)) > 1:
            said = "Two identifiers of this study in one resource."
            match.issues.append(Issue("error", "conflict", said, path=path))
        elif own:
            match.cells[""] = str(own[0])
        return match

    def read(self, lines: Lines, file: str | None, resolve: Resolve, final: bool) -> Read:
        """The rows of lines that are all this mapping's; `final`: what cannot be resolved now never will be."""
        from fhir_ivig.mapping.rows import Rows

        return Rows(self, lines, file, resolve).read(final)


def _fitting(lines: Lines, name: str, find: Callable[[str], Match]) -> Any:
    """The lines on which the constants of an element fit."""
    import numpy as np

    if (same := lines.uniform(name)) is not None:
        return np.full(len(lines), find(same).fits)
    few = lines.column(name).dictionary_encode()
    fits = np.array([find(text).fits for text in few.dictionary.to_pylist()] + [False])
    return fits[few.indices.fill_null(len(fits) - 1).to_numpy()]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Number) and value != ""


def _brackets(mapping: Mapping) -> tuple[str, str]:
    element = mapping.element("identifier")
    return ("[", "]") if element and element.many else ("", "")
