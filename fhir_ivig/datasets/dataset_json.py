"""Data sets as CDISC Dataset-JSON 1.1, whole (`.json`) or a line a row (`.ndjson`).

https://cdisc-org.github.io/DataExchange-DatasetJson/doc/dataset-json1-1.html (2024-12-05). A number with a point is
exchanged as a string (dataType and targetDataType `decimal`), so its digits stay. Of dates that are not known to the
day the standard says nothing (https://github.com/cdisc-org/DataExchange-DatasetJson/issues/36): a column with such,
or with days beside times, is of dataType `string`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from fhir_ivig.datasets.cells import at, longest, too_long
from fhir_ivig.datasets.dataset import Dataset, Variable
from fhir_ivig.issue import Issue
from fhir_ivig.study.texts import matches, rows_where, shown

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = "1.1.0"
TAKEN = ("issues", "manifest", "define")  # other files of the folder have these names
_WHOLE = {
    "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "datetime": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?",
}
_DECIMAL = r"-?[0-9]+(\.[0-9]+)?"
_INTEGER = r"-?(0|[1-9][0-9]{0,17})"  # what fits in 64 bits: readers would round, or fail, beyond


def write_json(datasets: Sequence[Dataset], folder: Path) -> list[Issue]:
    """Each data set as `<name>.json`.

    Issues: an error for a data set that would have the name of another file, and for a text where a whole number
    should stand (left empty); a warning for a number with an exponent, which the standard's decimals do not have, and
    for a text longer than its variable's length, both written as they are; an information for a column of dates that
    is said to be of strings.
    """
    return _write(datasets, folder, ".json")


def write_ndjson(datasets: Sequence[Dataset], folder: Path) -> list[Issue]:
    """Each data set as `<name>.ndjson`: its description in the first line, then a line a row. As `write_json`."""
    return _write(datasets, folder, ".ndjson")


def _write(datasets: Sequence[Dataset], folder: Path, ending: str) -> list[Issue]:
    issues = []
    for dataset in datasets:
        file = f"{dataset.name}{ending}"
        if dataset.name in TAKEN:
            said = "Another file of this folder has that name: call the table otherwise. It is left out."
            issues.append(Issue("error", "conflict", said, file))
            continue
        columns = [_Column(dataset, variable, file) for variable in dataset.variables]
        about = {**_about(dataset), "columns": [column.about() for column in columns]}
        with (folder / file).open("w", encoding="utf-8", newline="") as written:
            _lines(written, about, zip(*(column.cells() for column in columns), strict=True), ending)
        issues += chain.from_iterable(column.issues for column in columns)
        issues += too_long(dataset, file)
    return issues


def _lines(file: IO[str], about: dict[str, Any], rows: Iterator[tuple[Any, ...]], ending: str) -> None:
    first = json.dumps(about, ensure_ascii=False)
    whole = ending == ".json"
    file.write(f'{first[:-1]}, "rows": [' if whole else first)
    between = "\n"
    for row in rows:
        file.write(f"{between}{json.dumps(row, ensure_ascii=False)}")
        between = ",\n" if whole else "\n"
    file.write("\n]}\n" if whole else "\n")


def _about(dataset: Dataset) -> dict[str, Any]:
    """What describes a data set, in the order of the standard."""
    return {
        "datasetJSONCreationDateTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "datasetJSONVersion": VERSION,
        "sourceSystem": {"name": "fhir-ivig", "version": version("fhir-ivig")},
        "itemGroupOID": f"IG.{dataset.name}",
        "records": dataset.table.num_rows,
        "name": dataset.name,
        "label": dataset.label,
    }


class _Column:
    """One variable: its words of the standard, and its cells as JSON has them."""

    def __init__(self, dataset: Dataset, variable: Variable, file: str) -> None:
        self.dataset, self.variable, self.file = dataset, variable, file
        self.texts: pa.StringArray = dataset.table.column(variable.name).combine_chunks()
        self.issues: list[Issue] = []

    def about(self) -> dict[str, Any]:
        """The description of the column, in the order of the standard."""
        variable, data_type = self.variable, self.data_type()
        about: dict[str, Any] = {
            "itemOID": f"IT.{self.dataset.name}.{variable.name}",
            "name": variable.name,
            "label": variable.label,
            "dataType": data_type,
        }
        if data_type == "decimal":
            about["targetDataType"] = "decimal"
        if data_type in ("string", "decimal"):
            about["length"] = variable.length or longest(self.dataset.table.column(variable.name)) or 1
        if variable.name in self.dataset.keys:
            about["keySequence"] = self.dataset.keys.index(variable.name) + 1
        return about

    def data_type(self) -> str:
        """The standard's word for the variable's kind."""
        kind = self.variable.kind
        if kind not in _WHOLE:
            return {"text": "string"}.get(kind, kind)
        partial = self.places(_WHOLE[kind])
        if not partial:
            return kind
        if kind == "datetime" and not self.places(_WHOLE["date"]):
            return "date"
        said = f"{len(partial)} cells are no whole {kind}, the first here: the column is said to be of strings."
        self.say(partial[0], "information", "informational", said)
        return "string"

    def cells(self) -> list[Any]:
        """The cells, None where empty."""
        if self.variable.kind == "decimal":
            for place in self.places(_DECIMAL):
                said = f"{self.shown(place)} is no decimal number of the standard: it is written as it is."
                self.say(place, "warning", "value", said)
        texts: list[str | None] = self.texts.to_pylist()
        if self.variable.kind != "integer":
            return texts
        wrong = self.places(_INTEGER)
        for place in wrong:
            said = f"{self.shown(place)} is no whole number: the cell is left empty."
            self.say(place, "error", "value", said)
            texts[place] = None
        return [None if text is None else int(text) for text in texts]

    def places(self, pattern: str) -> list[int]:
        """Where cells do not match a pattern, in order."""
        import pyarrow.compute as pc

        return rows_where(pc.invert(matches(self.texts, pattern)))

    def shown(self, place: int) -> str:
        return shown(self.texts[place].as_py())

    def say(self, place: int, severity: Any, code: Any, text: str) -> None:
        self.issues.append(at(self.file, place, self.variable.name, severity, code, text))
