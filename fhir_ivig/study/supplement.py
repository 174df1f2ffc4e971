"""SDTM's supplemental qualifiers (SUPP--), a file of names and values that belong to the rows of another file: as
further columns of that file, and back.

SDTMIG 3.2, section 8.4: a row of SUPP-- belongs to the rows of its subject (USUBJID) in which the variable that IDVAR
names holds IDVARVAL; to all rows of its subject where IDVAR is empty, as in SUPPDM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.study.block import Block
from fhir_ivig.study.source import Source
from fhir_ivig.study.texts import shown, strings

SUBJECT = "USUBJID"
COLUMNS = ("STUDYID", "RDOMAIN", SUBJECT, "IDVAR", "IDVARVAL", "QNAM", "QLABEL", "QVAL", "QORIG", "QEVAL")
_READ = (SUBJECT, "IDVAR", "IDVARVAL", "QNAM", "QVAL")
_Place = tuple[str | None, str | None, str | None]  # subject, IDVAR, IDVARVAL


class Supplement:
    """The qualifiers of a file, whole in memory: first its rows (`add`), then those of the file (`joined`)."""

    def __init__(self, source: Source) -> None:
        self.file, self.names = source.supplement or "", list(source.qualifiers)
        self.values: dict[_Place, dict[str, tuple[str | None, int]]] = {}
        self.found: set[_Place] = set()
        self.issues: list[Issue] = []

    def check(self, names: Sequence[str]) -> None:
        """Its header. IssueError where it is no SUPP--."""
        if lacking := [name for name in _READ if name not in names]:
            text = f"This is no SUPP-- of SDTM: {', '.join(lacking)} is missing."
            raise IssueError(Issue("fatal", "required", text, self.file, 1))

    def add(self, block: Block) -> None:
        """The next rows of the supplement."""
        self.issues += block.issues
        cells = [_texts(block, name, len(block.numbers)) for name in _READ]
        for number, subject, variable, value, name, text in zip(block.numbers.tolist(), *cells, strict=True):
            if name not in self.names:
                said = (
                    f"{shown(name or '')} is not known: name it under `qualifiers`, and under `ignore` if unwanted."
                )
                self.issues.append(Issue("error", "not-found", said, self.file, number, "QNAM"))
                continue
            row = self.values.setdefault((subject, variable, value), {})
            if name in row:
                said = f"{name} stands twice for this row, first in row {row[name][1]}: keep one."
                self.issues.append(Issue("error", "duplicate", said, self.file, number, "QNAM"))
            row.setdefault(name, (text, number))

    def joined(self, block: Block) -> Block:
        """Rows of the file with its qualifiers beside them."""
        length = len(block.numbers)
        subjects = _texts(block, SUBJECT, length)
        variables = {variable for _, variable, _ in self.values}
        rows: list[dict[str, str | None]] = [{} for _ in range(length)]
        for variable in variables:
            values = _texts(block, variable, length) if variable else [None] * length
            for row, subject, value in zip(rows, subjects, values, strict=True):
                place = (subject, variable, value)
                if place in self.values:
                    self.found.add(place)
                    row |= {name: text for name, (text, _) in self.values[place].items()}
        beside = {name: strings(row.get(name) for row in rows) for name in self.names}
        return replace(block, columns={**block.columns, **beside})

    def end(self, file: str) -> None:
        """IssueError with all that is wrong with it, once the file is read."""
        for place, row in self.values.items():
            if place not in self.found:
                named = ", ".join(shown(text) for text in place if text)
                said = f"{file} has no row for {named}: correct one of them."
                self.issues += [
                    Issue("error", "not-found", said, self.file, number, name) for name, (_, number) in row.items()
                ]
        if self.issues:
            raise IssueError(*self.issues)


def _texts(block: Block, name: str, length: int) -> list[str | None]:
    cells = block.columns.get(name)
    return [None] * length if cells is None else cells.cast(pa.string()).to_pylist()


def divided(source: Source, table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """A file's own columns, and its SUPP-- with a row for each qualifier that is filled.

    Rows are named by the variable that numbers them (DSSEQ); where there is none, by their subject. The qualifiers
    came by electronic data transfer: QORIG is eDT.
    """
    own = table.select([name for name in table.column_names if name not in source.qualifiers])
    rows: list[tuple[str | None, ...]] = []
    for row in table.to_pylist():
        domain = row.get("DOMAIN")
        number = f"{domain}SEQ" if f"{domain}SEQ" in row else None
        place = (row.get("STUDYID"), domain, row.get(SUBJECT), number, row.get(number) if number else None)
        for name, label in source.qualifiers.items():
            if row[name] is not None:
                rows.append((*place, name, label, row[name], "eDT", None))
    return own, pa.table({name: strings(row[place] for row in rows) for place, name in enumerate(COLUMNS)})
