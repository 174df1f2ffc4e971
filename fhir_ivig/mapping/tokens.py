"""Cells to JSON tokens: one column at a time, checked against the type of the hole that it fills."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from functools import partial
from typing import TYPE_CHECKING, Any

from fhir_ivig.issue import Code
from fhir_ivig.mapping.primitives import NUMBER_TYPES, expected, misfits, utf8
from fhir_ivig.mapping.template import SEVERAL, Constant, Group, Hole, Items, Template

if TYPE_CHECKING:
    import pyarrow as pa

_EXACT = Context(prec=200, traps=[Inexact, InvalidOperation])


@dataclass(frozen=True, slots=True)
class Tokens:
    """The JSON of a column's cells: `text` (null where the cell is empty), to stand between `quote`s; `bad` marks the
    cells that are not what they should be (None: none), `code` and `said` tell what they should be."""

    text: pa.Array
    quote: str = ""
    bad: pa.Array | None = None
    code: Code = "value"
    said: str = ""


@dataclass(frozen=True, slots=True)
class Cells:
    """A column of cells and, where its distinct cells are few, the same by these (`few`): they are looked at once."""

    column: pa.Array
    few: pa.DictionaryArray | None = None

    @property
    def distinct(self) -> pa.DictionaryArray:
        """The column by its distinct cells, however many they are."""
        return self.column.dictionary_encode() if self.few is None else self.few

    def marked(self, mark: Callable[[pa.Array], pa.Array | None]) -> pa.Array | None:
        """What `mark` says of each cell, a mask or None, asked for the distinct cells only where they are few."""
        if self.few is None:
            return mark(self.column)
        found = mark(self.few.dictionary)
        return None if found is None else found.take(self.few.indices)


def tokens(hole: Hole, cells: Cells, parameters: dict[str, str]) -> Tokens:
    """The tokens of a hole that is no Reference and does not repeat."""
    column = cells.column
    if hole.via:
        known = {cell: json_text(values[0], parameters) for cell, values in hole.entries.items()}
        return _looked_up(cells, known.get, "code-invalid", f"one of {', '.join(hole.entries)}")
    if hole.codes:
        allowed = ", ".join(sorted(hole.codes))
        return _looked_up(cells, {code: f'"{code}"' for code in hole.codes}.get, "code-invalid", f"one of {allowed}")
    if hole.factor:
        factor = hole.factor
        return _looked_up(cells, lambda cell: scaled(cell, factor), "value", "a decimal that can be scaled exactly")
    if hole.type in NUMBER_TYPES or hole.type == "boolean":
        return Tokens(column, "", cells.marked(partial(misfits, hole.type)), "value", expected(hole.type))
    few = cells.few
    text = escaped(column) if few is None else _taken(column, few, escaped(few.dictionary))
    return Tokens(text, '"', cells.marked(partial(misfits, hole.type)), "value", expected(hole.type))


def _taken(column: pa.Array, few: pa.DictionaryArray, texts: pa.Array) -> pa.Array:
    """The texts in the place of the distinct cells; the column itself where they are these cells."""
    return column if texts is few.dictionary else texts.take(few.indices)


def escaped(column: pa.Array) -> pa.Array:
    """Text with what JSON wants escaped escaped."""
    import pyarrow as pa

    octets = utf8(column)
    text = octets.tobytes()
    if not text or (octets.min() >= ord(" ") and b'"' not in text and b"\\" not in text):
        return column
    few = column.dictionary_encode()
    texts = [json.dumps(text, ensure_ascii=False)[1:-1] for text in few.dictionary.to_pylist()]
    return pa.array(texts, pa.string()).take(few.indices)


def _looked_up(cells: Cells, find: Callable[[str], str | None], code: Code, said: str) -> Tokens:
    """Each distinct cell through a function; None marks it bad."""
    import pyarrow as pa
    import pyarrow.compute as pc

    few = cells.distinct
    found = [find(cell) for cell in few.dictionary.to_pylist()]
    text = pa.array(found, pa.string()).take(few.indices)
    if None not in found:
        return Tokens(text, "", None, code, said)
    return Tokens(text, "", pc.and_(text.is_null(), cells.column.is_valid()), code, said)


def scaled(cell: str, factor: Decimal) -> str | None:
    """The cell times the factor, where dividing gives back the cell to the character; else None."""
    try:
        product = _EXACT.multiply(Decimal(cell), factor)
    except DecimalException:
        return None
    text = format(product, "f") if product.is_finite() else ""
    return text if text and unscaled(text, factor) == cell else None


def unscaled(text: str, factor: Decimal) -> str | None:
    """The number divided by the factor, where that is exact; else None."""
    try:
        return format(_EXACT.divide(Decimal(text), factor), "f")
    except DecimalException:
        return None


def repeated(hole: Hole, column: pa.Array, item: Callable[[pa.Array], pa.Array]) -> Tokens:
    """Cells of several words: `item` gives the JSON of each word (null where it is wrong), joined by commas."""
    import pyarrow as pa
    import pyarrow.compute as pc

    words = pc.split_pattern(column, SEVERAL)
    text = item(words.flatten())
    lists = pa.ListArray.from_arrays(words.offsets, text)
    joined = pc.if_else(column.is_valid(), pc.binary_join(lists, ","), pa.scalar(None, pa.string()))
    said = f"words separated by {SEVERAL}, each one of {', '.join(hole.entries)}" if hole.via else "words, none empty"
    bad = pc.and_(joined.is_null(), column.is_valid())
    return Tokens(joined, "", bad if pc.any(bad).as_py() else None, "code-invalid", said)


def json_text(node: Template, parameters: Mapping[str, str]) -> str:
    """The JSON of a template without holes."""
    if isinstance(node, Constant):
        return node.json(dict(parameters))
    if isinstance(node, Group):
        return (
            "{" + ",".join(f'"{name}":{json_text(child, parameters)}' for name, child in node.members.items()) + "}"
        )
    if isinstance(node, Items):
        return "[" + ",".join(json_text(child, parameters) for child in node.items) + "]"
    raise TypeError(f"a hole has no JSON without a row: {node.path}")


def value_of(node: Template, parameters: Mapping[str, str]) -> Any:
    """A template without holes as Python values, numbers as text."""
    if isinstance(node, Constant):
        return node.bound(dict(parameters))
    if isinstance(node, Group):
        return {name: value_of(child, parameters) for name, child in node.members.items()}
    if isinstance(node, Items):
        return [value_of(child, parameters) for child in node.items]
    raise TypeError(f"a hole has no value without a row: {node.path}")
