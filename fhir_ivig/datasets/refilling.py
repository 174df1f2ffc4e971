"""A study's own files written again, each of the kind that it was, and described as it was."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fhir_ivig.datasets.dataset import Dataset, Kind, Variable
from fhir_ivig.datasets.excel import write_book
from fhir_ivig.datasets.output import writer
from fhir_ivig.datasets.plain import formulas
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.study.number_formats import plain_number
from fhir_ivig.study.sas_formats import text_of
from fhir_ivig.study.workbook import around

if TYPE_CHECKING:
    import pyarrow as pa

    from fhir_ivig.study.returning import Returned

_WRITERS = {".xpt": "xpt", ".json": "dataset-json", ".ndjson": "dataset-ndjson"}
_KINDS: dict[str, Kind] = {"double": "decimal", "float": "decimal", "decimal": "decimal", "integer": "integer"}
_KINDS |= {"date": "date", "datetime": "datetime"}


def write_like(path: Path, was: Path, sheets: Sequence[Returned]) -> list[Issue]:
    """Tables of texts as the file `path`, whose folder is there and whose kind the suffix says; several are the
    sheets of a workbook, of every other kind there is one.

    A file is described as `was`, where that is there and can be read: by the labels and types of a SAS transport file
    or Dataset-JSON, else all variables are texts, called as they are; by the names and order of a workbook's sheets.
    Dates that SAS had as numbers with a format become texts in ISO 8601. Every cell of a workbook is a text. Issues:
    as the kind's writer gives them, and a warning for what of a workbook no table is read from; IssueError if what
    the kind needs is not installed.
    """
    match path.suffix.lower():
        case ".parquet":
            return _parquet(path, sheets[0])
        case ".xlsx" | ".xlsm":
            return _workbook(path, was, sheets)
        case ".xpt" | ".json" | ".ndjson":
            return _described(path, was, sheets[0].table)
    return _csv(path, sheets[0])


def _parquet(path: Path, one: Returned) -> list[Issue]:
    from fhir_ivig.study.writing import write_parquet

    write_parquet(path, one.table.to_batches(), one.table.column_names)
    return []


def _csv(path: Path, one: Returned) -> list[Issue]:
    source, table = one.source, one.table
    try:
        with path.open("w", encoding=source.encoding, newline="") as file:
            writer = csv.writer(
                file,
                delimiter=source.delimiter,
                quotechar=source.quote or None,
                quoting=csv.QUOTE_MINIMAL if source.quote else csv.QUOTE_NONE,
                lineterminator="\n",
            )
            writer.writerow(table.column_names)
            writer.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
    except UnicodeEncodeError as error:
        sign = error.object[error.start : error.start + 1]
        text = f"`{sign}` cannot be written in {source.encoding}: name another `encoding`. The file is cut off."
        return [Issue("error", "not-supported", text, source.name)]
    except csv.Error:
        text = "A cell holds the delimiter or a line break, and `quote` is empty: name one. The file is cut off."
        return [Issue("error", "not-supported", text, source.name)]
    return formulas(_texts(source.name, table), source.name)


def _workbook(path: Path, was: Path, sheets: Sequence[Returned]) -> list[Issue]:
    written: dict[str, tuple[Dataset, int]] = {}
    titles, issues = list[str](), list[Issue]()
    if path.suffix.lower() == ".xlsm":
        text = "It is written without its macros: Excel opens it only when it is called .xlsx."
        issues.append(Issue("warning", "incomplete", text, path.name))
    for one in sheets:
        source, name = one.source, one.source.sheet or one.source.table
        try:
            name, titles, above = around(was, source, source.name)
        except (IssueError, OSError):
            above = False  # there is none, or it cannot be read
        if above:
            text = "What stands above the header is not in it: no table is read from that."
            issues.append(Issue("warning", "incomplete", text, source.name))
        written[name] = _texts(name, one.table), source.header[-1]
    if left := [title for title in titles if title not in written]:
        text = f"Sheets that no table is read from are not in it: {', '.join(left)}."
        issues.append(Issue("warning", "incomplete", text, path.name))
    order = [name for name in titles if name in written] or list(written)
    return issues + write_book([written[name] for name in order], path)


def _texts(name: str, table: pa.Table) -> Dataset:
    """A data set of texts, without more to say of them."""
    return Dataset(name, name, tuple(Variable(column, column, "text") for column in table.column_names), table, ())


def _described(path: Path, was: Path, table: pa.Table) -> list[Issue]:
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
