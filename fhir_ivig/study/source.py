"""How a table of a study is read from somebody's file: the `tables:` of study.yaml. Every key may be left out.

| Key        | What it says (and what holds without it)                                              |
|------------|---------------------------------------------------------------------------------------|
| file       | the CSV, `.parquet` or `.xlsx` file beside study.yaml (`<table>.csv`, else            |
|            | `<table>.parquet`)                                                                    |
| sheet      | the sheet of a workbook (its only one that is not hidden)                             |
| header     | the row of a workbook with the names of the columns, or `[1, 2]`: several, merged     |
|            | cells among them, whose texts are joined by blanks (1)                                |
| delimiter  | the sign between cells, such as `;`, or the word `tab` (`,`)                          |
| encoding   | such as `cp932` (Japanese Windows), `latin-1`, `utf-16` (UTF-8, also with a BOM)      |
| quote      | the sign around cells that hold the delimiter, `''` for none (`"`)                    |
| decimal    | `,` where 612,60 means 612.60 (`.`)                                                   |
| date_order | `DMY`, `MDY` or `YMD` for dates written with `/` `.` `-` (only ISO dates: 2003-05-17) |
|            | or the way that they are written: `D.M.YYYY`, `MM/DD/YYYY hh:mm`                      |
| zone       | the zone of times written without one, such as `+09:00` or `Z` (they are errors)      |
| columns    | `ours: theirs`, columns that have another name in the file (the same names)           |
| ignore     | columns of the file that are not wanted (none)                                        |
| codes      | `column: {theirs: ours}`, their words for ours; `''` empties the cell (our words)     |
| constants  | `column: text`, the same in every row (none)                                          |
| units      | `measure: {their unit: factor}`; their value times the factor is in the measure's     |
|            | unit (the measure's unit)                                                             |
| missing    | texts that mean an empty cell, such as `NA` (none)                                    |
| where      | `their column: word` or `[words]`: only these rows of the file; `''` is empty (all)   |
| checkboxes | `column: {our word: their column}`: several columns, ticked or not, as a column of    |
|            | several words (none)                                                                  |
| ticks      | `[ticked, not ticked]`, what stands in their checkboxes (`1`, `0`)                    |
| prefixes   | `column: text`, what stands before each cell of a column of ours in the file (none)    |
| copies     | `their column: ours`, columns of the file that repeat one of ours, without its prefix: |
|            | not read, and filled on the way back (none)                                           |
| sequence   | `their column: their column`, the first numbers the rows of each of the second, from  |
|            | 1: not read, and filled on the way back (none)                                        |
| supplement | SDTM's SUPP-- of this file: its QNAMs are columns too (none)                          |
| qualifiers | `QNAM: QLABEL`, all of them, also those under `ignore` (none)                         |
| rows       | a list: each row of the file gives a row for each of these. They say what differs, in |
|            | any of the keys above but those of the file itself, and `rows` again               |

Where `columns` names one column of the file for `sign` and `value`, the sign stands before the value in it: <20.

A table may be a list of such parts: its rows are theirs, one part after another. A file that several parts read gives
only the columns that they name; what none of them knows or ignores is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Source:
    """A part as a value; `columns` is ours to theirs, `units` measure to their unit to factor.

    `rows` are sources too, with all that holds for them; `own` are those of our columns that they read themselves: a
    row in which all of these are empty is none. `shared`: other parts read the same file; the first of these has them
    `beside` it.
    """

    table: str
    file: str | None = None
    sheet: str | None = None
    header: tuple[int, ...] = (1,)
    delimiter: str = ","
    encoding: str = "utf-8"
    quote: str = '"'
    decimal: str = "."
    date_order: str | None = None
    zone: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    checkboxes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    ticks: tuple[str, str] = ("1", "0")
    prefixes: Mapping[str, str] = field(default_factory=dict)
    copies: Mapping[str, str] = field(default_factory=dict)
    sequence: Mapping[str, str] = field(default_factory=dict)
    supplement: str | None = None
    qualifiers: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[Source, ...] = ()
    own: tuple[str, ...] = ()
    shared: bool = False
    beside: tuple[Source, ...] = ()

    @property
    def name(self) -> str:
        """What it reads, the same for all that read it."""
        return self.label(Path(f"{self.table}.csv"))

    def label(self, path: Path) -> str:
        """Its file as Issues name it, with the sheet: `[book.xlsx]labs`."""
        file = self.file or path.name
        return f"[{file}]{self.sheet}" if self.sheet else file

    def path(self, folder: Path) -> Path:
        """The file to read: the one named, else `<table>.csv`, or `<table>.parquet` where only that is there."""
        if self.file is not None:
            return folder / self.file
        parquet = folder / f"{self.table}.parquet"
        table = folder / f"{self.table}.csv"
        return parquet if parquet.exists() and not table.exists() else table

    @property
    def order(self) -> str:
        """How day, month and year stand: DMY, MDY, YMD; empty where only ISO dates are known."""
        return "".join(dict.fromkeys(sign for sign in self.date_order or "" if sign in "DMY"))

    @property
    def date_separator(self) -> str:
        """The sign between day, month and year; empty where `date_order` leaves it open."""
        return next((sign for sign in self.date_order or "" if sign in "/.-"), "")

    @property
    def leaves(self) -> tuple[Source, ...]:
        """What each row of the file gives rows by: itself, or its `rows`, and theirs."""
        return tuple(leaf for row in self.rows for leaf in row.leaves) or (self,)

    def theirs(self, column: str) -> str | None:
        """The file's name of a column of ours; None where it is not read, or from checkboxes."""
        if column in self.constants or column in self.checkboxes:
            return None
        return self.columns.get(column, None if self.shared else column)

    def cell(self, column: str, cells: Mapping[str, str]) -> str:
        """Where a column of ours stands in the file: `labs!C` by a workbook's `cells`, `ck_w0` of one of several
        `rows`; empty where our name says it."""
        boxes = self.checkboxes.get(column)
        theirs = tuple(boxes.values()) if boxes else (self.theirs(column),)
        known = [cells.get(name, name if column in self.own else None) for name in theirs if name]
        return ", ".join(name for name in known if name)

    def named(self) -> Iterator[str]:
        """The columns of the file that are spoken of."""
        yield from (*self.ignore, *self.copies, *self.sequence)
        for leaf in (self, *self.leaves):
            yield from (*leaf.columns.values(), *leaf.where)
            for boxes in leaf.checkboxes.values():
                yield from boxes.values()
