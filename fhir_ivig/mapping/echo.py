"""Lines read by writing them: what this package wrote comes back without a look into its JSON.

A line that a mapping wrote is constants with tokens between them. Where the first line of a block is such a line,
all of the block's lines are taken to be like it: their tokens are cut out between the quotes, a column at a time,
and the lines are written again from them. Only if that gives the block to the byte was the reading right; if not,
nothing of it is used and the block is read element by element. So this is only ever faster, never another meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fhir_ivig.mapping.block import Block
from fhir_ivig.mapping.identity import join_key, split_key
from fhir_ivig.mapping.primitives import misfits
from fhir_ivig.mapping.reading import Read
from fhir_ivig.mapping.template import Hole
from fhir_ivig.mapping.writing import Writer

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

LONGEST = 64  # bytes of a token that is looked for; a longer one is read element by element
ID, KEY, LITERAL, MEANT, CELL = range(5)  # what a token is: id, key, reference's id and key, a plain hole's cell


@dataclass(frozen=True, slots=True)
class Token:
    """What stands between two constants."""

    kind: int
    hole: Hole | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """Lines of one mapping with the same elements filled: `constants[0] tokens[0] constants[1] ... constants[-1]`.

    `implied` are the cells that follow from the constants.
    """

    writer: Writer
    constants: tuple[bytes, ...]
    tokens: tuple[Token, ...]
    implied: dict[str, str]

    def read(self, data: bytes, numbers: np.ndarray, ends: np.ndarray | None = None) -> Read | None:
        """The rows of a block, if every line of it is of this shape; else None. `ends` as in `Bound.read`."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        octets = np.frombuffer(data, np.uint8)
        ends = np.flatnonzero(octets < ord(" ")) if ends is None else ends  # of lines, and nothing else
        if b"\\" in data or len(ends) != len(numbers) or (octets[ends] != ord("\n")).any() or not _unicode(data):
            return None
        texts = self.cut(octets, ends)
        if texts is None:
            return None
        woven: list[pa.Array | str] = [self.constants[0].decode()]
        for text, constant in zip(texts, self.constants[1:], strict=True):
            woven += [text, constant.decode()]
        lines = pc.binary_join_element_wise(*woven, "")
        length = np.frombuffer(lines.buffers()[1], np.int32)[len(lines)]
        same = length == len(data) and lines.buffers()[2].slice(0, len(data)).equals(pa.py_buffer(data))
        return self.rows(texts, numbers) if same else None

    def cut(self, octets: np.ndarray, ends: np.ndarray) -> list[pa.Array] | None:
        """The tokens of all lines, each from the end of one constant to the sign that begins the next; or None."""
        import numpy as np

        place, found = np.append(0, ends[:-1] + 1), []
        for before, after in zip(self.constants, self.constants[1:], strict=False):
            starts = place + len(before)
            lengths = _lengths(octets, starts, after[0])
            if lengths is None or not lengths.all():
                return None
            found.append(_texts(octets, starts, lengths))
            place = starts + lengths
        return found

    def cells(self, texts: list[pa.Array], keys: pa.Array) -> dict[str, pa.Array] | None:
        """The columns that the tokens fill; None where a cell does not fit, or two places differ."""
        cells: dict[str, pa.Array] = {}
        named = [(self.writer.mapping.key, keys)]
        for token, text in zip(self.tokens, texts, strict=True):
            if token.hole and token.kind == CELL:
                column = token.hole.columns[0]
                if not cells.setdefault(column, text).equals(text) or not _fits(token.hole.type, text):
                    return None
            elif token.hole and token.kind == MEANT:
                named.append((token.hole.columns, text))
        for columns, text in named:
            for name, part in zip(columns, split_key(text, len(columns)), strict=True):
                cells.setdefault(name, part)
        return cells if all(join_key([cells[name] for name in names]).equals(text) for names, text in named) else None

    def rows(self, texts: list[pa.Array], numbers: np.ndarray) -> Read | None:
        """The rows, if each cell fits its hole and all places that tell the same agree."""
        import pyarrow as pa
        import pyarrow.compute as pc

        mapping = self.writer.mapping
        told = {token.kind: text for token, text in zip(self.tokens, texts, strict=True)}
        cells = self.cells(texts, told[KEY])
        if cells is None or not _fits("id", told[ID]):
            return None
        always = {**mapping.rows, **self.implied}
        columns = {
            name: cells[name] if name in cells else pa.repeat(pa.scalar(always.get(name), pa.string()), len(numbers))
            for name in mapping.columns
        }
        resources = pc.binary_join_element_wise(f"{mapping.resource_type}/", told[ID], "")
        return Read(mapping.name, pa.record_batch(columns), resources, numbers, echoed=True)


