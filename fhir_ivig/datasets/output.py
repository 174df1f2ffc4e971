"""A study's tables in the kinds of files that statisticians take."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fhir_ivig.datasets.dataset import Dataset, Made
from fhir_ivig.datasets.own import own_dataset
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.study.source import Source
from fhir_ivig.study.study import Study
from fhir_ivig.sync.gathering import RESOURCE
from fhir_ivig.sync.issues import IssueLog
from fhir_ivig.sync.whole import whole_folder, write_manifest

if TYPE_CHECKING:
    import pyarrow as pa

Write = Callable[[Sequence[Dataset], Path], list[Issue]]
# Kind of file -> the module and the function that write it.
KINDS = {
    "csv": "plain:write_csv",
    "parquet": "plain:write_parquet_files",
    "excel": "excel:write_excel",
    "dataset-json": "dataset_json:write_json",
    "dataset-ndjson": "dataset_json:write_ndjson",
    "xpt": "transport:write_transport",
}
_NEEDS = {"excel": ("openpyxl", "excel"), "xpt": ("pyreadstat", "sas")}  # the package, and the extra that has it


@dataclass(slots=True)
class Delivered:
    """What was written: files of a `kind`, `rows` by table, and every Issue."""

    kind: str
    rows: Counter[str] = field(default_factory=Counter)
    log: IssueLog = field(default_factory=IssueLog)

    @property
    def complete(self) -> bool:
        """Whether nothing was left out."""
        return not self.log.failed

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"complete": self.complete, "format": self.kind, "rows": self.rows, "issues": self.log.counts}


def writer(kind: str) -> Write:
    """What writes data sets as one of the KINDS: `write(data sets, folder)` gives Issues. IssueError if the package
    that it needs is not installed."""
    package, extra = _NEEDS.get(kind, ("", ""))
    if package and find_spec(package) is None:
        said = f'This kind of file needs a further package: pip install "fhir-ivig[{extra}]"'
        raise IssueError(Issue("fatal", "not-found", said))
    module, _, name = KINDS[kind].partition(":")
    write: Write = getattr(import_module(f"fhir_ivig.datasets.{module}"), name)
    return write


def write_own(study: Study, out: Path, kind: str, shape: str = "study") -> Delivered:
    """The study's own tables, checked, as files of one of the KINDS in the folder `out`, whole or not at all; in the
    `shape` they have in the study, or of `sdtm` or `adam` (shaped.py), described in `define.json` and `define.html`.

    Rows in which something is wrong are left out, each with an Issue (all in `issues.ndjson`); assessments without a
    visit get it from their day. Where the resources behind the rows are known they stand in `resources/<name>.csv`,
    in the order of the rows. IssueError if it has no tables, or the folder cannot be written.
    """
    from fhir_ivig.study.cohort import load_tables

    if not study.tables:
        raise IssueError(
            Issue("fatal", "required", "It names no tables: name them under `tables:`.", study.path.name)
        )
    writer(kind)
    written = Delivered(kind)
    with whole_folder(out, [study.path, *study.files]) as part:
        written.log = IssueLog(part / "issues.ndjson", once=True)
        try:
            found, resources, numbers, issues = load_tables(study, study.folder)
            written.log.add(issues)
            tables = {name: found.get(name, _empty(study, name)) for name in study.tables}
            for name in _unread(study, issues):
                if not tables[name].num_rows:
                    del tables[name]
            made, issues = _made(study, shape, tables, resources, numbers)
            written.log.add([*issues, *_write(study, made, part, kind, shape)])
        finally:
            written.log.close()
        written.rows.update({one.dataset.name: one.dataset.table.num_rows for one in made})
        manifest = {"study": study.study, **written.as_dict()}
        write_manifest(part, manifest)
    return written


def _unread(study: Study, issues: Iterable[Issue]) -> set[str]:
    """The tables whose files could not be read, or not to their ends."""
    files = {issue.file for issue in issues if issue.severity == "fatal"}
    tables = study.tables.items()
    return {
        name for name, parts in tables if any((one.file or one.path(study.folder).name) in files for one in parts)
    }


def _empty(study: Study, table: str) -> pa.Table:
    """A table without rows."""
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in study.dictionary[table].columns]).empty_table()


def _made(
    study: Study,
    shape: str,
    tables: Mapping[str, pa.Table],
    resources: Mapping[str, pa.Array],
    numbers: Mapping[str, Any],
) -> tuple[list[Made], list[Issue]]:
    """The tables as data sets of a shape, and Issues."""
    if shape == "study":
        return [Made(own_dataset(study, *table), resources=resources.get(table[0])) for table in tables.items()], []
    from fhir_ivig.datasets.shaped import shaped

    return shaped(study, shape, tables, resources, numbers)


def _write(study: Study, made: Sequence[Made], folder: Path, kind: str, shape: str) -> list[Issue]:
    """The files of data sets, what describes them, and the resources behind their rows."""
    import pyarrow as pa

    from fhir_ivig.study.writing import write_table

    issues = writer(kind)([one.dataset for one in made], folder)
    if shape != "study":
        from fhir_ivig.datasets.define import write_define

        write_define(study, shape, kind, made, folder)
    beside = folder / "resources"
    beside.mkdir(mode=0o700, exist_ok=True)
    for one in made:
        if one.resources is not None:
            rows = pa.RecordBatch.from_arrays([one.resources], [RESOURCE])
            write_table(beside / f"{one.dataset.name}.csv", [rows], [RESOURCE])
    return issues


def converted(study: Study, kind: str, shape: str = "study") -> Callable[[Path], Iterable[Issue]]:
    """What `tabulate` does with its finished CSV tables to make of them files of another kind, or shape."""
    writer(kind)

    def convert(folder: Path) -> list[Issue]:
        from fhir_ivig.study.cohort import load_tables
        from fhir_ivig.study.writing import read_written

        files = {name: folder / f"{name}.csv" for name in study.dictionary}
        there = {name: path for name, path in files.items() if path.exists()}
        issues: list[Issue] = []
        if shape == "study":
            made, _ = _made(study, shape, {name: read_written(path) for name, path in there.items()}, {}, {})
        else:
            cohort = replace(study, tables={name: (Source(name),) for name in there if name != "studies"})
            tables, resources, numbers, found = load_tables(cohort, folder)
            made, issues = _made(study, shape, tables, resources, numbers)
            issues += [
                issue for issue in found if issue.severity in ("error", "fatal")
            ]  # the others were said before
            shutil.rmtree(folder / "resources")
        for path in there.values():
            path.unlink()
        return issues + _write(study, made, folder, kind, shape)

    return convert
