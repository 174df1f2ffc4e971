"""Which row of which table a line of an exported file came from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np


class Place(NamedTuple):
    """A row of a table's file, and the mapping that wrote it."""

    mapping: str
    file: str
    row: int


class Places:
    """The rows behind the lines of one file, in its order; runs of neighbouring rows take no room."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._runs: list[tuple[str, str, range | np.ndarray]] = []
        self._count = 0

    def add(self, mapping: str, file: str, rows: Iterable[np.ndarray]) -> None:
        """The next lines came from these rows of the table's file."""
        for numbers in rows:
            if not len(numbers):
                continue
            first, last = int(numbers[0]), int(numbers[-1])
            run = range(first, last + 1) if last - first + 1 == len(numbers) else numbers.astype("int32")
            self._starts.append(self._count)
            self._runs.append((mapping, file, run))
            self._count += len(numbers)

    def of(self, line: int) -> Place | None:
        """The row behind a line (from 1); None if there is no such line."""
        if not 1 <= line <= self._count:
            return None
        run = bisect_right(self._starts, line - 1) - 1
        mapping, file, rows = self._runs[run]
        return Place(mapping, file, int(rows[line - 1 - self._starts[run]]))
