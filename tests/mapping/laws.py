"""What the tests of the laws share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from strategies import VERSIONS, mappings

from fhir_ivig.issue import Issue
from fhir_ivig.mapping.collection import Bound, References
from fhir_ivig.mapping.reading import Read
from fhir_ivig.mapping.writing import Written

ROWS = 500  # that each law must meet, for each mapping and version
everywhere = pytest.mark.parametrize(
    ("version", "name"), [(version, name) for version in VERSIONS for name in mappings(version).by_name]
)


def prove(law: Callable[..., int], *drawn: st.SearchStrategy[Any], of: str, examples: int = 6) -> None:
    """Hold a law to examples drawn at random: others for each of what it is a law `of`, the same in every run.

    The law gives back how many rows of each mapping an example showed it. The first example does not count, as it is
    hypothesis' simplest, with all rows alike; too few in the others fail, so that they cannot shrink unseen.
    """
    met: list[int] = []

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    @seed(f"{law.__qualname__} {of}")
    @given(st.tuples(*drawn))
    def each(example: tuple[Any, ...]) -> None:
        met.append(law(*example))

    each()
    assert sum(met[1:]) >= ROWS, f"too few rows, by example: {met}"


def write(study: Bound, name: str, rows: pa.RecordBatch) -> Written:
    return study.writers[name].write(rows, file="rows.csv")


def kept(rows: pa.RecordBatch, written: Written) -> pa.RecordBatch:
    """The rows that were written."""
    return rows.take(pa.array(np.concatenate([[], *written.rows]).astype(int) - 2))


def read(study: Bound, lines: list[str]) -> tuple[Read, list[Issue]]:
    """What one mapping reads from lines that are all its own."""
    data = "".join(f"{line}\n" for line in lines).encode()
    block = study.read(data, range(1, len(lines) + 1), "lines.ndjson", References(), final=True)
    assert (block.count, block.unclaimed, block.broken, block.retry) == (len(lines), 0, 0, []), block.issues
    [found] = block.reads
    return found, [*block.issues, *found.issues]


def assert_same(found: pa.RecordBatch, wanted: pa.RecordBatch) -> None:
    """Equal rows; the cells of the first row that differ are shown: (found, wanted)."""
    for back, row in zip(found.to_pylist(), wanted.to_pylist(), strict=True):
        assert {name: (back[name], cell) for name, cell in row.items() if back[name] != cell} == {}
