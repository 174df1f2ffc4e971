"""Texts in Arrow arrays, and as an Issue quotes them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def strings(texts: Iterable[str | None]) -> pa.StringArray:
    """A string array. (`pa.array` of a list would import pandas first.)"""
    raw = [None if text is None else text.encode() for text in texts]
    ends = np.cumsum([0, *(len(text or b"") for text in raw)], dtype=np.int32)
    there = np.packbits(np.array([text is not None for text in raw], dtype=bool), bitorder="little")
    buffers = pa.py_buffer(ends), pa.py_buffer(b"".join(text or b"" for text in raw)), pa.py_buffer(there)
    return pa.StringArray.from_buffers(len(raw), *buffers)


def matches(texts: pa.StringArray, pattern: str) -> pa.BooleanArray:
    """Which texts match the whole pattern (RE2); null where there is no text."""
    return pc.match_substring_regex(texts, f"^(?:{pattern})$")


def rows_where(mask: pa.BooleanArray) -> list[int]:
    """The positions where a mask is true; null is not."""
    found: list[int] = np.flatnonzero(mask.fill_null(False).to_numpy(zero_copy_only=False)).tolist()
    return found


def with_point(texts: pa.StringArray) -> pa.StringArray:
    """Numbers with a decimal comma, with a point instead. A point becomes a comma, so that `1.234`, which could
    mean either, is no number afterwards.
    """
    texts = pc.replace_substring(texts, ",", "\0")
    return pc.replace_substring(pc.replace_substring(texts, ".", ","), "\0", ".")


def shown(text: str) -> str:
    """A cell as an Issue quotes it: what cannot be seen made visible, long texts cut."""
    short = text if len(text) <= 60 else f"{text[:57]}..."
    return f"`{short}`" if short.isprintable() else ascii(short)
