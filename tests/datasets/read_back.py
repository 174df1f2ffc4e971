"""Data sets made for tests, and every kind of file read back by programs of others."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq

from fhir_ivig.datasets.dataset import Dataset, Kind, Variable
from fhir_ivig.datasets.sas_names import sas_names
from fhir_ivig.study.writing import read_written

SCHEMAS = Path(__file__).parent / "schemas"
Cells = dict[str, list[str | None]]
LETTERS: dict[str, Kind] = {"KEY": "text", "TERM": "text", "COUNT": "integer", "VALUE": "decimal", "DAY": "date"}


def dataset(cells: Cells, kinds: dict[str, Kind] = LETTERS, name: str = "AE", **more: Any) -> Dataset:
    """A data set of these cells."""
    variables = tuple(Variable(column, f"Label of {column}", kinds[column]) for column in cells)
    table = pa.table({column: pa.array(texts, pa.string()) for column, texts in cells.items()})
    return Dataset(name, "Adverse events", variables, table, (next(iter(cells)),), **more)


def read_csv(folder: Path, name: str = "AE") -> Cells:
    """As a program reads CSV that knows nothing of this one."""
    text = (folder / f"{name}.csv").read_bytes().decode()
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    return {column: [row[place] or None for row in rows] for place, column in enumerate(header)}


def read_parquet(folder: Path, name: str = "AE") -> Cells:
    read: Cells = pq.read_table(folder / f"{name}.parquet").to_pydict()
    assert read_written(folder / f"{name}.parquet").to_pydict() == read
    return read


def read_excel(folder: Path, name: str = "AE") -> Cells:
    from openpyxl import load_workbook

    if not (folder / "datasets.xlsx").exists():
        return {}
    sheet = load_workbook(folder / "datasets.xlsx")[name]
    header, *rows = sheet.iter_rows()
    assert all(cell.data_type != "f" for row in rows for cell in row)
    return {head.value: [excel_text(row[place]) for row in rows] for place, head in enumerate(header)}


def excel_text(cell: Any) -> str | None:
    """A cell as Excel shows it."""
    if cell.value is None or isinstance(cell.value, str):
        text: str | None = cell.value
        return text
    return f"{Decimal(str(cell.value)):.{len(cell.number_format.partition('.')[2])}f}"


def read_json(folder: Path, name: str = "AE") -> Cells:
    return json_cells(json.loads((folder / f"{name}.json").read_text("utf-8")))


def read_ndjson(folder: Path, name: str = "AE") -> Cells:
    first, *rows = (folder / f"{name}.ndjson").read_text("utf-8").split("\n")[:-1]
    about = json.loads(first)
    jsonschema.validate(about, schema("dataset-ndjson-schema.json"))
    return json_cells({**about, "rows": [json.loads(row) for row in rows]})


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SCHEMAS / name).read_text("utf-8"))
    return found


def json_cells(document: dict[str, Any]) -> Cells:
    jsonschema.validate(document, schema("dataset.schema.json"))
    assert document["records"] == len(document["rows"])
    json_types = {"integer": int}
    for place, column in enumerate(document["columns"]):
        wanted = json_types.get(column["dataType"], str)
        assert {type(row[place]) for row in document["rows"]} <= {wanted, type(None)}
    names = [column["name"] for column in document["columns"]]
    return {
        name: [None if row[place] is None else str(row[place]) for row in document["rows"]]
        for place, name in enumerate(names)
    }


def read_xpt(folder: Path, name: str = "AE") -> Cells:
    import pyreadstat

    read, about = pyreadstat.read_xport(folder / f"{name}.xpt", output_format="dict")
    assert about.table_name == sas_names([name])[name]
    return {
        column: [f"{Decimal(repr(value)):f}" if isinstance(value, float) else value or None for value in values]
        for column, values in read.items()
    }


READ = {
    "csv": read_csv,
    "parquet": read_parquet,
    "excel": read_excel,
    "dataset-json": read_json,
    "dataset-ndjson": read_ndjson,
    "xpt": read_xpt,
}
