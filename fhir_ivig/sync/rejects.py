"""The rows that did not reach the target, as tables to correct, each with the reason in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fhir_ivig.issue import Issue, failed
from fhir_ivig.study.source import Source
from fhir_ivig.study.study import Study
from fhir_ivig.sync.whole import whole_folder, write_manifest

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMNS = ("table", "row", "row_in_study", "column", "path", "code", "text")


def write_rejects(study: Study, issues: Iterable[Issue], out: Path) -> int:
    """Write the rows that the error Issues name to `out/TABLE.csv`, in the columns of their own files, and
    `out/issues.csv` with the reasons: table, row there and in the study, column, FHIRPath, code, text. How many rows.

    IssueError as `whole.whole_folder`.
    """
    import pyarrow as pa

    from fhir_ivig.study.texts import strings
    from fhir_ivig.study.writing import write_table

    wrong: dict[str, dict[int, list[Issue]]] = {}
    for issue in issues:
        if failed([issue]) and issue.file and issue.row:
            wrong.setdefault(issue.file, {}).setdefault(issue.row, []).append(issue)
    said: list[tuple[str, ...]] = []
    with whole_folder(out, [study.path]) as part:
        for table, source in _files(study):
            file = source.label(source.path(study.folder))
            if rows := wrong.pop(file, None):
                batches, names, numbers = _rows(study, source, file, rows)
                write_table(part / f"{table}.csv", batches, names)
                for place, number in enumerate(numbers, 2):
                    said += [_line(table, place, issue) for issue in rows[number]]
        cells = [strings(line[place] or None for line in said) for place in range(len(_COLUMNS))]
        write_table(part / "issues.csv", [pa.record_batch(cells, names=list(_COLUMNS))], _COLUMNS)
        count = len({(line[0], line[1]) for line in said})
        write_manifest(part, {"complete": True, "issues": {}, "rows": count})
    return count


def _files(study: Study) -> Iterator[tuple[str, Source]]:
    """Each file with the name of the table of it: the table's own, with a number where it has several files."""
    for table, parts in study.tables.items():
        files = {source.name: source for source in parts if not source.shared or source.beside}
        for number, source in enumerate(files.values(), 1):
            yield table if len(files) == 1 else f"{table}_{number}", source


def _rows(
    study: Study, source: Source, file: str, rows: Mapping[int, Sequence[Issue]]
) -> tuple[list[pa.RecordBatch], list[str], list[int]]:
    """The rows of a file with these numbers, as they are there."""
    import numpy as np
    import pyarrow as pa

    from fhir_ivig.study.files import blocks, header

    path = source.path(study.folder)
    names = header(path, source, file)
    batches, numbers = [], list[int]()
    for block in blocks(path, source, file, names, 1 << 15):
        mine = np.flatnonzero(np.isin(block.numbers, list(rows)))
        if len(mine):
            cells = [block.columns[name].take(pa.array(mine)).cast(pa.string()) for name in names]
            batches.append(pa.record_batch(cells, names=names))
            numbers += block.numbers[mine].tolist()
    return batches, names, numbers


def _line(table: str, place: int, issue: Issue) -> tuple[str, ...]:
    return (table, str(place), str(issue.row), issue.column or "", issue.path or "", issue.code, issue.text)
