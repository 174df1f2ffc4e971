"""What a pull has received so far, on disk: killed anywhere, the same pull goes on with it.

A portion is the answer to one search for so many Patients, all its pages: a file named by a digest of what was asked,
which is there once the answer has ended. Its lines are `m` (a match) or `i` (only included) before a resource as
received; its last is `e` before how it ended, with a checksum of all before: a portion is not forced to the disk, and
of one that lost something when the power went, or the machine, nothing is believed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from pathlib import Path
from threading import get_ident
from typing import IO
from zlib import crc32

import msgspec

from fhir_ivig.fhir.folder import BUFFER, create
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.sync.instants import instant
from fhir_ivig.sync.lease import lease

Parameters = Mapping[str, str | Sequence[str]]
STALE = timedelta(days=1)  # by the server's clock; what is older is asked for anew
_MATCH, _INCLUDED, _END = b"m", b"i", b"e"
_STATE, _LEASE = "state.json", "lease"
UNDER_WAY = "Another pull to the same place is under way: wait until it has ended."


class End(msgspec.Struct):
    """How a search ended: the total promised, if any; how many matches were left out here; what is wrong with its
    end, in words; what the server said besides; a checksum of the lines before."""

    total: int | None = None
    left_out: int = 0
    flaw: str = ""
    issues: list[Issue] = msgspec.field(default_factory=list)
    check: int = 0


@dataclass(frozen=True, slots=True)
class Portion:
    """A search that has ended, and the file of what it gave."""

    path: Path
    end: End

    def lines(self) -> Iterator[tuple[bytes, bool]]:
        """Each resource as received, and whether it was only included."""
        with self.path.open("rb", BUFFER) as file:
            for line in file:
                if line[:1] != _END:
                    yield line[1:-1], line[:1] == _INCLUDED


class Writing:
    """A portion on its way; `end` is to be set before it ends."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path, self.file, self.end = path, file, End()

    @property
    def portion(self) -> Portion:
        """What it becomes."""
        return Portion(self.path, self.end)

    def add(self, line: bytes, included: bool = False) -> None:
        marked = (_INCLUDED if included else _MATCH) + line + b"\n"
        self.end.check = crc32(marked, self.end.check)
        self.file.write(marked)


class _State(msgspec.Struct):
    about: dict[str, str]
    begun: str | None = None


class Portions:
    """The portions of one pull in a folder (0700; files 0600).

    `begun` is the server's time when the first of them was asked for; `issues` tell why it is a later one, if it is.
    With `kept`, they outlive a pull that is broken off.
    """

    def __init__(self, folder: Path, kept: bool = False) -> None:
        self.folder, self.kept = folder, kept
        self.finished = False
        self.begun: str | None = None
        self.issues: list[Issue] = []

    def find(self, place: int, kind: str, parameters: Parameters) -> Portion | None:
        """The whole answer to a search, if it is here."""
        path = self._path(place, kind, parameters)
        end = _end(path) if path.exists() else None
        return None if end is None or end.flaw else Portion(path, end)

    @contextmanager
    def writing(self, place: int, kind: str, parameters: Parameters) -> Iterator[Writing]:
        """The answer to a search, on disk as a portion once the block ends without an exception."""
        path = self._path(place, kind, parameters)
        part = path.with_suffix(f".{get_ident()}.part")
        part.unlink(missing_ok=True)
        with create(part) as file:
            portion = Writing(path, file)
            yield portion
            file.write(_END + msgspec.json.encode(portion.end) + b"\n")
        part.replace(path)

    def _path(self, place: int, kind: str, parameters: Parameters) -> Path:
        # Digests, since parameters name persons and names of files are seen by others.
        asked = msgspec.json.encode([kind, sorted(parameters.items())])
        return self.folder / f"{place:03}-{kind}-{blake2b(asked, digest_size=16).hexdigest()}.portion"

    def begin(self, about: Mapping[str, str], now: str | None) -> None:
        """Goes on with what is here, if that is of the same pull and new enough, else begins anew; IssueError if
        something else is here. `about` is what makes a pull the same, `now` the server's time."""
        here, state = self._files(), self._state()
        if any(path.suffix not in (".portion", ".part") and path.name != _STATE for path in here):
            text = "Something else is where the pull is kept while it goes on: move it, or choose another OUT."
            raise IssueError(Issue("fatal", "conflict", text, str(self.folder)))
        why = _other(state, about, now) if state else ""
        if why:
            text = f"An interrupted pull was not gone on with, since {why}: everything is asked for anew."
            self.issues.append(Issue("information", "informational", text, str(self.folder)))
        if state is None or why:
            self.clear()
            state = _State(dict(about), now)
            part = self.folder / "state.part"
            with create(part) as file:
                file.write(msgspec.json.encode(state))
            part.replace(self.folder / _STATE)
        self.begun = state.begun

    def finish(self) -> None:
        """From now on nobody goes on with this."""
        (self.folder / _STATE).unlink(missing_ok=True)
        self.finished = True

    def clear(self) -> None:
        """Take all away but the lease."""
        for path in self._files():
            path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if not path.name.startswith(_LEASE)]

    def _state(self) -> _State | None:
        try:
            return msgspec.json.decode((self.folder / _STATE).read_bytes(), type=_State)
        except (OSError, msgspec.DecodeError):
            return None


@contextmanager
def kept(folder: Path) -> Iterator[Portions]:
    """Portions in a folder beside the output, which outlive whatever ends the block, unless they are finished.

    IssueError while another pull is under way there.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    portions = Portions(folder, kept=True)
    with lease(folder / _LEASE, UNDER_WAY):
        try:
            yield portions
        finally:
            if portions.finished:
                with suppress(OSError):
                    portions.clear()  # before the lease, without which others may begin here
                shutil.rmtree(folder, ignore_errors=True)


def _other(state: _State, about: Mapping[str, str], now: str | None) -> str:
    """Why a pull under way is another one than this, or too old; empty if it is not."""
    for name in {**about, **state.about}:
        found, expected = state.about.get(name), about.get(name)
        if found != expected:
            return f"its {name} is {found}, expected {expected}"
    begun, time = instant(state.begun), instant(now)
    if begun is None or time is None:
        return "the server does not tell its time, by which it could be known how old that is"
    if not begun <= time <= begun + STALE:
        return f"it began at {state.begun}, and at the server it is {now}"
    return ""


def _end(path: Path) -> End | None:
    """How a portion ended; None if its file is not as it was written."""
    check, last = 0, b""
    with path.open("rb") as file:
        for line in file:
            check, last = crc32(last, check), line
    try:
        end = msgspec.json.decode(last.removeprefix(_END), type=End)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return end if end.check == check else None
