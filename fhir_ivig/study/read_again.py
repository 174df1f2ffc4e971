"""Whether rows that were written are the same when they are read again."""

from __future__ import annotations

import pyarrow as pa

from fhir_ivig.issue import Issue
from fhir_ivig.study.dictionary import Table
from fhir_ivig.study.texts import shown


def differences(table: Table, ours: pa.Table, again: pa.Table, file: str) -> list[Issue]:
    """An error for each row that is not the same when it is read again from what was written, and for each that was
    not there before. The order of rows and of several words in a cell is of no account."""
    before, after = (_keyed(table, rows) for rows in (ours, again))
    issues = []
    for key, row in before.items():
        other = after.pop(key, None)
        said = ", ".join(cell or "" for cell in key)
        if other is None:
            text = f"{said}: this row of {table.name} is not there when {file} is read again."
            issues.append(Issue("error", "not-supported", text, file))
            continue
        for name, cell, read in zip(table.columns, row, other, strict=True):
            if cell != read:
                text = f"{said}: {name} {shown(cell or '')} is {shown(read or '')} when {file} is read again."
                issues.append(Issue("error", "not-supported", text, file, column=name))
    for key in after:
        text = (
            f"{', '.join(cell or '' for cell in key)}: a row of {table.name} that was not there is read from {file}."
        )
        issues.append(Issue("error", "not-supported", text, file))
    return issues


_Key = tuple[str | None, ...]


def _keyed(table: Table, rows: pa.Table) -> dict[_Key, _Key]:
    """The rows by their keys; of several with one key, the later ones have their number among these added."""
    cells = [rows[name].to_pylist() for name in table.columns]
    for place, column in enumerate(table.columns.values()):
        if column.type == "codes":
            cells[place] = [text and ";".join(sorted(text.split(";"))) for text in cells[place]]
    places = [list(table.columns).index(name) for name in table.key]
    found: dict[_Key, _Key] = {}
    for row in sorted(zip(*cells, strict=True), key=str):
        key = tuple(row[place] for place in places)
        again = 2
        while key in found:
            key = (*key[: len(places)], str(again))
            again += 1
        found[key] = row
    return found
