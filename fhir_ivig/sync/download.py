"""A file of a bulk export to disk; broken off, it goes on where it was, if the server offers ranges.

Ranges and what makes two answers parts of one: RFC 9110, 13.1.5 and 14. Others send the file again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from fhir_ivig.fhir.bulk import File
from fhir_ivig.fhir.folder import create
from fhir_ivig.fhir.retry import BusyError
from fhir_ivig.fhir.transport import RefusedError, Transport
from fhir_ivig.fhir.wire import Stream
from fhir_ivig.issue import Issue, IssueError

ATTEMPTS = 5  # one after another that get nothing, or all from the beginning
FILE_LIMIT = 1 << 36  # bytes
_PROGRESS = 1 << 20  # bytes; an attempt that got so much further is none of those
_LIMIT_TEXT = f"a file of the export is longer than {FILE_LIMIT} bytes: it was not taken"
_BROKEN = Issue("error", "incomplete", "a file of the export is a web page, or was cut off: pull again")
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_BLOCK = 1 << 20
Begun = tuple[str, int] | None


class Download:
    """One file, written to `part`. `begun` is what has to be known to go on with it: its validator and its size in
    bytes; None where it has to be fetched as a whole. `note` is told when that changes, so that it can be kept."""

    def __init__(self, transport: Transport, part: Path, begun: Begun, note: Callable[[Begun], None]) -> None:
        self.transport, self.part, self.begun, self.note = transport, part, begun, note

    def run(self, file: File, *, origins: tuple[str, ...], credentials: bool, longest_pause: float) -> int:
        """Fetches all of the file: how many lines it has. RefusedError when the server gives it no longer, IssueError
        when it is too long, or cannot be had after all attempts."""
        tried = 0
        while True:
            before = self.here
            try:
                self.once(file, origins, credentials)
                return _lines(self.part)
            except BusyError as busy:
                tried = 1 if self.here > before + _PROGRESS else tried + 1
                if tried >= ATTEMPTS:
                    raise IssueError(*busy.issues) from None
                time.sleep(min(max(busy.wait, 0.5 * 2**tried), longest_pause))

    @property
    def here(self) -> int:
        """How many bytes are here and can be gone on with."""
        return self.part.stat().st_size if self.begun and self.part.exists() else 0

    def once(self, file: File, origins: tuple[str, ...], credentials: bool) -> None:
        """One attempt; BusyError when another may do better."""
        here, ranged = self.here, dict[str, str]()
        if self.begun and 0 < here < self.begun[1]:
            ranged = {"Range": f"bytes={here}-", "If-Range": self.begun[0], "Accept-Encoding": "identity"}
        try:
            with self.transport.file(file.url, ranged, allowed_origins=origins, credentials=credentials) as stream:
                self.take(stream, here if ranged else 0)
        except RefusedError as refused:
            if not ranged or refused.status != 416:
                raise
            self.begin(None)
            raise BusyError(_BROKEN) from None

    def take(self, stream: Stream, here: int) -> None:
        if stream.status == 206 and not (here and self.goes_on(stream, here)):
            self.begin(None)
            raise BusyError(_BROKEN)
        if stream.status != 206:
            here = 0
            self.part.unlink(missing_ok=True)
            self.begin(_offered(stream))
        size = here
        with self.part.open("ab") if here else create(self.part) as out:
            for piece in stream.pieces:
                if not size and piece.lstrip()[:1] == b"<":
                    raise BusyError(_BROKEN)
                out.write(piece)
                size += len(piece)
                if size > FILE_LIMIT:
                    raise IssueError(Issue("fatal", "too-long", _LIMIT_TEXT))
        framed = {"content-length", "transfer-encoding"} & {name.lower() for name in stream.headers}
        if (not size and not framed) or (self.begun and size != self.begun[1]):
            raise BusyError(_BROKEN)

    def goes_on(self, stream: Stream, here: int) -> bool:
        """Whether an answer is the rest of what is here."""
        found = _RANGE.fullmatch(stream.headers.get("Content-Range", ""))
        if not found or not self.begun or _packed(stream):
            return False
        return (int(found[1]), int(found[2])) == (here, self.begun[1])

    def begin(self, begun: Begun) -> None:
        if begun != self.begun:
            self.begun = begun
            self.note(begun)


def _offered(stream: Stream) -> Begun:
    """What has to be known to go on with an answer that breaks off."""
    headers = stream.headers
    tag, size = headers.get("ETag", ""), headers.get("Content-Length", "")
    validator = tag if tag.startswith('"') else headers.get("Last-Modified", "")  # weak tags do not do
    offered = "bytes" in headers.get("Accept-Ranges", "").lower() and not _packed(stream)
    return (validator, int(size)) if offered and validator and size.isdecimal() else None


def _packed(stream: Stream) -> bool:
    return stream.headers.get("Content-Encoding", "").strip().lower() not in ("", "identity")


def _lines(path: Path) -> int:
    """How many lines a file has, the last one with or without its end."""
    lines, last = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            lines, last = lines + block.count(b"\n"), block[-1:]
    return lines + (last != b"\n")
