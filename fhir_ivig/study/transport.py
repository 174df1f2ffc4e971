"""Blocks of cells out of SAS transport files, version 5 (SAS Technical Support document TS-140).

Every observation has a fixed length, so a block is a view on its bytes. Numbers are hexadecimal floating point; they
are written with at most 15 significant digits, in which every decimal number of so many comes back. Days and times
are ISO text where their format says that they are.

Not read by pyreadstat, which writes such files here: of these files (its `read_xport`, 1.3.7) it takes `.A` for `.`,
loses the last rows of one that is cut off without a word, and reads a second data set as rows of the first.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from fhir_ivig.issue import Code, Issue, IssueError
from fhir_ivig.study.block import Block
from fhir_ivig.study.sas_formats import text_of
from fhir_ivig.study.source import Source
from fhir_ivig.study.texts import strings

ROWS = 1 << 14  # observations handed on at once
_RECORD = 80
_LIBRARY, _MEMBER, _NAMES, _CELLS = (
    f"HEADER RECORD*******{kind:<8}HEADER RECORD!!!!!!!".encode() for kind in ("LIBRARY", "MEMBER", "NAMESTR", "OBS")
)
_MISSING = {ord(sign): f".{sign}" for sign in "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"}


@dataclass(frozen=True, slots=True)
class _Variable:
    name: str
    numeric: bool
    length: int
    place: int
    form: str


@dataclass(frozen=True, slots=True)
class _Member:
    """The data set of a file: its variables, and its observations as one array of bytes."""

    variables: list[_Variable]
    cells: np.ndarray


def header(path: Path, file: str) -> list[str]:
    """The variables' names."""
    return [variable.name for variable in _member(path, file).variables]


def blocks(path: Path, source: Source, file: str) -> Iterator[Block]:
    """All observations, the first of which has the number 2, as under a header."""
    member = _member(path, file)
    for start in range(0, len(member.cells), ROWS):
        part = member.cells[start : start + ROWS]
        numbers = np.arange(start + 2, start + 2 + len(part))
        columns: dict[str, pa.Array] = {}
        wrong: dict[str, dict[int, str]] = {}
        for one in member.variables:
            octets = np.ascontiguousarray(part[:, one.place : one.place + one.length])
            if not one.numeric:
                columns[one.name] = _texts(octets, source.encoding)
                continue
            columns[one.name], special = _numbers(octets, one)
            said = {
                int(
                    numbers[row]
                ): f"This is the missing value {text} of SAS: name it under `missing`, if it means no more."
                for row, text in special.items()
                if text not in source.missing
            }
            wrong |= {one.name: said} if said else {}
        yield Block(columns, numbers, [], wrong)


def _member(path: Path, file: str) -> _Member:
    with path.open("rb") as raw:
        octets = mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""
    whole = np.frombuffer(octets, np.uint8)
    head = octets[: 1 << 22]
    if not head.startswith(_LIBRARY):
        known = head.startswith(b"HEADER RECORD*******LIBV8")
        text = "This is version 8 of the format: write version 5." if known else "This is no SAS transport file."
        raise _fatal("not-supported" if known else "structure", text, file)
    names = head.find(_NAMES)
    members = head.find(_MEMBER)
    try:
        if min(names, members) < 0:
            raise ValueError
        size = int(head[members + 74 : members + 78])
        count = int(head[names + 54 : names + 58])
        start = names + _RECORD
        variables = [_variable(head[start + size * one : start + size * (one + 1)]) for one in range(count)]
        first = start + -(-size * count // _RECORD) * _RECORD
        length = sum(one.length for one in variables)
        ends = [one.place + one.length for one in variables if one.length > 0 <= one.place]
        if not head.startswith(_CELLS, first) or len(ends) != count or not count or max(ends) > length:
            raise ValueError
        if any(one.numeric and not 2 <= one.length <= 8 for one in variables):
            raise ValueError
    except (ValueError, struct.error):
        raise _fatal("structure", "The head of this file is damaged or cut off: export it again.", file) from None
    cells = whole[first + _RECORD :]
    if octets.find(_MEMBER, first) >= 0:
        raise _fatal("not-supported", "It holds several data sets: write each to its own file.", file)
    if len(whole) % _RECORD:
        raise _fatal("structure", "This file is cut off: it does not end with a whole record. Export it again.", file)
    used = len(cells)
    while used and used > len(cells) - _RECORD and cells[used - 1] == ord(" "):
        used -= 1
    rows = -(-used // length)  # what follows are the blanks that fill the last record
    if rows * length > len(cells):
        raise _fatal("structure", "This file is cut off: its last observation is not whole. Export it again.", file)
    return _Member(variables, cells[: rows * length].reshape(rows, length))


def _variable(octets: bytes) -> _Variable:
    kind, _, length, _, name, _, form = struct.unpack(">hhhh8s40s8s", octets[:64])
    (place,) = struct.unpack(">l", octets[84:88])
    return _Variable(name.decode("latin-1").rstrip(), kind == 1, length, place, form.decode("latin-1").rstrip())


def _texts(octets: np.ndarray, encoding: str) -> pa.Array:
    cells = [cell.rstrip(b" \0") for cell in octets.view(f"V{octets.shape[1]}").ravel().tolist()]
    if encoding == "utf-8":
        return pa.array([cell or None for cell in cells], pa.binary())
    return strings(cell.decode(encoding, "replace") or None for cell in cells)


def _numbers(octets: np.ndarray, variable: _Variable) -> tuple[pa.StringArray, dict[int, str]]:
    """Numbers as texts, null where missing, and the rows with another missing value than `.`, with that."""
    full = np.zeros((len(octets), 8), np.uint8)
    full[:, : octets.shape[1]] = octets
    bits = full.view(">u8").ravel().astype(np.uint64)
    first, mantissa = full[:, 0], bits & np.uint64((1 << 56) - 1)
    exponent = 4 * ((first & 0x7F).astype(int) - 64) - 56
    values = np.ldexp(mantissa.astype(float), exponent) * np.where(first & 0x80, -1.0, 1.0)
    void = (mantissa == 0) & (first != 0) & (first != 0x80)
    special = {row: _MISSING[first[row]] for row in np.flatnonzero(void).tolist() if first[row] in _MISSING}
    text = text_of(variable.form)
    known: dict[float, str] = {value: text(value) for value in np.unique(values[~void]).tolist()}
    given = zip(values.tolist(), void.tolist(), strict=True)
    return strings(special.get(row) if empty else known[value] for row, (value, empty) in enumerate(given)), special


def _fatal(code: Code, text: str, file: str) -> IssueError:
    return IssueError(Issue("fatal", code, text, file))
