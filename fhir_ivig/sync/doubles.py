"""Numbers that occur more than once among many, found with little memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

BUCKETS = 16


def doubled(parts: Sequence[np.ndarray]) -> set[int]:
    """The 64-bit numbers that occur more than once in all parts together.

    They are sorted a sixteenth at a time, by their lowest bits, so that no copy of all of them is made.
    """
    import numpy as np

    found: set[int] = set()
    for bucket in range(BUCKETS if parts else 0):
        some = np.concatenate([part[part % BUCKETS == bucket] for part in parts])
        some.sort()
        found.update(some[1:][some[1:] == some[:-1]].tolist())
    return found
