"""Blocks of cells out of Dataset-JSON 1.1 (https://www.cdisc.org/standards/data-exchange/dataset-json), `.json` and
`.ndjson`. A number stays as it is written; one that SAS shows as a day or time (`displayFormat`) is ISO text.

`records` says how many rows there are. Where there are others, the file was cut off or changed by hand.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fhir_ivig.issue import Code, Issue, IssueError, many
from fhir_ivig.study.block import Block
from fhir_ivig.study.number_formats import plain_number
from fhir_ivig.study.sas_formats import text_of
from fhir_ivig.study.texts import strings

ROWS = 1 << 14  # rows handed on at once
LARGEST = 1 << 30  # bytes of a `.json`, which is read whole


def header(path: Path, file: str) -> list[str]:
    """The columns' names."""
    return _columns(_opened(path, file)[0], file)


def blocks(path: Path, file: str) -> Iterator[Block]:
    """All rows, the first of which has the number 2, as under a header."""
    import msgspec

    head, rows = _opened(path, file)
    names, number = _columns(head, file), 1
    forms = [text_of(str(column.get("displayFormat", ""))) for column in head["columns"]]
    decoder = msgspec.json.Decoder(list[msgspec.Raw])
    kept: list[list[str | None]] = []
    numbers: list[int] = []
    issues: list[Issue] = []
    for number, raw in enumerate(rows, 2):
        try:
            cells = decoder.decode(raw)
            if len(cells) == len(names):
                kept.append([_text(bytes(cell), form) for cell, form in zip(cells, forms, strict=True)])
                numbers.append(number)
            else:
                text = f"The row has {many(len(cells), 'cell')}, and there are {len(names)} columns: correct it."
                issues.append(Issue("error", "structure", text, file, number))
        except ValueError:
            text = "This row is no list of texts, numbers, true, false and null: export it again."
            issues.append(Issue("error", "structure", text, file, number))
        if len(numbers) + len(issues) == ROWS:
            yield _block(names, kept, numbers, issues)
            kept, numbers, issues = [], [], []
    yield _block(names, kept, numbers, issues)
    said = head.get("records")
    if isinstance(said, int) and said != number - 1:
        text = (
            f"`records` says {said}, and there are {number - 1}: it was cut off or changed by hand. Export it again."
        )
        raise _fatal("incomplete", text, file)


def _block(names: list[str], rows: list[list[str | None]], numbers: list[int], issues: list[Issue]) -> Block:
    columns = {name: strings(row[place] for row in rows) for place, name in enumerate(names)}
    return Block(columns, np.array(numbers, dtype=np.int64), issues)


def _opened(path: Path, file: str) -> tuple[dict[str, Any], Iterator[bytes]]:
    """The metadata, and the rows as JSON."""
    import msgspec

    try:
        if path.suffix.lower() == ".ndjson":
            lines = _lines(path)
            return msgspec.json.decode(next(lines, b"").removeprefix(BOM_UTF8), type=dict[str, Any]), lines
        if path.stat().st_size > LARGEST:
            raise _fatal("too-long", f"It has more than {LARGEST >> 20} MB: write it as .ndjson.", file)
        found = msgspec.json.decode(path.read_bytes().removeprefix(BOM_UTF8), type=dict[str, msgspec.Raw])
        rows = msgspec.json.decode(found.pop("rows", b"[]"), type=list[msgspec.Raw])
        return {name: msgspec.json.decode(part) for name, part in found.items()}, (bytes(row) for row in rows)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _fatal("structure", "This is no JSON, or it is cut off: export it again.", file) from None


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as raw:
        for line in raw:
            if line.strip():
                yield line


def _columns(head: dict[str, Any], file: str) -> list[str]:
    version, columns = str(head.get("datasetJSONVersion", "")), head.get("columns")
    if not version.startswith("1.1"):
        text = f"This is not Dataset-JSON 1.1 (datasetJSONVersion: {version or 'none'})."
        raise _fatal("not-supported", text, file)
    names = [column.get("name") if isinstance(column, dict) else None for column in columns or ()]
    if not names or not all(isinstance(name, str) for name in names):
        raise _fatal("structure", "Its `columns` have no names: export it again.", file)
    return [str(name) for name in names]


def _text(raw: bytes, number: Callable[[float], str]) -> str | None:
    """The text of a cell. ValueError if it is a list or an object."""
    import msgspec

    if raw[:1] == b'"':
        return msgspec.json.decode(raw, type=str) or None
    if raw in (b"null", b"true", b"false"):
        return {b"null": None, b"true": "yes", b"false": "no"}[raw]
    if raw[:1] in (b"[", b"{"):
        raise ValueError
    return raw.decode() if number is plain_number else number(float(raw))


def _fatal(code: Code, text: str, file: str) -> IssueError:
    return IssueError(Issue("fatal", code, text, file))
