"""The data dictionary: which tables a study has, their columns, and what may stand in them.

`dictionary.yaml`, beside this file, is the dictionary of every study and explains its own words; a study adds
columns and tables under `dictionary:` in its study.yaml, in the same shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from fhir_ivig.issue import IssueError
from fhir_ivig.shape import Shape
from fhir_ivig.yamltext import Node, load

TYPES = ("text", "code", "codes", "date", "dateTime", "decimal", "integer", "boolean")
CLASSES = ("keep", "word", "result", "shift", "birth_date", "hash", "remove")
NAME = r"[a-z][a-z0-9_]*"


@dataclass(frozen=True, slots=True)
class Column:
    """One column, as dictionary.yaml explains; `values` is empty where any value of the type may stand, `deidentify`
    is None where nothing is said of it (see `fhir_ivig.study.classes`)."""

    name: str
    type: str
    about: str = ""
    required: bool = False
    values: tuple[str, ...] = ()
    unit: str | None = None
    private: bool = False
    deidentify: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One table: the columns that together name a row, and all columns by name, in their order."""

    name: str
    about: str
    key: tuple[str, ...]
    columns: Mapping[str, Column]

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that must be present and filled: the key, and those marked `required`."""
        return tuple(c.name for c in self.columns.values() if c.required or c.name in self.key)


@cache
def dictionary() -> Mapping[str, Table]:
    """The tables that every study knows, by name."""
    text = files("fhir_ivig.study").joinpath("dictionary.yaml").read_text(encoding="utf-8")
    shape = Shape("dictionary.yaml")
    tables = extend({}, load(text, shape.file), shape)
    if shape.issues:
        raise IssueError(*shape.issues)
    return tables


def extend(tables: Mapping[str, Table], node: Node, shape: Shape) -> dict[str, Table]:
    """The tables, and those that a `dictionary:` node adds or adds columns to; problems go to the shape's Issues.

    A column that is there already may not be changed: mapping files rely on it.
    """
    extended = dict(tables)
    for name, child in shape.mapping(node, "dictionary").items():
        if name in tables:
            extended[name] = _longer(tables[name], child, shape)
        else:
            extended[name] = _table(name, child, shape)
    return extended


def _longer(table: Table, node: Node, shape: Shape) -> Table:
    given = shape.fields(node, table.name, ("columns",), ("columns",))
    added = _columns(table.name, given["columns"], shape) if "columns" in given else {}
    for name in added.keys() & table.columns.keys():
        text = f"{table.name} has a column `{name}` already: choose another name."
        shape.refuse(given["columns"].value[name], text, "duplicate")
    return replace(table, columns={**table.columns, **added})


def _table(name: str, node: Node, shape: Shape) -> Table:
    _named(name, node, shape)
    given = shape.fields(node, name, ("about", "key", "columns"), ("about", "key", "columns"))
    columns = _columns(name, given["columns"], shape) if "columns" in given else {}
    key = shape.texts(given["key"], f"{name}.key") if "key" in given else ()
    for part in key:
        if part not in columns:
            shape.refuse(given["key"], f"{name}.key: `{part}` is none of the columns.", "not-found")
    return Table(name, shape.text(given["about"], f"{name}.about") if "about" in given else "", key, columns)


def _columns(table: str, node: Node, shape: Shape) -> dict[str, Column]:
    return {name: _column(table, name, child, shape) for name, child in shape.mapping(node, table).items()}


def _column(table: str, name: str, node: Node, shape: Shape) -> Column:
    _named(name, node, shape)
    where = f"{table}.{name}"
    known = ("type", "about", "required", "values", "unit", "private", "deidentify")
    given = shape.fields(node, where, known, ("type", "about"))
    return Column(
        name,
        shape.choice(given["type"], f"{where}.type", TYPES) if "type" in given else "text",
        shape.text(given["about"], f"{where}.about") if "about" in given else "",
        "required" in given and shape.flag(given["required"], f"{where}.required"),
        shape.texts(given["values"], f"{where}.values") if "values" in given else (),
        shape.text(given["unit"], f"{where}.unit") if "unit" in given else None,
        "private" in given and shape.flag(given["private"], f"{where}.private"),
        shape.choice(given["deidentify"], f"{where}.deidentify", CLASSES) or None if "deidentify" in given else None,
    )


def _named(name: str, node: Node, shape: Shape) -> None:
    shape.match(Node("scalar", name, node.line), "A name", NAME, "made of small letters, digits and _")
