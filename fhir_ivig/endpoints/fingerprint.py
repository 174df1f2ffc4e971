"""What a table holds, as a short text that changes with any of its cells."""

from __future__ import annotations

from hashlib import sha256

import pyarrow as pa
import pyarrow.compute as pc


def fingerprint(table: pa.Table) -> str:
    """The SHA-256 over each column in the order of their names: its name, the length of each of its cells in bytes
    (-1 where empty), its cells. It is the same however the rows are cut into chunks."""
    import numpy as np

    whole = sha256()
    for name in sorted(table.column_names):
        lengths, cells = sha256(), sha256()
        for chunk in table[name].chunks:
            sizes = pc.fill_null(pc.binary_length(chunk), -1)
            lengths.update(sizes.to_numpy(zero_copy_only=False).astype("<i4").tobytes())
            full = chunk.drop_null()
            _, offsets, data = full.buffers()
            ends = np.frombuffer(offsets, "<i4")[full.offset : full.offset + len(full) + 1] if len(full) else [0, 0]
            cells.update(memoryview(data)[ends[0] : ends[-1]] if data is not None else b"")
        whole.update(f"{name}\0{lengths.hexdigest()}{cells.hexdigest()}\n".encode())
    return whole.hexdigest()
