"""NDJSON in blocks of whole lines, each line one resource; what is no such line is an Issue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from fhir_ivig.issue import Issue

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Block:
    """Some resources of one file: `data` is JSON objects, one a line, each line ending in a newline.

    `numbers` has one number a line of `data`: its line in an NDJSON file, else its entry (from 1) in the Bundle or
    array. `ends` are the places of the newlines, where no other control character is among the bytes.
    """

    file: str
    data: bytes = b""
    numbers: Sequence[int] = ()
    issues: list[Issue] = field(default_factory=list)
    ends: np.ndarray | None = None

    @property
    def lines(self) -> list[bytes]:
        """One resource each, without the newline."""
        return self.data.split(b"\n")[:-1]


def read_lines(file: str, head: bytes, stream: IO[bytes], block_bytes: int, limit: int) -> Iterator[Block]:
    """The lines of a stream of which `head` was read already, in blocks of about so many bytes."""
    chunk, number = head, 1
    while chunk:
        block, count = block_of(file, _whole_lines(chunk, stream, limit), number, limit)
        yield block
        number += count
        chunk = stream.read(block_bytes)


def _whole_lines(chunk: bytes, stream: IO[bytes], limit: int) -> bytes:
    """The chunk to the end of its last line; of a line beyond the limit no more than shows that it is too long."""
    if chunk.endswith(b"\n"):
        return chunk
    chunk += stream.readline(limit)
    while not chunk.endswith(b"\n"):
        rest = stream.readline(limit)
        chunk += b"\n" if not rest or rest.endswith(b"\n") else b""
    return chunk


def _too_long(file: str, number: int, limit: int) -> Issue:
    text = f"the line is longer than {limit} bytes and was left out: is it one resource a line?"
    return Issue("error", "too-long", text, file=file, row=number)


def block_of(file: str, data: bytes, first: int, limit: int) -> tuple[Block, int]:
    """The whole lines in `data`, of which the first has a number in its file, and how many lines these are."""
    if (ends := _objects(data, limit)) is not None and is_utf8(data):
        return Block(file, data, range(first, first + len(ends)), ends=ends), len(ends)
    lines = data.split(b"\n")[:-1]
    kept, numbers, issues = [], [], []
    for number, line in enumerate(map(bytes.strip, lines), first):
        if len(line) > limit:
            issues.append(_too_long(file, number, limit))
        elif not is_utf8(line):
            issues.append(
                Issue("error", "structure", "the line is not UTF-8 and was left out", file=file, row=number)
            )
        elif line:
            kept.append(line + b"\n")
            numbers.append(number)
    return Block(file, b"".join(kept), numbers, issues), len(lines)


def _objects(data: bytes, limit: int) -> np.ndarray | None:
    """Where the lines end, if all of them begin as an object does, none is too long, and there is no other control
    character."""
    import numpy as np

    octets = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(octets < ord(" "))
    if not len(ends) or (octets[ends] != ord("\n")).any():
        return None
    starts = np.append(0, ends[:-1] + 1)
    return ends if (octets[starts] == ord("{")).all() and (ends - starts).max() <= limit else None


def is_utf8(data: bytes) -> bool:
    """Whether bytes are text in UTF-8."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
