"""Resources to rows: each top-level element is read once for each distinct text it has.

What this package wrote, or a server echoed, has one free hole in an element whose rest is constant: there the cell
is cut out between the constants, a whole column at once (`Cut`). Whatever else an element holds is read by the
`Matcher`, once for each distinct text. Both give the same cells; a test holds them against each other.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fhir_ivig.issue import Issue
from fhir_ivig.mapping.identity import identifier_system
from fhir_ivig.mapping.mapping import Mapping, Reads
from fhir_ivig.mapping.matching import Match, Matcher, hazard, strict_json
from fhir_ivig.mapping.primitives import NUMBER_TYPES, misfits
from fhir_ivig.mapping.template import Constant, Hole, Items, Template, holes

if TYPE_CHECKING:
    import pyarrow as pa

    from fhir_ivig.mapping.columns import Lines

MEMO = 1 << 16  # distinct texts of an element remembered before starting anew
Resolve = Callable[[str, str], str | None]  # (literal reference, target mapping) -> identifier value


@dataclass(slots=True)
class Read:
    """The rows of one mapping in a block: resources in = rows + withheld + deferred.

    `batch` has the mapping's columns and is in line with `resources` (`Type/id`) and `numbers`. `deferred` are
    places in the block whose references may be found later. `learned` are literal references whose target's mapping
    and identifier value this block tells (a hospital's own Patient, by way of our ResearchSubject).
    """

    mapping: str
    batch: pa.RecordBatch
    resources: pa.Array
    numbers: Any
    issues: list[Issue] = field(default_factory=list)
    withheld: int = 0
    deferred: list[int] = field(default_factory=list)
    learned: list[tuple[str, str, str]] = field(default_factory=list)


class Reader:
    """A mapping bound to a study, ready to read."""

    def __init__(self, mapping: Mapping, base: str, parameters: dict[str, str]) -> None:
        self.mapping, self.parameters = mapping, parameters
        self.system = identifier_system(base, mapping.name)
        self.matcher = Matcher(mapping, base, parameters)
        self.members = {n: t for n, t in mapping.resource.members.items() if n not in ("resourceType", "identifier")}
        self.cuts = {name: cut for name, node in self.members.items() if (cut := _cut(node, parameters))}
        opening, closing = _brackets(mapping)
        known = f'{opening}{{"system":{json.dumps(self.system)},"value":"'
        self.own = Cut(known, f'"}}{closing}\n', Hole(("",), "string", "identifier", 0), {})
        self.memo: dict[str, dict[str, Match]] = {}
        tops = (path.partition(".")[2] for path in mapping.reads)
        alternatives = (path[0] for reads in mapping.reads.values() for path in reads.paths)
        self.names = tuple(dict.fromkeys((*self.members, *(top.split(".")[0] for top in tops), *alternatives)))

    def claims(self, lines: Lines) -> Any:
        """Which lines are this mapping's, by the constants of the elements that it claims: a numpy mask."""
        import numpy as np

        mask = np.ones(len(lines), bool)
        for name in self.mapping.claims:
            if (same := lines.uniform(name)) is not None:
                mask &= self.element(name, same).fits
                continue
            few = lines.column(name).dictionary_encode()
            fits = np.array([self.element(name, text).fits for text in few.dictionary.to_pylist()] + [False])
            mask &= fits[few.indices.fill_null(len(fits) - 1).to_numpy()]
        return mask

    def element(self, name: str, text: str) -> Match:
        """What an element holds, from its JSON, remembered."""
        memo = self.memo.setdefault(name, {})
        if len(memo) > MEMO:
            memo.clear()
        if text not in memo:
            memo[text] = self.identifiers(text) if name == "identifier" else self.matcher.element(name, text)
        return memo[text]

    def identifiers(self, text: str) -> Match:
        """The key under `""` where one of the identifiers is ours, and what the template's further ones hold."""
        value = strict_json(text)
        listed = value if isinstance(value, list) else [value]
        own = [each for each in listed if isinstance(each, dict) and each.get("system") == self.system]
        match = Match()
        template = self.mapping.resource.members.get("identifier")
        if template is not None:
            self.matcher.match(template, [each for each in listed if each not in own], match)
        keys = {str(each.get("value")) for each in own}
        if len(keys) == 1:
            match.cells[""] = keys.pop()
        elif keys:
            said = "Two identifiers of this study in one resource."
            match.issues.append(Issue("error", "conflict", said, path=f"{self.mapping.resource_type}.identifier"))
        return match

    def read(self, lines: Lines, file: str | None, resolve: Resolve, final: bool) -> Read:
        """The rows of lines that are all this mapping's; `final`: what cannot be resolved now never will be."""
        from fhir_ivig.mapping.rows import Rows

        return Rows(self, lines, file, resolve).read(final)

    def further(self, name: str, text: str) -> str | None:
        """Why a member that the template does not have must not be passed over; None: it may be."""
        reason = hazard(self.mapping.version, self.mapping.resource_type, name, set(self.members))
        if reason is None:
            return None
        reads = self.mapping.reads.get(f"{self.mapping.resource_type}.{name}", Reads())
        if (
            reads.ignored
            or self.is_alternative(name)
            or (reads.patterns and self.matcher.all_known(reads, strict_json(text)))
        ):
            return None
        return reason

    def elsewhere(self, hole: Hole, path: tuple[str, ...], lines: Lines, place: int) -> Match | None:
        """A hole's cell from another place of the same resource; None where there is nothing."""
        found = lines.raw(path[0])
        raw = bytes(found[place]) if found else b""
        value = strict_json(raw) if raw else None
        for name in path[1:]:
            value = value.get(name) if isinstance(value, dict) else None
        if value is None:
            return None
        match = Match()
        self.matcher.hole(hole, value, match)
        return match

    @staticmethod
    def doubled(text: bytes) -> str | None:
        """What is wrong with a whole line as JSON; None: nothing."""
        try:
            strict_json(text)
        except (ValueError, RecursionError) as error:
            return "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        return None

    def is_alternative(self, name: str) -> bool:
        """Whether `reads` names the element as another place of a hole's value."""
        return any(path[0] == name for reads in self.mapping.reads.values() for path in reads.paths)


@dataclass(frozen=True, slots=True)
class Cut:
    """An element with one free hole: its JSON is `before`, the token, `after`; the other cells are `implied`."""

    before: str
    after: str
    hole: Hole
    implied: dict[str, str]

    def cells(self, column: pa.Array) -> tuple[pa.Array, pa.Array | None]:
        """The cells of a raw column, null where it is not of this shape; and a mask of the lines where something
        else stands (None: nowhere)."""
        import pyarrow.compute as pc

        few = column.dictionary_encode()
        if 4 * len(few.dictionary) < len(column):
            cells, other = self.cells(few.dictionary)
            return cells.take(few.indices), None if other is None else other.take(few.indices)
        shaped = pc.and_(pc.starts_with(column, self.before), pc.ends_with(column, self.after))
        cells = _slice(column, len(self.before.encode()), len(self.after.encode()))
        cells = _only(cells, shaped)
        if self.hole.type not in NUMBER_TYPES and self.hole.type != "boolean":
            cells = _only(cells, pc.invert(pc.match_substring_regex(cells, r'["\\]')))
        if (wrong := misfits(self.hole.type, cells)) is not None:
            cells = _only(cells, pc.invert(wrong))
        return cells, None if cells.null_count == 0 else pc.and_(cells.is_null(), column.is_valid())


def _only(cells: pa.Array, mask: pa.Array) -> pa.Array:
    """The cells where the mask is true; null elsewhere."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return cells if pc.all(mask, skip_nulls=False).as_py() else pc.if_else(mask, cells, pa.scalar(None, pa.string()))


def _slice(column: pa.Array, head: int, tail: int) -> pa.Array:
    """Each text without its first and last bytes; texts too short give what they give."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.binary_slice(column.view(pa.binary()), head, -tail).view(pa.string())


def _cut(node: Template, parameters: dict[str, str]) -> Cut | None:
    """The shape of an element when one hole is filled and every other is empty or can be but one word."""
    plain = [hole for hole in holes(node) if hole.plain and not hole.codes]
    free = next((hole for hole in plain if hole.type == "decimal"), plain[0] if plain else None)
    if free is None:
        return None
    implied: dict[str, str] = {}
    text = _shape(node, free, parameters, implied)
    if text is None or text.count("\0") != 1:
        return None
    before, after = text.split("\0")
    return Cut(before, f"{after}\n", free, implied)


def _shape(node: Template, free: Hole, parameters: dict[str, str], implied: dict[str, str]) -> str | None:
    """The JSON of a node with NUL for the free hole's token; None where it is not written."""
    if isinstance(node, Constant):
        return node.json(parameters)
    if isinstance(node, Hole):
        if node is free:
            return "\0" if node.type in NUMBER_TYPES or node.type == "boolean" else '"\0"'
        single = next(iter(node.entries.items())) if len(node.entries) == 1 and not node.repeat else None
        if single is None or not isinstance(single[1][0], Constant):
            return None
        implied[node.columns[0]] = single[0]
        return single[1][0].json(parameters)
    if next(holes(node), None) is not None and free not in set(holes(node)):
        return None
    if isinstance(node, Items):
        items = [text for item in node.items if (text := _shape(item, free, parameters, implied)) is not None]
        return f"[{','.join(items)}]"
    members = [
        f'"{name}":{text}'
        for name, child in node.members.items()
        if (text := _shape(child, free, parameters, implied)) is not None
    ]
    return "{" + ",".join(members) + "}"


def _brackets(mapping: Mapping) -> tuple[str, str]:
    element = mapping.element("identifier")
    return ("[", "]") if element and element.many else ("", "")
