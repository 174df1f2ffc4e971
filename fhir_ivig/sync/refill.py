"""FHIR resources as the files that a study's tables are read from: the same files, columns, words and units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

from fhir_ivig.issue import Issue, IssueError, failed
from fhir_ivig.study.study import Study
from fhir_ivig.sync.tabulate import Convert

if TYPE_CHECKING:
    import pyarrow as pa

    from fhir_ivig.study.returning import Returned


# Writes tables as the file of the first path, described as the second one, if that is there.
WriteLike = Callable[[Path, Path, Sequence["Returned"]], list[Issue]]


def refilled(study: Study, write: WriteLike) -> Convert:
    """What `tabulate` does with its finished CSV tables to make the study's own files of them (all in memory).

    `write` is what writes the files: `datasets.refilling.write_like`.

    What was written is read again: each row that does not come back as it was is an error.
    """

    def convert(folder: Path) -> Iterable[Issue]:
        from fhir_ivig.study.writing import read_written

        files = {name: folder / f"{name}.csv" for name in study.dictionary}
        there = {name: path for name, path in files.items() if path.exists()}
        tables = {name: read_written(path) for name, path in there.items() if name in study.tables}
        for path in there.values():
            path.unlink()
        rmtree(folder / "resources")  # of rows that are no rows of these files
        return write_sources(study, tables, folder, write)

    return convert


def write_sources(study: Study, tables: Mapping[str, pa.Table], folder: Path, write: WriteLike) -> Iterator[Issue]:
    """The tables as the files that they are read from, in a folder; Issues for what their shape cannot hold."""
    from fhir_ivig.study.returning import returned

    files: dict[Path, list[Returned]] = {}
    for one in returned(study, tables, _headers(study)):
        yield from one.issues
        path = one.source.path(study.folder)
        if path.resolve().is_relative_to(study.folder.resolve()):
            files.setdefault(folder / path.relative_to(study.folder), []).append(one)
        else:
            text = "This file is not in the folder of study.yaml: it is not written."
            yield Issue("error", "not-supported", text, one.source.name)
    for path, sheets in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        yield from _write(path, sheets, study.folder / path.relative_to(folder), write)
    yield from _read_again(replace(study, path=folder / study.path.name), tables)


def _headers(study: Study) -> dict[str, list[str]]:
    """The columns of the study's files that are there and can be read."""
    from fhir_ivig.study.files import header

    found = {}
    for part in (part for parts in study.tables.values() for part in parts):
        if part.name not in found:
            try:
                found[part.name] = header(part.path(study.folder), part, part.name)
            except IssueError:
                found[part.name] = []
    return found


def _write(path: Path, sheets: Sequence[Returned], was: Path, write: WriteLike) -> list[Issue]:
    source = sheets[0].source
    if source.supplement:
        from fhir_ivig.study.supplement import divided

        own, beside = divided(source, sheets[0].table)
        alone = replace(source, file=source.supplement, supplement=None)
        supplement = [replace(sheets[0], table=beside, source=alone)]
        places = path.parent / source.supplement, was.parent / source.supplement
        issues = _write(places[0], supplement, places[1], write)
        without = replace(source, supplement=None)
        return issues + _write(path, [replace(sheets[0], table=own, source=without)], was, write)
    return write(path, was, sheets)


def _read_again(study: Study, tables: Mapping[str, pa.Table]) -> Iterator[Issue]:
    import pyarrow as pa

    from fhir_ivig.study.read_again import differences
    from fhir_ivig.study.tables import read_table

    outside = {path for path in study.files if not path.resolve().is_relative_to(study.folder.resolve())}
    for name, rows in tables.items():
        if any(part.path(study.folder) in outside for part in study.tables[name]):
            continue  # that is an error already
        blocks = list(read_table(study, name))
        yield from (issue for block in blocks for issue in block.issues if failed([issue]))
        again = pa.Table.from_batches([block.batch for block in blocks], rows.schema)
        file = ", ".join(dict.fromkeys(part.name for part in study.tables[name]))
        yield from differences(study.dictionary[name], rows, again, file)
