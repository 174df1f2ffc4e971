"""What the tests of the laws share."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings
from strategies import VERSIONS, mappings

from fhir_ivig.issue import Issue
from fhir_ivig.mapping.collection import Bound, References
from fhir_ivig.mapping.reading import Read
from fhir_ivig.mapping.writing import Written

EXAMPLES = 7  # of at least 75 rows each: over 500 rows for each mapping and version
laws = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
everywhere = pytest.mark.parametrize(
    ("version", "name"), [(version, name) for version in VERSIONS for name in mappings(version).by_name]
)


def write(study: Bound, name: str, rows: pa.RecordBatch) -> Written:
    return study.writers[name].write(rows, file="rows.csv")


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
