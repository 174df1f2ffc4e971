"""What a notebook calls: one mapping at a time on rows in memory, and the endpoints of a folder.

import fhir_ivig
ck = fhir_ivig.bind_mapping("creatine_kinase", base="https://example.org/studies/mine")
written = ck.write(frame)            # a pandas DataFrame, an Arrow table, or a list of dicts
read = ck.read(written.json_lines())
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.mapping.collection import Bound, Mappings
from fhir_ivig.mapping.references import References
from fhir_ivig.study.study import Study
from fhir_ivig.sync.whole import MARKER, read_manifest

if TYPE_CHECKING:
    import pyarrow as pa

    from fhir_ivig.endpoints.result import Result
    from fhir_ivig.mapping.writing import Written


@dataclass(slots=True)
class ReadRows:
    """Rows read from resources: `batch` has the mapping's columns (strings, null = empty) and is in line with
    `resources` (`Type/id`). `issues` have the number of the resource (from 1) as `row`. `withheld` gave no row."""

    batch: pa.RecordBatch
    resources: list[str]
    issues: list[Issue] = field(default_factory=list)
    withheld: int = 0

    def to_frame(self) -> Any:
        """The rows as a pandas DataFrame of texts."""
        return self.batch.to_pandas()

    def to_dicts(self) -> list[dict[str, str | None]]:
        """The rows as dicts."""
        rows: list[dict[str, str | None]] = self.batch.to_pylist()
        return rows


class StudyMapping:
    """One mapping of a study, both ways, on rows in memory. Make one with `bind_mapping`."""

    def __init__(self, name: str, bound: Bound) -> None:
        self.name, self.bound = name, bound
        self.mapping = bound.mappings.by_name[name]

    def write(self, rows: Any) -> Written:
        """The resources of rows: a pandas DataFrame, an Arrow table or batch, or a list of dicts with the mapping's
        columns. Numbers must be text, int or Decimal: a float has lost its digits already (IssueError).

        `Written.json_lines()` are the resources; rows in which something is wrong are withheld, each with an Issue
        (`row` counts as in a spreadsheet: the first row is 2).
        """
        from fhir_ivig.study.adapters import to_batch
        from fhir_ivig.study.dictionary import Column, Table

        columns = {name: Column(name, "text") for name in self.mapping.columns}
        batch = to_batch(rows, Table(self.mapping.table, "", self.mapping.key, columns))
        return self.bound.writers[self.name].write(batch)

    def write_objects(self, rows: Any) -> tuple[list[Any], list[Issue]]:
        """The same as objects of `fhir.resources`, which checks them once more. Its decimals are Python's."""
        import fhir.resources
        import fhir.resources.R4B

        written = self.write(rows)
        package: Any = fhir.resources if self.mapping.version == "R5" else fhir.resources.R4B
        model = package.get_fhir_model_class(self.mapping.resource_type)
        return [model.model_validate_json(line) for line in written.json_lines()], written.issues

    def read(self, resources: Iterable[Any]) -> ReadRows:
        """The rows of resources: JSON texts or bytes, dicts, or objects of `fhir.resources`.

        Numbers stay as they are written in JSON texts; dicts should hold Decimal, not float, and the objects of
        `fhir.resources` drop trailing zeros when they are turned into JSON. Other mappings' resources give an Issue.
        """
        lines = [_line(resource) for resource in resources]
        if not lines:
            return ReadRows(self.no_rows(), [])
        data = b"".join(lines)
        found = self.bound.read(data, range(1, len(lines) + 1), None, References(), final=True)
        rows = ReadRows(self.no_rows(), [], found.issues)
        for read in found.reads:
            rows.issues += read.issues
            if read.mapping == self.name:
                rows.batch, rows.resources, rows.withheld = read.batch, read.resources.to_pylist(), read.withheld
            else:
                said = f"This is a resource of the mapping {read.mapping}: it gives no row here."
                rows.issues += [Issue("warning", "not-supported", said, row=row) for row in read.numbers.tolist()]
        return rows

    def no_rows(self) -> pa.RecordBatch:
        """The mapping's columns without a row."""
        import pyarrow as pa

        names = list(self.mapping.columns)
        return pa.RecordBatch.from_arrays([pa.nulls(0, pa.string()) for _ in names], names)

    read_objects = read


