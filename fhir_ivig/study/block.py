"""Some rows of a file, as it has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from fhir_ivig.issue import Issue


@dataclass(slots=True)
class Block:
    """Some rows: columns by the file's own names (string or binary, null = empty) and the rows' numbers.

    `issues` are of rows that could not be read at all and are not among the columns. `wrong` says of single cells, by
    column and row number, why they cannot be taken. `cells` tells how a spreadsheet calls a column: `labs!C`.
    """

    columns: dict[str, pa.Array]
    numbers: np.ndarray
    issues: list[Issue] = field(default_factory=list)
    wrong: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    cells: Mapping[str, str] = field(default_factory=dict)
