"""Tables in memory, from wherever, as the study's tables: every cell a text, none of them guessed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.study.dictionary import Table
from fhir_ivig.study.texts import strings

_FLOAT = "is a binary fraction, in which 612.60 is 612.6 already: store the column as text or decimal"


def to_batch(rows_or_frame: Any, table: Table) -> pa.RecordBatch:
    """A pandas DataFrame, a pyarrow Table or RecordBatch, or a list of dicts as one batch of the table's columns.

    int and Decimal stay exact, dates become ISO text, booleans yes or no; None, NaN, NaT, NA and the empty text are
    empty; a column not given is empty. Raises IssueError with a place for each unknown column and each float or other
    value that has no exact text. What the texts say is not checked.
    """
    given = _columns(rows_or_frame)
    issues = [
        Issue("error", "not-found", f"{table.name} has no column `{name}`.", column=name)
        for name in given
        if name not in table.columns
    ]
    length = len(rows_or_frame)
    arrays = []
    for name in table.columns:
        try:
            arrays.append(as_text(given[name], name) if name in given else pa.nulls(length, pa.string()))
        except IssueError as error:
            issues += error.issues
    if issues:
        raise IssueError(*issues)
    return pa.RecordBatch.from_arrays(arrays, names=list(table.columns))


def as_text(cells: Any, column: str, file: str | None = None, first: int = 2) -> pa.StringArray:
    """An Arrow array or a list of Python values as texts (or bytes, if it holds bytes), null = empty.

    `first` is the row number of the first cell. IssueError with the first row of a value that has no exact text.
    """
    if not isinstance(cells, pa.Array):
        return _texts(cells, column, file, first)
    kind = cells.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        empty = pc.equal(pc.binary_length(cells), 0)
        return pc.if_else(empty, None, cells) if pc.any(empty).as_py() else cells
    if pa.types.is_dictionary(kind):
        return as_text(cells.dictionary_decode(), column, file, first)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return as_text(cells.cast(pa.string()), column, file, first)
    if pa.types.is_null(kind) or any(is_exact(kind) for is_exact in _EXACT):
        return cells.cast(pa.string())
    return _texts(cells.to_pylist(), column, file, first)


_EXACT = (pa.types.is_integer, pa.types.is_decimal, pa.types.is_date32)


def _columns(given: Any) -> Mapping[str, Any]:
    if isinstance(given, pa.Table):
        return {name: given[name].combine_chunks() for name in given.schema.names}
    if isinstance(given, pa.RecordBatch):
        return {name: given[name] for name in given.schema.names}
    if isinstance(given, list):
        names = dict.fromkeys(name for row in given for name in row)
        return {name: [row.get(name) for row in given] for name in names}
    known = given.astype(object).where(given.notna(), None)
    return {str(name): known[name].tolist() for name in known.columns}


def _texts(values: list[Any], column: str, file: str | None, first: int) -> pa.StringArray:
    texts: list[str | None] = []
    for row, value in enumerate(values, first):
        try:
            text = _text(value)
            if text is not None:
                text.encode()
        except TypeError as error:
            text = f"`{value}` {error}." if isinstance(value, float) else f"A cell {error}."
            raise IssueError(Issue("error", "value", text, file, row, column)) from None
        except UnicodeEncodeError:
            raise IssueError(Issue("error", "value", "The cell is not Unicode text.", file, row, column)) from None
        texts.append(text)
    return strings(texts)


def _text(value: Any) -> str | None:
    if value is None or type(value).__name__ in ("NAType", "NaTType") or value != value:
        return None
    if isinstance(value, str):
        return str.__str__(value) or None
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, Decimal) and value.is_finite():
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float | np.floating):
        raise TypeError(_FLOAT)
    raise TypeError(f"holds a {type(value).__name__}, which has no exact text: store the column as text")
