"""The template as fragments, and the one join that makes resources of them.

A member of an object is written with its comma on the side of the *pivot*, the first member that is always there
when the object is: `"a":1,` before it, `,"b":2` after it. So commas are constants wherever a pivot exists.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fhir_ivig.mapping.mapping import Mapping
from fhir_ivig.mapping.template import Group, Hole, Items, Template, holes, repeats
from fhir_ivig.mapping.tokens import Tokens, escaped, json_text

if TYPE_CHECKING:
    import pyarrow as pa

# What is to be joined: texts and string columns. Where it is there: True, False (nowhere), or a mask.
Pieces = list[Any]
Presence = Any


class Fragments:
    """The fragments of one bound mapping."""

    def __init__(self, mapping: Mapping, system: str, parameters: dict[str, str]) -> None:
        self.mapping, self.parameters = mapping, parameters
        self.members = dict(mapping.resource.members)
        self.kind = json_text(self.members.pop("resourceType"), parameters)
        self.identifiers = self.members.pop("identifier", None)
        element = mapping.element("identifier")
        self.opening, self.closing = ("[", "]") if element and element.many else ("", "")
        self.own = f'{{"system":{json.dumps(system)},"value":"'
        self.repeats = {id(item): (item, hole) for item, hole in repeats(mapping.resource)}
        self._constants: dict[int, str] = {}

    def join(self, cells: dict[Hole, Tokens], ids: pa.Array, keys: pa.Array) -> pa.Array:
        """One line of JSON a row, newline and all. Every token of every row is right by now."""
        return _Weave(self, cells, len(keys)).joined(self.pieces(cells, ids, keys))

    def pieces(self, cells: dict[Hole, Tokens], ids: pa.Array, keys: pa.Array) -> Pieces:
        """What is joined to the lines: texts that all have in common, and columns."""
        weave = _Weave(self, cells, len(keys))
        pieces: Pieces = [f'{{"resourceType":{self.kind},"id":"', ids, f'","identifier":{self.opening}']
        pieces += [self.own, escaped(keys), '"}']
        if isinstance(self.identifiers, Items):
            for item in self.identifiers.items:
                pieces += weave.optional(",", item)
        pieces.append(self.closing)
        for name, node in self.members.items():
            pieces += weave.optional(f',"{name}":', node)
        return [*pieces, "}\n"]

    def item(self, hole: Hole, found: Tokens) -> pa.Array:
        """The JSON of the list item that a repeating hole fills, for each word; null where the word is wrong."""
        import pyarrow.compute as pc

        node = next(item for item, repeat in self.repeats.values() if repeat == hole)
        weave = _Weave(self, {hole: found}, len(found.text))
        text = weave.joined(weave.once(node)[0])
        wrong = found.text.is_null() if found.bad is None else pc.or_(found.text.is_null(), found.bad)
        return pc.if_else(wrong, None, text)

    def constant(self, node: Template) -> str | None:
        """The JSON of a node without holes; None for any other."""
        text = self._constants.get(id(node))
        if text is None and next(holes(node), None) is None:
            text = self._constants[id(node)] = json_text(node, self.parameters)
        return text


class _Weave:
    """Evaluates template nodes for one block of rows."""

    def __init__(self, fragments: Fragments, cells: dict[Hole, Tokens], count: int) -> None:
        self.fragments, self.cells, self.count = fragments, cells, count

    def joined(self, pieces: Pieces) -> pa.Array:
        import pyarrow as pa
        import pyarrow.compute as pc

        merged: Pieces = []
        for piece in pieces:
            if merged and isinstance(piece, str) and isinstance(merged[-1], str):
                merged[-1] += piece
            else:
                merged.append(piece)
        if all(isinstance(piece, str) for piece in merged):
            return pa.array(["".join(merged)] * self.count, pa.string())
        return pc.binary_join_element_wise(*merged, "", null_handling="replace", null_replacement="")

    def value(self, node: Template) -> tuple[Pieces, Presence]:
        """The JSON of a node and where it is there; a repeating item's was made with its tokens."""
        if id(node) in self.fragments.repeats:
            tokens = self.cells[self.fragments.repeats[id(node)][1]]
            return self.there([tokens.text], tokens)
        return self.once(node)

    def once(self, node: Template) -> tuple[Pieces, Presence]:
        constant = self.fragments.constant(node)
        if constant is not None:
            return [constant], True
        if isinstance(node, Hole):
            tokens = self.cells[node]
            if node.target:
                return self.there(["{", tokens.text, "}"], tokens)
            return self.there([tokens.quote, tokens.text, tokens.quote], tokens)
        if isinstance(node, Items):
            opening, closing, named = "[", "]", [("", child, False) for child in node.items]
        else:
            assert isinstance(node, Group)  # noqa: S101 - a Constant is constant
            opening, closing = "{", "}"
            named = [(f'"{name}":', child, name in node.required) for name, child in node.members.items()]
        there = self.presence(node)
        if there is False:
            return [], False
        return [opening, *self.sequence(named), closing], there

    def there(self, pieces: Pieces, tokens: Tokens) -> tuple[Pieces, Presence]:
        empty = tokens.text.null_count
        if empty == self.count:
            return [], False
        return pieces, tokens.text.is_valid() if empty else True

    def presence(self, node: Template) -> Presence:
        """Where any hole below a node is filled; a list with a constant item is always there."""
        import pyarrow.compute as pc

        if isinstance(node, Items) and any(self.fragments.constant(item) is not None for item in node.items):
            return True
        there: Presence = False
        for hole in holes(node):
            _, filled = self.there([], self.cells[hole])
            if filled is True:
                return True
            if filled is not False:
                there = filled if there is False else pc.or_(there, filled)
        return there

    def sequence(self, named: list[tuple[str, Template, bool]]) -> Pieces:
        """Members or items with the commas between them: (what stands before it, node, whether FHIR demands it)."""
        import pyarrow.compute as pc

        found = [(name, *self.value(child), demanded) for name, child, demanded in named]
        found = [part for part in found if part[2] is not False]
        always = [filled is True or demanded or len(found) == 1 for _, _, filled, demanded in found]
        pivot = always.index(True) if True in always else len(found)
        out: Pieces = []
        seen: Presence = None
        for place, (name, pieces, filled, _) in enumerate(found):
            before = "," if place > pivot else ""
            after = "," if place < pivot < len(found) else ""
            if always[place]:
                out += [before, name, *pieces, after]
                continue
            if pivot == len(found):
                out += [pc.if_else(pc.and_(seen, filled), ",", "")] if seen is not None else []
                seen = filled if seen is None else pc.or_(seen, filled)
            out.append(pc.if_else(filled, self.joined([before, name, *pieces, after]), ""))
        return out

    def optional(self, head: str, node: Template) -> Pieces:
        """A member of the resource itself, or nothing where it is not filled."""
        import pyarrow.compute as pc

        pieces, filled = self.value(node)
        if filled is True:
            return [head, *pieces]
        return [pc.if_else(filled, self.joined([head, *pieces]), "")] if filled is not False else []
