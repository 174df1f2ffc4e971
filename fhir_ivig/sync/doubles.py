"""Numbers that occur more than once among many, found with little memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

BUCKETS, PART = 16, 1 << 16


class Numbers:
    """A pile of 64-bit numbers, eight bytes each, in large pieces: many small ones would leave holes between them."""

    def __init__(self) -> None:
        self.parts: list[np.ndarray] = []
        self.small: list[np.ndarray] = []

    def add(self, arrays: Iterable[np.ndarray]) -> None:
        """Take more numbers."""
        import numpy as np

        self.small += arrays
        if sum(map(len, self.small)) >= PART:
            self.parts.append(np.concatenate(self.small))
            self.small = []

    def doubled(self) -> set[int]:
        """The numbers that occur more than once.

        They are sorted a sixteenth at a time, by their lowest bits, so that no copy of all of them is made.
        """
        import numpy as np

        found: set[int] = set()
        parts = [*self.parts, *self.small]
        for bucket in range(BUCKETS if parts else 0):
            some = np.concatenate([part[part % BUCKETS == bucket] for part in parts])
            some.sort()
            found.update(some[1:][some[1:] == some[:-1]].tolist())
        return found
