"""The order of a table's rows: by key, each part in its own way."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from fhir_ivig.sync.joining import sorted_places

STUDY: Any = SimpleNamespace(visits=["week 4", "baseline"], measures={"MMT": None, "CK": None})


def test_rows_by_key() -> None:
    """Whole numbers by size, then texts, then empty cells; visits and measures as study.yaml has them; what is equal
    (01 and 1) goes by the rest of the key, and rows of one key stay as they came."""
    wanted = [
        ("1", "week 4", "MMT"), ("01", "baseline", "MMT"), ("1", "baseline", "CK"), ("01", "baseline", "CK"),
        ("1", "12", "CK"), ("1", "later", "CK"), ("1", None, "MMT"),
        ("9", "baseline", None), ("10", "week 4", "CK"), ("S-10", "week 4", "CK"), ("S-9", "week 4", "CK"),
        (None, "week 4", "CK"),
    ]  # fmt: skip
    came = [wanted[place] for place in (2, 3, 11, 8, 7, 10, 6, 0, 9, 5, 1, 4)]
    names = ["subject", "visit", "measure"]
    rows = pa.table([pa.array(cells, pa.string()) for cells in zip(*came, strict=True)], names)
    assert [came[place] for place in sorted_places(rows, names, STUDY)] == wanted
    nothing = rows.slice(0, 0)
    assert not len(sorted_places(nothing, names, STUDY))
