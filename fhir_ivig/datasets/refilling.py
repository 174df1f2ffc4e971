"""A study's own SAS transport and Dataset-JSON files written again: described as those that were there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fhir_ivig.datasets.dataset import Dataset, Kind, Variable
from fhir_ivig.datasets.output import writer
from fhir_ivig.issue import Issue
from fhir_ivig.study.number_formats import plain_number
from fhir_ivig.study.sas_formats import text_of

if TYPE_CHECKING:
    import pyarrow as pa

_WRITERS = {".xpt": "xpt", ".json": "dataset-json", ".ndjson": "dataset-ndjson"}
_KINDS: dict[str, Kind] = {"double": "decimal", "float": "decimal", "decimal": "decimal", "integer": "integer"}
_KINDS |= {"date": "date", "datetime": "datetime"}


def write_like(path: Path, was: Path, table: pa.Table) -> list[Issue]:
    """A table of texts as the file `path` (its folder is there), whose kind the suffix says.

    Labels and types of the variables are those of the file `was`, where that is there and can be read; else all
    variables are texts, called as they are. Dates that SAS had as numbers with a format become texts in ISO 8601.
    Issues: as the kind's writer gives them; IssueError if what it needs is not installed.
    """
    write = writer(_WRITERS[path.suffix.lower()])
    try:
        label, known, keys = _sas(was) if path.suffix.lower() == ".xpt" else _json(was)
    except (OSError, ValueError, KeyError):
        label, known, keys = path.stem, {}, ()
    variables = tuple(known.get(name, Variable(name, name, "text")) for name in table.column_names)
    issues = write([Dataset(path.stem, label, variables, table, keys)], path.parent)
    written = path.parent / f"{path.stem}{path.suffix.lower()}"
    if written != path:
        written.rename(path)
    return issues


_Described = tuple[str, dict[str, Variable], tuple[str, ...]]


def _sas(path: Path) -> _Described:
    from pyreadstat import PyreadstatError, ReadstatError, read_xport

    try:
        _, found = read_xport(path, metadataonly=True)
    except (PyreadstatError, ReadstatError) as error:
        raise ValueError(str(error)) from None
    variables = {}
    for name, label in zip(found.column_names, found.column_labels, strict=True):
        number = found.readstat_variable_types[name] != "string"
        dates = text_of(found.original_variable_types[name] or "") is not plain_number
        variables[name] = Variable(name, label or "", "decimal" if number and not dates else "text")
    return found.file_label or "", variables, ()


def _json(path: Path) -> _Described:
    with path.open(encoding="utf-8-sig") as file:
        head: dict[str, Any] = json.loads(file.readline()) if path.suffix.lower() == ".ndjson" else json.load(file)
    variables, keys = {}, {}
    for column in head["columns"]:
        name, said = column["name"], column.get("dataType", "string")
        variables[name] = Variable(name, column.get("label", ""), _KINDS.get(said, "text"))
        if "keySequence" in column:
            keys[column["keySequence"]] = name
    return head.get("label", ""), variables, tuple(keys[place] for place in sorted(keys))
