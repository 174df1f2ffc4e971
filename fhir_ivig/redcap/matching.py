"""What a field looks like: which table a form is, which column or measure a field is, which word of ours a choice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from fhir_ivig.redcap.dictionary import Field
from fhir_ivig.study.dictionary import Column, Table
from fhir_ivig.yamltext import load, plain


@cache
def vocabulary() -> dict[str, Any]:
    """names.yaml as it stands."""
    known: dict[str, Any] = plain(load(Path(__file__).with_name("names.yaml")))
    return known


def joined(text: str) -> str:
    """A name or label in small letters and digits, `_` for everything else."""
    return re.sub("[^a-z0-9]+", "_", text.lower()).strip("_")


def table_of(form: str, label: str) -> str | None:
    """The one table that a form's name or label speaks of; None where it is none, or several."""
    texts = [f"_{joined(text)}_" for text in (form, label)]
    found = [
        table
        for table, words in vocabulary()["forms"].items()
        if any(f"_{word}_" in text for word in words for text in texts)
    ]
    return found[0] if len(found) == 1 else None


def columns_of(table: Table, called: Mapping[str, Field]) -> dict[str, list[Field]]:
    """Column -> the fields that may be it: by the longest end of what they are called, else by their labels; types
    fit."""
    found: dict[str, list[Field]] = {}
    names = vocabulary()["columns"].get(table.name, {})
    for called_so, field in called.items():
        ends = _ends(called_so)
        every = [(ends.index(name), column) for column, known in names.items() for name in known if name in ends]
        every = sorted(every) or [(0, column) for column, known in names.items() if joined(field.label) in known]
        if every and fits(table.columns[every[0][1]], field):
            found.setdefault(every[0][1], []).append(field)
    return found


def _ends(name: str) -> list[str]:
    """`ae_onset_date`, `onset_date`, `date`."""
    parts = name.split("_")
    return ["_".join(parts[start:]) for start in range(len(parts))]


def fits(column: Column, field: Field) -> bool:
    """Whether a field of this kind can hold what the column holds."""
    if field.kind in ("file", "descriptive", "slider", "sql"):
        return False
    if column.type == "codes":
        return field.kind == "checkbox"
    if column.type in ("date", "dateTime"):
        return field.kind == "text" and (not field.validation or field.validation.startswith("date"))
    if column.type in ("decimal", "integer"):
        return field.kind == "calc" or (field.kind == "text" and not field.validation.startswith("date"))
    if column.type == "boolean":
        return field.kind in ("yesno", "truefalse", "radio", "dropdown")
    return field.kind != "checkbox" and not field.validation.startswith("date")


def measure_of(name: str, field: Field) -> str | None:
    """The measure that a field is called, by this name or its label, and whose values it can hold."""
    known: Mapping[str, Any] = vocabulary()["measures"]
    texts = {name, joined(field.label)}
    number = field.kind == "calc" or (field.kind == "text" and not field.validation.startswith("date"))
    found = [
        measure
        for measure, one in known.items()
        if texts & set(one["names"]) and (bool(field.choices) if "words" in one else number)
    ]
    return found[0] if len(found) == 1 else None


def beside(name: str, called: Mapping[str, Field]) -> dict[str, Field]:
    """Column of assessments -> the field that holds it for the value of the one called so."""
    known = {f"{name}_{end}": column for column, ends in vocabulary()["beside"].items() for end in ends}
    return {known[each]: field for each, field in called.items() if each in known}


def word_of(label: str, words: Iterable[str]) -> str | None:
    """The word of ours that a choice's label is, among these."""
    other = vocabulary()["words"]
    for word in words:
        if label == word or (joined(label) and joined(label) in (joined(word), *other.get(word, ()))):
            return word
    return None


def visit_of(event: str) -> str:
    """`week 0` of `week_0_arm_1`, `Week 0` of `Week 0 (Arm 1: IVIG)`."""
    return re.sub(r"(_arm_\d+| \(Arm \d+: .*\))$", "", event).replace("_", " ")


def visit_in(name: str) -> tuple[str, str]:
    """The visit that a field's name ends or begins with, and the name without it: `week 4` and `ck` of `ck_wk4` and
    `week_4_ck`; no visit and the whole name where it tells none."""
    for visit, words in vocabulary()["visits"].items():
        several = "|".join(words)
        place = rf"(?:{several})_?0*(?P<number>\d+)" if "N" in visit else rf"(?:{several})"
        if found := re.fullmatch(rf"(?P<name>\w+?)_{place}", name) or re.fullmatch(rf"{place}_(?P<name>\w+)", name):
            return visit.replace("N", found.groupdict().get("number", "")), found["name"]
    return "", name


def is_unit(text: str) -> bool:
    """Whether a note is nothing but a unit, as far as its looks go."""
    return bool(re.fullmatch(r"(?!n/?a$)[A-Za-z%µ][A-Za-z0-9%µ/*.^-]{0,11}", text, re.IGNORECASE))


def alike(word: str, label: str) -> bool:
    """Whether a label is the word itself, but for its spelling."""
    return re.sub("[^a-z0-9<>=]+", " ", label.lower()).strip() == re.sub("[^a-z0-9<>=]+", " ", word.lower()).strip()


def unit_of(table: Table, name: str, found: Mapping[str, Sequence[Field]]) -> str:
    """The unit that the note of the one field of a column says, whose unit this column is."""
    notes = [
        found[column.name][0].note
        for column in table.columns.values()
        if column.unit == name and len(found.get(column.name, ())) == 1
    ]
    return notes[0] if len(notes) == 1 and is_unit(notes[0]) else ""
