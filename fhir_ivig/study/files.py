"""Blocks of cells out of files of all kinds, as these have them; never a whole file. The suffix says which kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.study import columnar, dataset_json, delimited, transport, workbook
from fhir_ivig.study.block import Block
from fhir_ivig.study.source import Source
from fhir_ivig.study.supplement import Supplement

_OTHERS = (".sas7bdat", ".sav", ".dta", ".rds", ".numbers", ".pdf", ".gz", ".zip")
_OTHER = (
    "Files of the kind {} are not read: export it as CSV, .xlsx, SAS transport (.xpt, version 5) or Dataset-JSON."
)
_MISSING = "There is no such file: put it there, name it under `file`, or take the table out of study.yaml."


def header(path: Path, source: Source, file: str) -> list[str]:
    """The file's column names, with those of its supplement; IssueError where it is not there, a folder, empty or not
    of its kind."""
    with _reported(file, path):
        match path.suffix.lower():
            case ".parquet":
                names = columnar.header(path, file)
            case ".xlsx" | ".xlsm" | ".xls" | ".xlsb" | ".ods":
                names = workbook.header(path, source, file)
            case ".xpt":
                names = transport.header(path, file)
            case ".json" | ".ndjson":
                names = dataset_json.header(path, file)
            case kind if kind in _OTHERS:
                raise IssueError(Issue("fatal", "not-supported", _OTHER.format(kind), file))
            case _:
                names = delimited.header(path, source, file)
    if not names:
        raise IssueError(Issue("fatal", "structure", "The first row is empty: it must name the columns.", file, 1))
    return [*names, *source.qualifiers]


def blocks(path: Path, source: Source, file: str, names: list[str], rows: int) -> Iterator[Block]:
    """All of a file with these column names, at most so many rows at once; IssueError where it cannot go on."""
    if not source.supplement:
        yield from _blocks(path, source, file, names, rows)
        return
    supplement = Supplement(source)
    beside = path.parent / source.supplement
    plain = replace(source, file=source.supplement, supplement=None, qualifiers={})
    found = header(beside, plain, source.supplement)
    supplement.check(found)
    for block in _blocks(beside, plain, source.supplement, found, rows):
        supplement.add(block)
    for block in _blocks(path, source, file, names[: len(names) - len(source.qualifiers)], rows):
        yield supplement.joined(block)
    supplement.end(file)


def _blocks(path: Path, source: Source, file: str, names: list[str], rows: int) -> Iterator[Block]:
    with _reported(file, path):
        match path.suffix.lower():
            case ".parquet":
                made = columnar.blocks(path, file, rows)
            case ".xlsx" | ".xlsm":
                made = workbook.blocks(path, source, file)
            case ".xpt":
                made = transport.blocks(path, source, file)
            case ".json" | ".ndjson":
                made = dataset_json.blocks(path, file)
            case _:
                made = delimited.blocks(path, source, file, names)
        for block in made:
            for start in range(0, max(len(block.numbers), 1), rows):
                part = {name: cells.slice(start, rows) for name, cells in block.columns.items()}
                numbers = block.numbers[start : start + rows]
                yield Block(part, numbers, [] if start else block.issues, block.wrong, block.cells)


@contextmanager
def _reported(file: str, path: Path) -> Iterator[None]:
    def fatal(code: Any, text: str) -> IssueError:
        return IssueError(Issue("fatal", code, text, file))

    try:
        if path.is_dir():
            raise fatal("structure", "This is a folder: name a file under `file`.")
        yield
    except FileNotFoundError:
        raise fatal("not-found", _MISSING) from None
    except OSError as error:
        raise fatal("not-found", f"Cannot read it: {error.strerror or 'it is damaged'}.") from None
