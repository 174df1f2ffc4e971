"""What becomes of each column where a study is de-identified: the class that the dictionary gives it, or the study.

    deidentify:
      columns: {adverse_events: {term: keep}}   # another class than the dictionary's, for this study
      words: [azathioprine]                     # words that may leave besides those that stand in the study file

The classes are explained in dictionary.yaml. Whether a column can have its class is asked when a study is
de-identified (`fault`), but for those that a study names here, which are checked with study.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fhir_ivig.shape import Shape
from fhir_ivig.study.dictionary import CLASSES, Column, Table
from fhir_ivig.yamltext import Node


def classed(tables: Mapping[str, Table], node: Node, shape: Shape) -> dict[str, Table]:
    """The tables, with the classes of a `deidentify:` node; problems go to the shape's Issues."""
    found = dict(tables)
    given = shape.fields(node, "deidentify", ("columns", "words"))
    if "words" in given:
        shape.texts(given["words"], "deidentify.words")
    for name, child in (shape.mapping(given["columns"], "deidentify.columns") if "columns" in given else {}).items():
        if name not in tables:
            shape.refuse(child, f"deidentify.columns: there is no table `{name}`.", "not-found")
            continue
        for column, word in shape.mapping(child, f"deidentify.columns.{name}").items():
            where = f"deidentify.columns.{name}.{column}"
            if column not in tables[name].columns:
                shape.refuse(word, f"{where}: {name} has no such column.", "not-found")
                continue
            other = replace(tables[name].columns[column], deidentify=shape.choice(word, where, CLASSES) or None)
            if other.deidentify and (wrong := fault(tables[name], other)):
                shape.refuse(word, f"{where}: {wrong}")
            found[name] = replace(found[name], columns={**found[name].columns, column: other})
    return found


def class_of(column: Column) -> str | None:
    """Its class: the one said, else `remove` for free text and what is private; None where that leaves it open."""
    return column.deidentify or ("remove" if column.type == "text" or column.private else None)


def fault(table: Table, column: Column) -> str | None:
    """Why a column cannot have its class, None where it can."""
    said, dated, closed = class_of(column), column.type in ("date", "dateTime"), bool(column.values)
    if said is None:
        return f"It has no class: give it one under `deidentify`, one of {', '.join(CLASSES)}."
    if said in ("shift", "birth_date"):
        if not dated:
            return f"`{said}` is for dates: choose another class."
        if "subject" not in table.columns:
            return f"`{said}` needs the table's column `subject`: choose another class."
    if said == "result" and "measure" not in table.columns:
        return "`result` needs the table's column `measure`: choose another class."
    if said in ("hash", "word", "result") and (column.type not in ("text", "code") or closed):
        return f"`{said}` is for texts and for codes without a list of values: choose another class."
    if said == "remove" and column.name in table.key:
        return "It is part of the key and cannot be removed: choose another class, such as `hash`."
    if said == "remove" and column.required and (column.type not in ("text", "code") or closed):
        return "It is required and cannot be removed: choose another class."
    return None
