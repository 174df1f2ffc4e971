"""How one table of a study is read: the `tables:` of study.yaml. Every key may be left out.

| Key        | What it says (and what holds without it)                                              |
|------------|---------------------------------------------------------------------------------------|
| file       | the CSV or `.parquet` file beside study.yaml (`<table>.csv`, else `<table>.parquet`)  |
| delimiter  | the sign between cells, such as `;`, or the word `tab` (`,`)                          |
| encoding   | such as `cp932` (Japanese Windows), `latin-1`, `utf-16` (UTF-8, also with a BOM)      |
| quote      | the sign around cells that hold the delimiter, `''` for none (`"`)                    |
| decimal    | `,` where 612,60 means 612.60 (`.`)                                                   |
| date_order | `DMY`, `MDY` or `YMD` for dates written with `/` `.` `-` (only ISO dates: 2003-05-17) |
| columns    | `ours: theirs`, columns that have another name in the file (the same names)           |
| ignore     | columns of the file that are not wanted (none)                                        |
| codes      | `column: {theirs: ours}`, their words for ours; `''` empties the cell (our words)     |
| constants  | `column: text`, the same in every row (none)                                          |
| units      | `measure: {their unit: factor}`; their value times the factor is in the measure's     |
|            | unit (the measure's unit)                                                             |
| missing    | texts that mean an empty cell, such as `NA` (none)                                    |
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from fhir_ivig.shape import DECIMAL, Shape
from fhir_ivig.study.dictionary import Table
from fhir_ivig.yamltext import Node

KEYS = (
    "file", "delimiter", "encoding", "quote", "decimal", "date_order",
    "columns", "ignore", "codes", "constants", "units", "missing",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """The same as a value; `columns` is ours to theirs, `units` measure to their unit to factor."""

    table: str
    file: str | None = None
    delimiter: str = ","
    encoding: str = "utf-8"
    quote: str = '"'
    decimal: str = "."
    date_order: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    def path(self, folder: Path) -> Path:
        """The file to read: the one named, else `<table>.csv`, or `<table>.parquet` where only that is there."""
        if self.file is not None:
            return folder / self.file
        parquet = folder / f"{self.table}.parquet"
        table = folder / f"{self.table}.csv"
        return parquet if parquet.exists() and not table.exists() else table


def read_source(table: Table, node: Node, units: Mapping[str, str | None], shape: Shape) -> Source:
    """The source of one table out of its node; `units` are the study's measures with their units.

    Issues go to the shape: unknown keys, columns and measures, an unknown encoding, a delimiter or quote that is not
    one ASCII character, a factor that is not a positive number.
    """
    where = f"tables.{table.name}"
    given = shape.fields(node, where, KEYS)
    texts = {key: read(shape, given[key], f"{where}.{key}") for key, read in _SCALARS.items() if key in given}
    if "delimiter" in given and texts["delimiter"] == texts.get("quote", '"') != "":
        shape.refuse(given["delimiter"], f"{where}: delimiter and quote must differ.")
    columns, constants = (
        shape.pairs(given[key], f"{where}.{key}") if key in given else {} for key in ("columns", "constants")
    )
    codes = {
        name: shape.pairs(child, f"{where}.codes.{name}")
        for name, child in (shape.mapping(given["codes"], f"{where}.codes") if "codes" in given else {}).items()
    }
    for key, names in (("columns", columns), ("constants", constants), ("codes", codes)):
        for name in names:
            if name not in table.columns:
                text = f"{where}.{key}: {table.name} has no column `{name}`; a new one is named under `dictionary:`."
                shape.refuse(given[key].value[name], text, "not-found")
            elif key == "columns" and name in constants:
                shape.refuse(given[key].value[name], f"{where}: `{name}` is read and constant: keep one.", "conflict")
    return Source(
        table.name,
        columns=columns,
        constants=constants,
        codes=codes,
        units=_units(where, given["units"], units, shape) if "units" in given else {},
        ignore=shape.texts(given["ignore"], f"{where}.ignore") if "ignore" in given else (),
        missing=shape.texts(given["missing"], f"{where}.missing") if "missing" in given else (),
        **texts,
    )


def _units(where: str, node: Node, measures: Mapping[str, str | None], shape: Shape) -> dict[str, dict[str, Decimal]]:
    factors: dict[str, dict[str, Decimal]] = {}
    for measure, child in shape.mapping(node, f"{where}.units").items():
        if not measures.get(measure):
            shape.refuse(child, f"{where}.units: `{measure}` is no measure with a unit.", "not-found")
        for unit, factor in shape.mapping(child, f"{where}.units.{measure}").items():
            text = shape.match(factor, f"{where}.units.{measure}.{unit}", DECIMAL, "a number")
            if text and Decimal(text) <= 0:
                shape.refuse(factor, f"{where}.units.{measure}.{unit}: the factor must be above 0.")
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


_SCALARS: Mapping[str, Callable[[Shape, Node, str], str]] = {
    "file": Shape.text,
    "delimiter": _delimiter,
    "encoding": _encoding,
    "quote": _quote,
    "decimal": lambda shape, node, name: shape.choice(node, name, (".", ",")),
    "date_order": lambda shape, node, name: shape.choice(node, name, ("DMY", "MDY", "YMD")),
}
