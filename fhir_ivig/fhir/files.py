"""FHIR files of every common shape, read as blocks of NDJSON lines, with nothing parsed that need not be.

NDJSON (one resource a line, as the Bulk Data guide lays it out: https://hl7.org/fhir/uv/bulkdata/export.html) is
cut at newlines and handed on untouched. A Bundle, an array or a single resource is taken apart with its numbers
as written.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, cast

import msgspec

from fhir_ivig.fhir.lines import Block, is_utf8, read_lines
from fhir_ivig.issue import Code, Issue

LINE_LIMIT = 1 << 20
BLOCK_BYTES = 1 << 22  # that are worth to be tabulated at once
DOCUMENT_LIMIT = 256 << 20
_ENDINGS = re.compile(r"\.(ndjson|jsonl|json)(\.gz)?$", re.IGNORECASE)
_LINES_NAME = re.compile(r"\.(ndjson|jsonl)(\.gz)?$", re.IGNORECASE)
_OURS = {"manifest.json", "issues.ndjson"}
_FIRST = ("ResearchStudy", "Patient", "ResearchSubject", "Condition", "MedicationRequest", "Procedure")


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw()


class _Document(msgspec.Struct):
    resourceType: str | None = None  # noqa: N815 (the element's name)
    entry: list[_Entry] = msgspec.field(default_factory=list)


def read_blocks(
    paths: Iterable[Path | str],
    block_bytes: int = 1 << 20,
    *,
    line_limit: int = LINE_LIMIT,
    document_limit: int = DOCUMENT_LIMIT,
) -> Iterator[Block]:
    """The resources in the files and folders, in blocks of about `block_bytes`.

    A file holds NDJSON, a Bundle (every `entry.resource`, message entries of a search too), an array of resources
    or one resource, plain or gzipped; which, its content says, the name only where the content leaves it open. A
    folder means all such files below it, those that others refer to first (see `fhir_files`).

    Problems stand in `Block.issues`, and the rest goes on: what is missing, unreadable, empty, cut off, not UTF-8,
    not JSON, or too long (a line over `line_limit` bytes, a whole document over `document_limit` decoded bytes).
    Lines of NDJSON are not parsed: a line that is no JSON is found by whoever decodes it.
    """
    for path in map(Path, paths):
        if not path.is_dir():
            yield from _read_file(path, block_bytes, line_limit, document_limit)
            continue
        files = fhir_files(path)
        if not files:
            yield _problem(path, "not-found", "the folder holds no FHIR file (.ndjson, .jsonl or .json, also .gz)")
        for file in files:
            yield from _read_file(file, block_bytes, line_limit, document_limit)


def fhir_files(folder: Path) -> list[Path]:
    """The FHIR files below a folder, in a stable order: the types that others refer to first, then by name.

    Hidden files and the `manifest.json` and `issues.ndjson` that our own outputs carry are no FHIR files.
    """

    def order(path: Path) -> tuple[int, str]:
        return rank(re.split(r"[^A-Za-z]", path.name, maxsplit=1)[0]), path.relative_to(folder).as_posix()

    def wanted(path: Path) -> bool:
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        return bool(_ENDINGS.search(path.name)) and not hidden and path.name not in _OURS and path.is_file()

    return sorted(filter(wanted, folder.rglob("*")), key=order)


def rank(kind: str) -> int:
    """The place of a resource type in the order of reading: less for those that others refer to."""
    return _FIRST.index(kind) if kind in _FIRST else len(_FIRST)


def _problem(path: Path, code: Code, text: str, row: int | None = None) -> Block:
    return Block(str(path), issues=[Issue("error", code, text, file=str(path), row=row)])


def _read_file(path: Path, block_bytes: int, line_limit: int, document_limit: int) -> Iterator[Block]:
    last = None
    try:
        with _open(path) as stream:
            head = stream.read(block_bytes).removeprefix(b"\xef\xbb\xbf")
            if head.startswith((b"\xff\xfe", b"\xfe\xff")):
                yield _problem(path, "structure", "the file is UTF-16: save it as UTF-8")
            elif not head.strip():
                yield _problem(path, "structure", "the file is empty")
            elif head.lstrip().startswith(b"<"):
                yield _problem(path, "structure", "the file holds HTML or XML, not JSON: fetch it again as FHIR JSON")
            elif _is_lines(path.name, head):
                for block in read_lines(str(path), head, stream, block_bytes, line_limit):
                    last = block.numbers[-1] if block.numbers else last
                    yield block
            else:
                data = head + stream.read(max(document_limit + 1 - len(head), 0))
                if len(data) > document_limit:
                    text = f"the document is longer than {document_limit} bytes: split it, or convert it to NDJSON"
                    yield _problem(path, "too-long", text)
                else:
                    yield from _read_document(path, data, block_bytes)
    except FileNotFoundError:
        yield _problem(path, "not-found", "there is no such file")
    except (EOFError, zlib.error, gzip.BadGzipFile):
        yield _problem(path, "incomplete", "the gzip file is cut off or broken: nothing after this was read", last)
    except OSError as error:
        yield _problem(path, "exception", f"the file cannot be read ({error.strerror or type(error).__name__})")


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as stream:
        gzipped = stream.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path, "rb")) if gzipped else path.open("rb")


class _Kind(msgspec.Struct):
    resourceType: str | None = None  # noqa: N815


def _is_lines(name: str, head: bytes) -> bool:
    """Whether the file is NDJSON: its first line is a whole resource, and not the file's only line and a Bundle.

    A first line that is no whole object opens a pretty-printed document, or is broken or longer than `head`: then an
    NDJSON name is believed, unless what follows looks like the inside of a document.
    """
    begun = [line for line in map(bytes.strip, head.split(b"\n", 64)) if line]
    try:
        first = msgspec.json.decode(begun[0], type=_Kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        inside = begun[0].startswith(b"[") or (len(begun) > 1 and not begun[1].startswith(b"{"))
        return bool(_LINES_NAME.search(name)) and not inside
    return len(begun) > 1 or first.resourceType != "Bundle"


def _read_document(path: Path, data: bytes, block_bytes: int) -> Iterator[Block]:
    if not is_utf8(data):
        yield _problem(path, "structure", "the file is not UTF-8: save it as UTF-8")
        return
    try:
        entries = _entries(msgspec.json.format(data, indent=-1))
    except (msgspec.DecodeError, RecursionError) as error:
        yield _problem(path, "structure", f"the file is not whole JSON of a FHIR resource ({error}): fetch it again")
        return
    lines: list[bytes] = []
    numbers: list[int] = []
    issues, size = [], 0
    for number, entry in enumerate(entries, 1):
        line = bytes(entry)
        if not line.startswith(b"{"):
            issues.append(Issue("warning", "structure", "the entry holds no resource", file=str(path), row=number))
            continue
        lines.append(line + b"\n")
        numbers.append(number)
        size += len(line)
        if size >= block_bytes:
            yield Block(str(path), b"".join(lines), numbers, issues)
            lines, numbers, issues, size = [], [], [], 0
    if lines or issues:
        yield Block(str(path), b"".join(lines), numbers, issues)


def _entries(data: bytes) -> list[msgspec.Raw]:
    """The resources of a compact document; slices of it, so that each is compact and its numbers are as written."""
    if data.startswith(b"["):
        return msgspec.json.decode(data, type=list[msgspec.Raw])
    document = msgspec.json.decode(data, type=_Document)
    return [entry.resource for entry in document.entry] if document.resourceType == "Bundle" else [msgspec.Raw(data)]
