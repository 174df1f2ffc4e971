"""The `tables:` of study.yaml as sources; what their keys mean stands in `fhir_ivig.study.source`."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import chain
from typing import Any

from fhir_ivig.shape import DECIMAL, Shape
from fhir_ivig.study.dictionary import Table
from fhir_ivig.study.source import Source
from fhir_ivig.yamltext import Node

ROW_KEYS = (
    "decimal", "date_order", "zone", "columns", "codes", "constants", "units", "missing",
    "where", "checkboxes", "ticks", "prefixes", "rows",
)  # fmt: skip
FILE_KEYS = (
    "file", "sheet", "header", "delimiter", "encoding", "quote", "ignore",
    "copies", "sequence", "supplement", "qualifiers",
)  # fmt: skip
Units = Mapping[str, str | None]


def read_sources(
    node: Node, tables: Mapping[str, Table], units: Units, shape: Shape
) -> dict[str, tuple[Source, ...]]:
    """The parts of each table out of the node `tables`; `units` are the study's measures with their units.

    Issues go to the shape: unknown tables, keys, columns and measures, an unknown encoding, a delimiter or quote that
    is not one ASCII character, a factor that is not a positive number, one workbook with and without its sheet.
    """
    found: dict[str, tuple[Source, ...]] = {}
    nodes: list[Node] = []
    for name, child in shape.mapping(node, "tables").items():
        if name not in tables or name == "studies":
            known = ", ".join(table for table in tables if table != "studies")
            shape.refuse(child, f"tables: `{name}` is no table to read. Known are: {known}.", "not-found")
            continue
        parts = child.value if child.kind == "sequence" else [child]
        if not parts:
            shape.refuse(child, f"tables.{name}: write at least one part, or take the table out.", "required")
        reading = _Part(tables[name], units, shape)
        found[name] = tuple(reading.read(part, f"tables.{name}", Source(name), FILE_KEYS) for part in parts)
        nodes += parts
    sheets = {source.file for source in chain(*found.values()) if source.sheet}
    for node, source in zip(nodes, chain(*found.values()), strict=True):
        if source.file in sheets and not source.sheet:
            text = f"tables.{source.table}: other parts name their `sheet` of {source.file}: name it here too."
            shape.refuse(node, text, "required")
    return _beside(found)


def _beside(found: Mapping[str, tuple[Source, ...]]) -> dict[str, tuple[Source, ...]]:
    """The same, each knowing whether others read its file."""
    readers: dict[str, list[Source]] = {}
    for source in chain(*found.values()):
        readers.setdefault(source.name, []).append(source)
    done: dict[str, list[Source]] = {}
    for source in chain(*found.values()):
        first, *others = readers[source.name]
        if others:
            source = replace(_shared(source), beside=tuple(map(_shared, others)) if source is first else ())
        done.setdefault(source.table, []).append(source)
    return {table: tuple(parts) for table, parts in done.items()}


def _shared(source: Source) -> Source:
    return replace(source, shared=True, rows=tuple(map(_shared, source.rows)))


class _Part:
    """Reads the parts of one table, and the rows in them."""

    def __init__(self, table: Table, units: Units, shape: Shape) -> None:
        self.table, self.units, self.shape = table, units, shape

    def read(self, node: Node, where: str, above: Source, file_keys: tuple[str, ...] = ()) -> Source:
        """What a node says, added to what the part says that it stands in."""
        shape = self.shape
        given = shape.fields(node, where, (*file_keys, *ROW_KEYS))
        said: dict[str, Any] = {
            key: read(shape, given[key], f"{where}.{key}") for key, read in _READERS.items() if key in given
        }
        if "delimiter" in given and said["delimiter"] == said.get("quote", '"') != "":
            shape.refuse(given["delimiter"], f"{where}: delimiter and quote must differ.")
        for key, read in (("codes", self.words), ("checkboxes", self.words), ("units", self.factors)):
            if key in given:
                said[key] = read(given[key], f"{where}.{key}")
        self.check(given, said, where)
        own = tuple(dict.fromkeys([*said.get("columns", ()), *said.get("checkboxes", ())]))
        filled = {*own, *said.get("constants", ())}
        for key in ("columns", "constants", "checkboxes"):
            left = {name: value for name, value in getattr(above, key).items() if name not in filled}
            said[key] = {**left, **said.get(key, {})}
        for key in ("codes", "units", "where", "prefixes"):
            said[key] = {**getattr(above, key), **said.get(key, {})}
        found = replace(above, own=() if file_keys else own, **said)
        rows = shape.items(given["rows"], f"{where}.rows") if "rows" in given else []
        return replace(found, rows=tuple(self.read(row, f"{where}.rows", found) for row in rows))

    def check(self, given: Mapping[str, Node], said: Mapping[str, Any], where: str) -> None:
        """Our columns that are none, or that are filled twice."""
        filled: dict[str, str] = {}
        for key in ("columns", "constants", "checkboxes", "codes", "prefixes"):
            for name in said.get(key, ()):
                node = given[key].value[name]
                if name not in self.table.columns:
                    text = f"{where}.{key}: {self.table.name} has no column `{name}`; a new one is named under"
                    self.shape.refuse(node, f"{text} `dictionary:`.", "not-found")
                elif key not in ("codes", "prefixes") and filled.setdefault(name, key) != key:
                    self.shape.refuse(
                        node, f"{where}: `{name}` stands under {filled[name]} and {key}: keep one.", "conflict"
                    )
                elif key == "checkboxes" and self.table.columns[name].type != "codes":
                    self.shape.refuse(node, f"{where}.{key}: `{name}` holds one word only: read it under `columns`.")
        for theirs, name in said.get("copies", {}).items():
            if name not in self.table.columns:
                text = f"{where}.copies: {self.table.name} has no column `{name}`."
                self.shape.refuse(given["copies"].value[theirs], text, "not-found")
        if bool(said.get("supplement")) != bool(said.get("qualifiers")):
            text = f"{where}: `supplement` names the SUPP--, `qualifiers` its QNAMs with their QLABELs: write both."
            self.shape.refuse(given.get("supplement") or given["qualifiers"], text, "required")

    def words(self, node: Node, where: str) -> dict[str, dict[str, str]]:
        """`column: {word: word}`."""
        return {
            name: self.shape.pairs(child, f"{where}.{name}")
            for name, child in self.shape.mapping(node, where).items()
        }

    def factors(self, node: Node, where: str) -> dict[str, dict[str, Decimal]]:
        """`measure: {unit: factor}`."""
        factors: dict[str, dict[str, Decimal]] = {}
        shape = self.shape
        for measure, child in shape.mapping(node, where).items():
            if not self.units.get(measure):
                shape.refuse(child, f"{where}: `{measure}` is no measure with a unit.", "not-found")
            for unit, factor in shape.mapping(child, f"{where}.{measure}").items():
                text = shape.match(factor, f"{where}.{measure}.{unit}", DECIMAL, "a number")
                if text and Decimal(text) <= 0:
                    shape.refuse(factor, f"{where}.{measure}.{unit}: the factor must be above 0.")
                factors.setdefault(measure, {})[unit] = Decimal(text or 1)
        return factors


def _encoding(shape: Shape, node: Node, name: str) -> str:
    text = shape.text(node, name)
    try:
        "".encode(text)  # refuses what is unknown, and codecs that are not between text and bytes
    except (LookupError, ValueError):
        shape.refuse(node, f"{name}: `{text}` is no known encoding.", "not-found")
        return "utf-8"
    known = codecs.lookup(text).name
    return "utf-8" if known == "utf-8-sig" else known


def _delimiter(shape: Shape, node: Node, name: str) -> str:
    if node.kind == "scalar" and node.value in ("tab", "\t"):
        return "\t"
    return shape.match(node, name, r"[!-/:-@\[-`{-~ ]", "one ASCII sign, or `tab`")


def _quote(shape: Shape, node: Node, name: str) -> str:
    return "" if node.kind == "scalar" and not node.value else shape.match(node, name, r"[!-/:-@]", "one ASCII sign")


def _where(shape: Shape, node: Node, name: str) -> dict[str, tuple[str, ...]]:
    return {
        column: tuple(shape.scalar(word, f"{name}.{column}") for word in words.value)
        if words.kind == "sequence"
        else (shape.scalar(words, f"{name}.{column}"),)
        for column, words in shape.mapping(node, name).items()
    }


def _header(shape: Shape, node: Node, name: str) -> tuple[int, ...]:
    rows = tuple(shape.integer(row, name) for row in (node.value if node.kind == "sequence" else [node]))
    if not rows or any(row < 1 for row in rows) or list(rows) != sorted(set(rows)):
        shape.refuse(node, f"{name}: write the number of a row, or several in their order: [1, 2].")
        return (1,)
    return rows


def _ticks(shape: Shape, node: Node, name: str) -> tuple[str, ...]:
    texts = shape.texts(node, name)
    if len(set(texts)) != 2:
        shape.refuse(node, f"{name}: write [ticked, not ticked], two texts.")
        return ("1", "0")
    return texts


_DATES = r"DMY|MDY|YMD|(DD?([/.-])MM?\2YYYY|MM?([/.-])DD?\3YYYY|YYYY([/.-])MM?\4DD?)([ T]hh:mm(:ss)?)?"
_READERS: Mapping[str, Callable[[Shape, Node, str], Any]] = {
    "file": Shape.text,
    "sheet": Shape.text,
    "header": _header,
    "delimiter": _delimiter,
    "encoding": _encoding,
    "quote": _quote,
    "decimal": lambda shape, node, name: shape.choice(node, name, (".", ",")),
    "date_order": lambda shape, node, name: shape.match(node, name, _DATES, "DMY, MDY, YMD or like DD.MM.YYYY hh:mm"),
    "zone": lambda shape, node, name: shape.match(node, name, r"Z|[+-][01][0-9]:[0-5][0-9]", "Z or like +09:00"),
    "columns": Shape.pairs,
    "constants": Shape.pairs,
    "ignore": Shape.texts,
    "prefixes": Shape.pairs,
    "copies": Shape.pairs,
    "sequence": Shape.pairs,
    "supplement": Shape.text,
    "qualifiers": Shape.pairs,
    "missing": Shape.texts,
    "where": _where,
    "ticks": _ticks,
}
