"""A study's tables in the kinds of files that statisticians take."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fhir_ivig.datasets.dataset import Dataset
from fhir_ivig.datasets.own import own_dataset
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.study.study import Study
from fhir_ivig.sync.gathering import RESOURCE
from fhir_ivig.sync.issues import IssueLog
from fhir_ivig.sync.whole import MARKER, whole_folder

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


def write_own(study: Study, out: Path, kind: str) -> Delivered:
    """The study's own tables, checked, as files of one of the KINDS in the folder `out`, whole or not at all.

    Rows in which something is wrong are left out, each with an Issue (all in `issues.ndjson`); assessments without a
    visit get it from their day. Where the resources behind the rows are known they stand in `resources/<table>.csv`,
    in the order of the rows. IssueError if it has no tables, or the folder cannot be written.
    """
    from fhir_ivig.study.cohort import load_tables

    if not study.tables:
        raise IssueError(
            Issue("fatal", "required", "It names no tables: name them under `tables:`.", study.path.name)
        )
    write, written = writer(kind), Delivered(kind)
    with whole_folder(out, [study.path, *study.files]) as part:
        written.log = IssueLog(part / "issues.ndjson")
        try:
            found, resources, _, issues = load_tables(study, study.folder)
            written.log.add(issues)
            tables = {name: found.get(name, _empty(study, name)) for name in study.tables}
            for name in _unread(study, issues):
                if not tables[name].num_rows:
                    del tables[name]
            written.log.add(write([own_dataset(study, *table) for table in tables.items()], part))
        finally:
            written.log.close()
        _resources(resources, part / "resources")
        written.rows.update({name: table.num_rows for name, table in tables.items()})
        manifest = {"study": study.study, **written.as_dict()}
        (part / MARKER).write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
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


def _resources(columns: Mapping[str, pa.Array], folder: Path) -> None:
    import pyarrow as pa

    from fhir_ivig.study.writing import write_table

    folder.mkdir(mode=0o700)
    for name, column in columns.items():
        write_table(folder / f"{name}.csv", [pa.RecordBatch.from_arrays([column], [RESOURCE])], [RESOURCE])


def converted(study: Study, kind: str) -> Callable[[Path], Iterable[Issue]]:
    """What `tabulate_into` does with its finished CSV tables to make files of another kind of them."""

    write = writer(kind)

    def convert(folder: Path) -> list[Issue]:
        from fhir_ivig.study.writing import read_written

        files = {name: folder / f"{name}.csv" for name in study.dictionary}
        there = {name: path for name, path in files.items() if path.exists()}
        issues = write([own_dataset(study, name, read_written(path)) for name, path in there.items()], folder)
        for path in there.values():
            path.unlink()
        return issues

    return convert
