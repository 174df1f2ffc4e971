"""The bytes of a CSV file as UTF-8, with the quotes checked on the way.

CSV readers take a quote that is never closed, or is closed in the middle of a cell, without a word: all rows up to
the next quote become one cell. RFC 4180 (https://www.rfc-editor.org/rfc/rfc4180, section 2) says where quotes stand:
around a whole cell, and doubled inside it. So quotes open and close in turn; one that opens follows a delimiter or
line break (or the quote that it doubles), and one that closes is followed by one.
"""

from __future__ import annotations

import codecs
import io
from typing import Any, BinaryIO

import numpy as np

from fhir_ivig.study.source import Source

CHUNK = 1 << 20


class OddQuoteError(Exception):
    """A quote where none may stand, at this byte of the UTF-8 text."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


class Utf8Stream(io.RawIOBase):
    """The text of a file in the source's encoding, as UTF-8, without byte order mark, a line break at its end.

    Bytes that are no text in another encoding than UTF-8 become U+FFFD. Raises OddQuoteError, unless not `checked`.
    """

    def __init__(self, raw: BinaryIO, source: Source, *, checked: bool = True) -> None:
        self._raw = raw
        self._decoder = None
        if source.encoding != "utf-8":
            self._decoder = codecs.getincrementaldecoder(source.encoding)("replace")
        self._quotes = _Quotes(source) if checked and source.quote else None
        self._ready = memoryview(b"")
        self._first = True
        self._ended = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        ended = False
        while not self._ready and not ended:
            chunk = self._raw.read(CHUNK)
            ended = not chunk
            self._ready = memoryview(self._text(chunk))
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _text(self, chunk: bytes) -> bytes:
        if self._decoder:
            text = self._decoder.decode(chunk, final=not chunk).encode("utf-8", "surrogatepass")
        else:
            text = chunk
        if self._first and text:
            text, self._first = text.removeprefix(codecs.BOM_UTF8), False
        if self._quotes:
            self._quotes.check(text, final=not chunk)
        if not chunk and not self._ended:
            text += b"\n"
        self._ended = text.endswith((b"\n", b"\r")) if text else self._ended
        return text


class _Quotes:
    def __init__(self, source: Source) -> None:
        self.quote = ord(source.quote)
        self.edge = np.zeros(256, dtype=bool)
        self.edge[[ord(sign) for sign in f"{source.quote}{source.delimiter}\r\n"]] = True
        self.read = 0  # bytes checked so far
        self.before = ord("\n")  # the last of them
        self.inside = False  # a quoted cell is open,
        self.opened = 0  # since this byte

    def check(self, text: bytes, *, final: bool) -> None:
        """The next part of the text, cut anywhere."""
        if final and self.inside:
            raise OddQuoteError(self.opened)
        if not text:
            return
        signs = np.frombuffer(text, dtype=np.uint8)
        if self.before == self.quote and self.read and not self.inside and not self.edge[signs[0]]:
            raise OddQuoteError(self.read - 1)
        at = np.flatnonzero(signs == self.quote)
        if len(at):
            self._places(signs, at)
        self.read += len(text)
        self.before = int(signs[-1])

    def _places(self, signs: np.ndarray, at: np.ndarray) -> None:
        opening, closing = (at[1::2], at[::2]) if self.inside else (at[::2], at[1::2])
        before = np.where(opening > 0, signs[opening - 1], self.before)
        within = closing[closing < len(signs) - 1]  # what follows the last byte is seen with the next part
        odd = np.concatenate([opening[~self.edge[before]], within[~self.edge[signs[within + 1]]]])
        if len(odd):
            raise OddQuoteError(self.read + int(odd.min()))
        if len(opening):
            self.opened = self.read + int(opening[-1])
        self.inside ^= bool(len(at) % 2)
