"""A study's tables as FHIR, in a folder of NDJSON: one file a resource type, as the Bulk Data guide lays it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.mapping.collection import Bound, Mappings
from fhir_ivig.study.steady import steady
from fhir_ivig.study.study import Study
from fhir_ivig.sync.doubles import Numbers
from fhir_ivig.sync.issues import IssueLog
from fhir_ivig.sync.places import Places
from fhir_ivig.sync.whole import whole_folder, write_manifest

if TYPE_CHECKING:
    from fhir_ivig.study.tables import Rows

Progress = Callable[[str, int], None]


@dataclass(slots=True)
class Exported:
    """What an export did: `rows` read by table, `resources` written by mapping, rows `withheld` by table.

    A row is withheld if an error keeps any mapping from writing it; the table's other mappings may have written it.
    `without` counts rows, by mapping, that an optional mapping had nothing to write for. `places` tells, by resource
    type, which row each line of its file came from.
    """

    rows: Counter[str] = field(default_factory=Counter)
    resources: Counter[str] = field(default_factory=Counter)
    withheld: Counter[str] = field(default_factory=Counter)
    without: Counter[str] = field(default_factory=Counter)
    places: dict[str, Places] = field(default_factory=dict)
    log: IssueLog = field(default_factory=IssueLog)

    @property
    def complete(self) -> bool:
        """Whether every row became what it should."""
        return not self.log.failed

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "complete": self.complete,
            "rows": self.rows,
            "resources": self.resources,
            "withheld": +self.withheld,
            "issues": self.log.counts,
        }


def bind(study: Study, version: str | None = None) -> Bound:
    """The study's mappings, shipped and its own, bound to it. IssueError if one is wrong or fits no table."""
    mappings = Mappings.load(version or study.fhir_version, study.mappings)
    issues = [
        Issue("fatal", "not-found", f"`{column}` is no column of the table {mapping.table}.", mapping.file)
        for mapping in mappings.by_name.values()
        for column in mapping.columns
        if mapping.table not in study.dictionary or column not in study.dictionary[mapping.table].columns
    ]
    if issues:
        raise IssueError(*issues)
    return mappings.bind(study.base, {"study": study.study, **study.parameters})


def export(
    study: Study,
    out: Path | None,
    *,
    version: str | None = None,
    form: str = "ndjson",
    bound: Bound | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write the study's tables as FHIR of `version` (R4, R4B, R5; the study's own if None) into the folder `out`.

    `form` is `ndjson` or `bundle` (transaction Bundles that may be posted as they are). Rows in which something is
    wrong are withheld, each with an error Issue; all Issues are in `issues.ndjson` too. With `out` None nothing is
    written: a check. `bound` is what `bind` gives, if it was done before. `progress` is told each table and how many
    of its rows were read. IssueError if a table is written meanwhile.

    Rows that share a key are only known when all are read: then everything is written anew without them.
    """
    bound = bound or bind(study, version)
    if out is None:
        return _twice(study, bound, None, progress)
    with whole_folder(out, [study.path]) as part:
        exported = _twice(study, bound, part, progress)
        if form == "bundle":
            from fhir_ivig.sync.bundles import to_bundles

            to_bundles(part)
        about = {"study": study.study, "fhirVersion": bound.mappings.version}
        write_manifest(part, {**about, **exported.as_dict()})
    return exported


def _twice(study: Study, bound: Bound, folder: Path | None, progress: Progress | None) -> Exported:
    first = _Run(study, bound, folder, {})
    with steady(study):
        exported = first.run(progress)
        doubles = {name: found for name, numbers in first.hashes.items() if (found := numbers.doubled())}
        if not doubles:
            return exported
        for file in first.files.values():
            Path(file.name).unlink()
        return _Run(study, bound, folder, doubles).run(progress)


class _Run:
    """One pass over all tables."""

    def __init__(self, study: Study, bound: Bound, folder: Path | None, refused: dict[str, set[int]]) -> None:
        self.study, self.bound, self.folder, self.refused = study, bound, folder, refused
        self.known: dict[str, set[str]] = {name: set() for name in bound.targets}
        self.hashes: dict[str, Numbers] = {}
        self.files: dict[str, IO[bytes]] = {}

    def run(self, progress: Progress | None) -> Exported:
        from fhir_ivig.study.tables import read_table

        exported = Exported(log=IssueLog(self.folder / "issues.ndjson" if self.folder else None, once=True))
        with ExitStack() as stack:
            stack.callback(exported.log.close)
            for table in table_order(self.bound.mappings):
                for rows in read_table(self.study, table):
                    self.write(rows, exported, stack)
                    if progress:
                        progress(table, exported.rows[table])
        return exported

    def write(self, rows: Rows, exported: Exported, stack: ExitStack) -> None:
        """The resources of some rows, mapping by mapping, those that others refer to first."""
        exported.rows[rows.table] += rows.batch.num_rows + rows.withheld
        issues: list[Issue] = []
        whose = rows.table, rows.batch, rows.numbers, rows.file
        for mapping, written in self.bound.write(*whose, self.known, self.refused):
            issues += map(rows.placed, written.issues)
            exported.resources[mapping.name] += written.count
            exported.without[mapping.name] += written.without
            self.hashes.setdefault(mapping.name, Numbers()).add(written.hashes)
            if self.folder and written.count:
                file = self.file(mapping.resource_type, stack)
                for buffer in written.buffers():
                    file.write(buffer)
                places = exported.places.setdefault(mapping.resource_type, Places())
                places.add(mapping.name, rows.file, written.rows)
        issues += map(rows.placed, self.bound.unmapped(*whose))
        exported.withheld[rows.table] += rows.withheld + len({issue.row for issue in issues})
        exported.log.add(dict.fromkeys([*rows.issues, *issues]))  # several mappings may say the same of a row

    def file(self, resource_type: str, stack: ExitStack) -> Any:
        if resource_type not in self.files and self.folder:
            path = self.folder / f"{resource_type}.ndjson"
            self.files[resource_type] = stack.enter_context(path.open("wb"))
        return self.files[resource_type]


def table_order(mappings: Mappings) -> Iterable[str]:
    """The tables, those whose resources others refer to first."""
    graph = {
        table: {mappings.by_name[target].table for mapping in found for target in mapping.targets} - {table}
        for table, found in mappings.tables.items()
    }
    return TopologicalSorter(graph).static_order()
