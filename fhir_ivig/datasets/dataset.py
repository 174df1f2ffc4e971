"""A data set as a statistician receives it: variables that are described, and the cells, all as texts.

Whatever makes data sets (a study's own tables, SDTM-shaped and ADaM-shaped ones) makes this; whatever writes them
(CSV, Parquet, Excel, Dataset-JSON, SAS transport) takes this, and reports as Issues what its format cannot hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fhir_ivig.issue import Issue

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["text", "integer", "decimal", "date", "datetime"]


@dataclass(frozen=True, slots=True)
class Variable:
    """One column.

    name: as the data set's reader knows it. label: in a few words. kind: what its cells say: any text; a whole
    number; a number with a point, as written; a date or a date with time in ISO 8601, as exact as it is known.
    length: the greatest number of characters of a cell, None where nobody set one. origin: where the values come
    from. codes: the words that may stand in it, empty where any may. note: what a reader should know besides.
    """

    name: str
    label: str
    kind: Kind
    length: int | None = None
    origin: str = ""
    codes: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """One data set.

    table: a `pa.Table` whose columns are named as the variables, in their order, all `pa.string()`, null where a
    cell is empty. keys: the variables that together name a row. issues: what was found in making it.
    """

    name: str
    label: str
    variables: tuple[Variable, ...]
    table: pa.Table
    keys: tuple[str, ...]
    issues: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """A data set, what one row of it is, and the resources behind its rows (`a;b` where several), where known."""

    dataset: Dataset
    structure: str = ""
    resources: pa.Array | None = None
