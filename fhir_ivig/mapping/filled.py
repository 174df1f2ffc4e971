"""What a row needs to have read, whoever wrote the resource."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from fhir_ivig.mapping.rows import Rows


def check_filled(block: Rows, rows: np.ndarray) -> None:
    """Reports what these rows lack of required columns, of `either`, and (a warning) of the key."""
    import numpy as np

    mapping, paths = block.mapping, block.reader.paths

    def filled(name: str) -> np.ndarray:
        cells = block.columns.get(name)
        if cells is None:
            return np.zeros(len(block.lines), bool)
        return cells.is_valid().to_numpy(zero_copy_only=False) if cells.null_count else np.ones(len(cells), bool)

    rows = rows & ~block.bad
    for name in dict.fromkeys((mapping.key[0], *mapping.required)):
        if (mask := rows & ~filled(name)).any():
            said = f"Nothing in the resource gives `{name}`; it is required."
            block.report(mask, "required", said, name, paths.get(name))
    if mapping.either:
        count = sum(filled(name).astype(int) for name in mapping.either)
        names, path = " and ".join(mapping.either), paths.get(mapping.either[-1])
        if (mask := rows & (count == 0)).any():
            block.report(mask, "required", f"One of {names} must be there.", mapping.either[0], path)
        if (mask := rows & (count > 1)).any():
            block.report(mask, "invariant", f"Only one of {names} may be there.", mapping.either[0], path)
    for name in mapping.key[1:]:
        if (mask := rows & ~block.bad & ~filled(name)).any():
            said = f"Nothing in the resource gives `{name}`, a part of the key: it is not one of this study's own."
            block.report(mask, "incomplete", said, name, severity="warning")