def shape_of(writer: Writer, read: Read, line: bytes) -> Shape | None:
    """The shape of a line from the one row that it gave; None if writing the row does not give the line."""
    import numpy as np
    import pyarrow as pa

    if read.batch.num_rows != 1 or read.issues:
        return None
    block = Block(writer, read.batch, np.zeros(1, np.int64), None, {}, ())
    cells = {hole: block.tokens(hole) for hole in writer.holes}
    keys = block.key()
    if block.issues or keys.null_count:
        return None
    ids = pa.array([read.resources[0].as_py().partition("/")[2]], pa.string())
    holes = {id(found.text): hole for hole, found in cells.items()}
    constants, tokens, implied = [b""], list[Token](), dict[str, str]()
    for piece in writer.fragments.pieces(cells, ids, keys):
        hole = holes.get(id(piece))
        if isinstance(piece, str):
            constants[-1] += piece.encode()
        elif piece is ids or piece is keys:
            tokens.append(Token(ID if piece is ids else KEY))
            constants.append(b"")
        elif hole and hole.target and not all(name.startswith("$") for name in hole.columns):
            kind, value = writer.target_types[hole.target], join_key([block.column(name) for name in hole.columns])
            inside, before = piece[0].as_py(), f'"reference":"{kind}/'
            middle, after = inside[len(before) + 36 : -len(value[0].as_py()) - 2], '"}'
            tokens += [Token(LITERAL, hole), Token(MEANT, hole)]
            constants[-1] += before.encode()
            constants += [middle.encode(), after.encode()]
        elif hole and hole.plain and not hole.codes:
            tokens.append(Token(CELL, hole))
            constants.append(b"")
        else:
            constants[-1] += piece[0].as_py().encode()
            if hole and not hole.target:
                implied[hole.columns[0]] = block.column(hole.columns[0])[0].as_py()
    shape = Shape(writer, tuple(constants), tuple(tokens), implied)
    whole = all(b'"' in constant for constant in constants)
    return shape if whole and shape.read(line, np.zeros(1, np.int64)) is not None else None


def _unicode(data: bytes) -> bool:
    try:
        return data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        return False


def _fits(kind: str, column: pa.Array) -> bool:
    first = column.slice(0, 40).to_pylist()
    few = len(set(first)) < len(first) // 2  # then there may be few in all, and each need be looked at but once
    return misfits(kind, column.unique() if few else column) is None


def _lengths(octets: np.ndarray, starts: np.ndarray, sign: int) -> np.ndarray | None:
    """How far it is from each start to the next such sign; None where it is too far."""
    import numpy as np

    width = min(LONGEST, len(octets) - int(starts.max()))
    if width <= 0:
        return None
    first = octets[starts[0] : starts[0] + width].tobytes().find(sign)
    if first > 0 and (octets.take(starts + first, mode="clip") == sign).all():  # all as long, if none is before
        before = np.lib.stride_tricks.sliding_window_view(octets, first)[starts]
        if not (before == sign).any():
            return np.full(len(starts), first)
    found = np.lib.stride_tricks.sliding_window_view(octets, width)[starts] == sign
    lengths: np.ndarray = found.argmax(axis=1)
    return lengths if found[np.arange(len(starts)), lengths].all() else None


def _texts(octets: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> pa.Array:
    """The texts that begin and are as long as given, as a string column."""
    import numpy as np
    import pyarrow as pa

    offsets = np.zeros(len(starts) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    length = int(lengths[0])
    if (lengths == length).all():
        picked = np.lib.stride_tricks.sliding_window_view(octets, length)[starts]
    else:
        picked = octets[np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])]
    return pa.StringArray.from_buffers(len(starts), pa.py_buffer(offsets), pa.py_buffer(picked))
