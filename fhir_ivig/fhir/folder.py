"""An NDJSON folder (one file a resource type, as the Bulk Data guide lays it out), standing where a server stands."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from fhir_ivig.fhir.bundle import Answer, Page, Put, head, one_line
from fhir_ivig.fhir.files import read_blocks
from fhir_ivig.fhir.select import selector
from fhir_ivig.issue import Issue, IssueError

BUFFER = 1 << 18  # bytes; at each smaller piece, threads that read or write would wait for each other


def create(path: Path) -> IO[bytes]:
    """A new file for patient data, to be read and written by its owner only."""
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b", BUFFER)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Whatever keeps `path` from being written (rights, room, a file where a folder should be) as an IssueError."""
    try:
        yield
    except OSError as error:
        text = f"the folder cannot be written ({error.strerror or type(error).__name__}): choose another or make room"
        raise IssueError(Issue("fatal", "no-store", text, file=str(path))) from None


class Folder:
    """A folder to search in and to write to; what is written is there, all at once, after `finish`."""

    base = ""  # references in it are relative
    entries, size, connections, at_once = 1000, 1 << 20, 1, False

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: dict[str, dict[str, tuple[int, int]]] = {}
        self._new: dict[str, tuple[IO[bytes], dict[str, tuple[int, int]]]] = {}

    def search(self, resource_type: str, params: Mapping[str, str | Sequence[str]] | None = None) -> Iterator[Page]:
        """The matching resources of every FHIR file below the folder, a page a block; see `select.selector`."""
        test = selector(params or {})
        for block in read_blocks([self.path]):
            page = Page(issues=block.issues)
            for number, line in zip(block.numbers, block.lines, strict=True):
                kind = head(line).resourceType
                if not kind:
                    text = "the line is no FHIR resource and was left out: mend or delete it"
                    page.issues.append(Issue("error", "structure", text, file=block.file, row=number))
                elif kind == resource_type and test(msgspec.json.decode(line)):
                    page.matches.append(line)
            yield page

    def look_up(self, resource_type: str, ids: Iterable[str]) -> dict[str, bytes]:
        """Those of the resources that the folder's `<type>.ndjson` holds, by id, as it was before `put`."""
        index = self._index(resource_type)
        known = [name for name in ids if name in index]
        if not known:
            return {}
        with self._file(resource_type).open("rb") as stream:
            return {name: _slice(stream, index[name]) for name in known}

    def put(self, puts: Sequence[Put]) -> list[Answer]:
        """Takes resources to write; no Issue for any, as a server's answers would be."""
        with writing(self.path):
            for put in puts:
                resource_type, _, name = put.ref.partition("/")
                if resource_type not in self._new:
                    self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
                    self._new[resource_type] = (tempfile.TemporaryFile(dir=self.path), {})  # noqa: SIM115 (see finish)
                stream, index = self._new[resource_type]
                line = one_line(put.resource)
                index[name] = (stream.seek(0, os.SEEK_END), len(line))
                stream.write(line)
        return [Answer(200) for _ in puts]

    def finish(self) -> None:
        """Writes what was put: files keep the order they have, changed resources in place, new ones at the end."""
        with writing(self.path):
            for resource_type, (changes, new) in self._new.items():
                self._merge(resource_type, changes, new)
                changes.close()
        self._new, self._held = {}, {}

    def _merge(self, resource_type: str, changes: IO[bytes], new: Mapping[str, tuple[int, int]]) -> None:
        file, part = self._file(resource_type), self.path / f".{resource_type}.ndjson.part"
        old = self._index(resource_type)
        part.unlink(missing_ok=True)
        with create(part) as out:
            if old:
                with file.open("rb") as held:
                    for name, place in old.items():
                        out.write((_slice(changes, new[name]) if name in new else _slice(held, place)) + b"\n")
            for name, place in new.items():
                if name not in old:
                    out.write(_slice(changes, place) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        part.replace(file)

    def _file(self, resource_type: str) -> Path:
        return self.path / f"{resource_type}.ndjson"

    def _index(self, resource_type: str) -> dict[str, tuple[int, int]]:
        """Where each resource of `<type>.ndjson` begins and how long it is, by id."""
        if resource_type not in self._held:
            index: dict[str, tuple[int, int]] = {}
            file, offset = self._file(resource_type), 0
            for number, line in enumerate(_lines(file), 1):
                found = head(line)
                if found.resourceType != resource_type or not found.sound or found.id in index:
                    text = f"the line is no {resource_type} with an id of its own: the folder was left as it is"
                    raise IssueError(Issue("fatal", "structure", text, file=str(file), row=number))
                index[str(found.id)] = (offset, len(line.rstrip()))
                offset += len(line)
            self._held[resource_type] = index
        return self._held[resource_type]


def _lines(file: Path) -> Iterator[bytes]:
    if file.exists():
        with file.open("rb") as stream:
            yield from stream


def _slice(stream: IO[bytes], place: tuple[int, int]) -> bytes:
    stream.seek(place[0])
    return stream.read(place[1])
