"""What cells say of themselves, for the formats that cannot hold everything, and Issues at their places."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fhir_ivig.datasets.dataset import Dataset, Variable
from fhir_ivig.issue import Code, Issue, Severity
from fhir_ivig.spreadsheet import FORMULA
from fhir_ivig.study.texts import rows_where

if TYPE_CHECKING:
    import pyarrow as pa

NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"  # one that every program shows as it stands here
_HARMLESS = NUMBER.replace(r"\.", "[.,]") + "|-"  # a number as a spreadsheet with decimal commas has it, a dash alone


def at(file: str, place: int, name: str, severity: Severity, code: Code, text: str) -> Issue:
    """An Issue at a cell: the place of its row in the table, from 0, and the name of its variable."""
    return Issue(severity, code, text, file, place + 2, name)


def like_formulas(dataset: Dataset, variable: Variable) -> list[int]:
    """The places of texts that a spreadsheet would run as formulas when it reads or edits them."""
    import pyarrow.compute as pc

    cells = dataset.table.column(variable.name)
    begins = pc.match_substring_regex(cells, f"^{FORMULA}")
    harmless = pc.match_substring_regex(cells, f"^(?:{_HARMLESS})$")
    return rows_where(pc.and_not(begins, harmless).combine_chunks())


def too_long(dataset: Dataset, file: str) -> Iterator[Issue]:
    """A warning for each cell that is longer than its variable's length says; it is written whole."""
    import pyarrow.compute as pc

    for variable in dataset.variables:
        if variable.length is None:
            continue
        lengths = pc.utf8_length(dataset.table.column(variable.name)).combine_chunks()
        for place in rows_where(pc.greater(lengths, variable.length)):
            text = f"It has {lengths[place].as_py()} characters, the variable's length is {variable.length}."
            yield at(file, place, variable.name, "warning", "too-long", text)


def longest(cells: pa.ChunkedArray) -> int:
    """The number of characters of the longest cell, 0 where there is none."""
    import pyarrow.compute as pc

    return pc.max(pc.utf8_length(cells)).as_py() or 0


def is_number(text: str) -> bool:
    """Whether it is a number as every program shows it: no exponent, no plus, no zeros in front."""
    return re.fullmatch(NUMBER, text) is not None
