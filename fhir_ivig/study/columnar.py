"""Blocks of cells out of Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.study.adapters import as_text
from fhir_ivig.study.block import Block


def header(path: Path, file: str) -> list[str]:
    """The names in the schema."""
    with _parquet(path, file) as parquet:
        return list(parquet.schema_arrow.names)


def blocks(path: Path, file: str, rows: int) -> Iterator[Block]:
    """All rows, the first of which has the number 2, as under a header."""
    number = 2
    with _parquet(path, file) as parquet:
        for batch in parquet.iter_batches(rows, use_threads=False):
            columns = {name: as_text(batch[name], name, file, number) for name in batch.schema.names}
            yield Block(columns, np.arange(number, number + len(batch)))
            number += len(batch)


@contextmanager
def _parquet(path: Path, file: str) -> Iterator[Any]:
    from pyarrow.parquet import ParquetFile

    try:
        with path.open("rb") as raw, ParquetFile(raw) as parquet:
            yield parquet
    except pa.ArrowInvalid:
        text = "This is no Parquet file, or it is damaged: export it again."
        raise IssueError(Issue("fatal", "structure", text, file)) from None