def bind_mapping(
    name: str,
    *,
    base: str,
    version: str = "R4",
    parameters: dict[str, str] | None = None,
    folders: Iterable[Path] = (),
) -> StudyMapping:
    """A mapping by its name, shipped or from further folders, bound to a study's identifier base and parameters.

    `base` begins every identifier of the study; what else the mappings ask for (`study`, `mrn_system`) is given by
    `parameters`, for both of which an example stands in if not given. IssueError if there is no such mapping.
    """
    mappings = Mappings.load(version, folders)
    if name not in mappings.by_name:
        text = f"There is no mapping `{name}`; there are {', '.join(sorted(mappings.by_name))}."
        raise IssueError(Issue("fatal", "not-found", text))
    given = {"study": base.rsplit("/", 1)[-1], "mrn_system": f"{base}/mrn", **(parameters or {})}
    return StudyMapping(name, mappings.bind(base, given))


def compute_endpoints(
    tables: Path | str, study: Path | str | None = None, *, incomplete: bool = False
) -> tuple[list[Result], list[Issue]]:
    """The endpoints of the study in a folder (or a study.yaml), from its tables, with the resources behind them.

    IssueError for a cohort whose manifest does not say that it is complete, unless `incomplete`.
    """
    from fhir_ivig.endpoints.compute import compute

    given = read_given(tables, study, incomplete)
    results, problems = compute(given.study, given.tables, given.resources, given.numbers)
    return results, [*given.issues, *problems]


@dataclass(frozen=True, slots=True)
class Given:
    """A folder as read: the study file as plain texts, its tables with the resources behind them, the row numbers of
    those that rows were left out of, and Issues."""

    study: dict[str, Any]
    tables: dict[str, pa.Table]
    resources: dict[str, pa.Array]
    numbers: dict[str, Any]
    issues: list[Issue]
    folder: Path
    files: list[Path]


def read_given(tables: Path | str, study: Path | str | None, incomplete: bool) -> Given:
    """Reads a folder; `study` is another study.yaml than the one in it. IssueError as `compute_endpoints`."""
    from fhir_ivig.study.cohort import load_tables
    from fhir_ivig.yamltext import load, plain

    tables, file = Path(tables), Path(study or tables)
    folder = tables if tables.is_dir() else tables.parent
    file = file / "study.yaml" if file.is_dir() else file
    root = load(file)
    loaded = Study.load(file, root)
    if not incomplete:
        _refuse_incomplete(folder)
    found, resources, numbers, issues = load_tables(loaded, folder)
    files = [file, *dict.fromkeys(part.path(folder) for name in found for part in loaded.tables[name])]
    return Given(plain(root), found, resources, numbers, issues, folder, files)


def _refuse_incomplete(folder: Path) -> None:
    """IssueError if there is a manifest that does not say that the tables beside it are complete."""
    manifest = folder / MARKER
    if manifest.exists() and read_manifest(folder).get("complete") is not True:
        text = "This cohort is not known to be complete: see its issues.ndjson, pull again, or say --incomplete."
        raise IssueError(Issue("fatal", "incomplete", text, str(manifest)))


def _line(resource: Any) -> bytes:
    """One resource as a line of compact JSON."""
    import msgspec

    if hasattr(resource, "model_dump_json"):
        resource = resource.model_dump_json()
    if isinstance(resource, dict):
        encoder = msgspec.json.Encoder(decimal_format="number")
        return encoder.encode(resource) + b"\n"
    raw = resource.encode() if isinstance(resource, str) else bytes(resource)
    return raw.replace(b"\n", b" ").replace(b"\r", b" ").strip() + b"\n"


def list_mappings(study: Study | None = None, version: str | None = None) -> dict[str, str]:
    """The mappings by name, with what each is about: the shipped ones, and those of a study."""
    loaded = Mappings.load(version or (study.fhir_version if study else "R4"), study.mappings if study else ())
    return {name: found.about for name, found in sorted(loaded.by_name.items())}


def explain_mapping(name: str, study: Study | None = None, version: str | None = None) -> dict[str, Any]:
    """What a mapping does, as plain values: columns beside FHIRPaths, the search, an example row and its resource."""
    from fhir_ivig.mapping.explain import example_row, explain
    from fhir_ivig.sync.searches import search

    bound = bind_mapping(
        name,
        base=study.base if study else "https://example.org/studies/mine",
        version=version or (study.fhir_version if study else "R4"),
        parameters={"study": study.study, **study.parameters} if study else None,
        folders=study.mappings if study else (),
    )
    found = bound.mapping
    asked = search(bound.bound.base, [found])
    parameters = {**asked.parameters, **({asked.subjects: "Patient/..."} if asked.subjects else {})}
    row = example_row(found)
    return {
        "mapping": name,
        "version": found.version,
        "about": found.about,
        "file": Path(found.file).name,
        "table": found.table,
        "key": list(found.key),
        "columns": explain(found),
        "search": f"{asked.resource_type}?" + "&".join(f"{key}={value}" for key, value in parameters.items()),
        "example_row": row,
        "example": "".join(bound.write([row]).json_lines()),
    }
