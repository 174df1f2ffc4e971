"""Who a resource is: a business identifier made from the row's key, and a logical id made from that.

    identifier   system `{base}/{mapping}`, value the key's cells joined by `/`
    logical id   UUIDv5 of `{system}|{value}` in the URL namespace (RFC 9562, section 5.5)

So the same row has the same identity on every machine, in every run, and whoever knows the rule can compute it.
A cell that could make two keys look alike is refused (`confusable`).
"""

from __future__ import annotations

import uuid
from hashlib import sha1
from itertools import pairwise
from typing import TYPE_CHECKING

from fhir_ivig.mapping.primitives import utf8

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

SEPARATOR = "/"
_NAMESPACE = uuid.NAMESPACE_URL.bytes
# `/` separates the parts; `|`, `,`, `$` and `\` mean something in a FHIR search; what is not seen cannot be compared.
_CONFUSABLE = r"[/|,$\\\p{Cc}\p{Cf}]|^\p{Z}|\p{Z}$|^$"
CONFUSABLE = "it has a blank at an end, a sign that is not seen or not composed (NFC), or one of / | , $ \\."


def identifier_system(base: str, mapping: str) -> str:
    """The identifier system of a mapping's resources in a study."""
    return f"{base}/{mapping}"


def logical_id(system: str, value: str) -> str:
    """The logical id of one resource."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{system}|{value}"))


def confusable(column: pa.Array) -> pa.Array | None:
    """Which cells of a key column could be confused with another, or stand for two: a mask, or None if none.

    Refused: `/ | , $ \\`, control and format characters (Unicode's Cc and Cf), blanks at the ends, and text not in
    Unicode's composed form (NFC).
    """
    import pyarrow.compute as pc

    bad = pc.match_substring_regex(column, _CONFUSABLE)
    if not pc.all(pc.string_is_ascii(column)).as_py():
        bad = pc.or_(bad, pc.not_equal(pc.utf8_normalize(column, "NFC"), column))
    return bad if pc.any(bad).as_py() else None


def join_key(columns: list[pa.Array]) -> pa.Array:
    """The identifier values of rows from their key columns (no cell null)."""
    import pyarrow.compute as pc

    return columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, SEPARATOR)


def split_key(values: pa.Array, count: int) -> list[pa.Array]:
    """The key's cells, each as a column, of identifier values; all null where a value has not so many."""
    import pyarrow.compute as pc

    if count == 1:
        return [values]
    parts = pc.split_pattern(values, SEPARATOR)
    whole = pc.equal(pc.list_value_length(parts), count)
    if not pc.all(whole).as_py():
        parts = pc.if_else(whole, parts, None)
    return [pc.list_element(parts, part) for part in range(count)]


def logical_ids(system: str, values: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """The logical ids of many resources, and the first 8 bytes of each as a number (to find doubles by)."""
    import numpy as np
    import pyarrow as pa

    count = len(values)
    offsets = np.frombuffer(values.buffers()[1], np.int32)[values.offset : values.offset + count + 1]
    texts = utf8(values).tobytes()
    begun = sha1(_NAMESPACE + f"{system}|".encode()).copy  # noqa: S324 - what all have in common is hashed once
    found = []
    for start, end in pairwise((offsets - offsets[0]).tolist()):
        digest = begun()
        digest.update(texts[start:end])
        found.append(digest.digest())
    digests = b"".join(found)
    octets = np.frombuffer(digests, np.uint8).reshape(count, 20)[:, :16].copy()
    octets[:, 6] = octets[:, 6] & 0x0F | 0x50  # version 5
    octets[:, 8] = octets[:, 8] & 0x3F | 0x80  # variant of RFC 9562
    digits = _hex_pairs()[octets].view(np.uint8)
    text = np.full((count, 36), ord("-"), np.uint8)
    for place, (start, end) in ((0, (0, 8)), (9, (8, 12)), (14, (12, 16)), (19, (16, 20)), (24, (20, 32))):
        text[:, place : place + end - start] = digits[:, start:end]
    ends = np.arange(0, 36 * (count + 1), 36, dtype=np.int32)
    ids = pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(text))
    return ids, octets[:, :8].copy().view(np.uint64).ravel()


def _hex_pairs() -> np.ndarray:
    import numpy as np

    return np.frombuffer(bytes(range(256)).hex().encode(), np.uint16)
