"""A study made ready to leave the hospital: its tables and its study file de-identified, and FHIR written from these.

What becomes of a column is its class in the data dictionary (`fhir_ivig.study.classes`). Nothing else is carried
over: no FHIR as it was received, no ids of resources, no journal, no Issue, since these quote cells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fhir_ivig.deidentify.key import Key, new_key
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.study.classes import class_of, fault
from fhir_ivig.study.steady import steady
from fhir_ivig.study.study import Study
from fhir_ivig.sync.issues import IssueLog
from fhir_ivig.sync.whole import MARKER, beside, read_manifest, whole_folder, write_manifest

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


@dataclass(slots=True)
class Deidentified:
    """What became of a study: `rows` that left, by table, and `withheld`; `resources` written as FHIR.

    `cohort` tells whether what it was made from was complete (True for a study that is no pull); `out` is the folder
    written, where that is not the one asked for.
    """

    rows: Counter[str] = field(default_factory=Counter)
    withheld: Counter[str] = field(default_factory=Counter)
    resources: int = 0
    cohort: bool = True
    out: Path | None = None
    log: IssueLog = field(default_factory=IssueLog)

    @property
    def complete(self) -> bool:
        """Whether every row left, and the study was complete."""
        return self.cohort and not self.log.failed

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "complete": self.complete,
            "rows": self.rows,
            "withheld": +self.withheld,
            "resources": self.resources,
            "issues": self.log.counts,
        }


@dataclass(frozen=True, slots=True)
class _Read:
    """A table as read: its right rows, their row numbers, its file."""

    rows: pa.Table
    numbers: np.ndarray
    file: str


def deidentify(
    study: Study,
    key: Path,
    out: Path,
    *,
    form: Literal["csv", "parquet"] = "csv",
    fhir: bool = False,
    version: str | None = None,
) -> Deidentified:
    """Write a study without what tells who its subjects are into the folder `out`: `study.yaml`, its tables, and with
    `fhir` these as FHIR (of `version`, the study's own if None) in `out/fhir`.

    key: the key file, made if it is not there; the same key gives the same hashes and days. Rows in which something
    is wrong are withheld, each with an error Issue; Issues are kept in the result only. What is not complete does not
    replace an earlier folder that is: it becomes `OUT.incomplete` (`Deidentified.out`). IssueError, and nothing
    written, for a column without a class or with one that it cannot have, a key file that cannot be used, and a study
    file that names a subject.
    """
    refuse_unclassed(study)
    refuse_mixed(study, out)
    found = Deidentified()
    found.cohort = read_manifest(study.folder).get("complete") is not False
    with whole_folder(out, [study.path, *study.files, key], keep_complete=True) as part:
        found.log.add(_faults(study))
        with steady(study):
            tables = _read(study, found)
        known = Key.load(key, study.base)
        _write(study, known, tables, part, form, found)
        if fhir:
            from fhir_ivig.sync.export import export

            exported = export(Study.load(part / "study.yaml"), part / "fhir", version=version)
            found.resources = exported.resources.total()
            found.log.add(of_output(exported.log.first))
        said = {"study": study.study, "deidentified": True, **found.as_dict(), "classes": _classes(study)}
        write_manifest(part, said)
        found.out = beside(out, part)
    if known.new:
        found.log.add([new_key(key)])
    return found


def of_output(issues: Iterable[Issue]) -> list[Issue]:
    """Issues of what was written from the de-identified tables, whose rows are in another order than the study's."""
    return [issue.at(file=f"de-identified {issue.file or 'tables'}") for issue in issues]


def refuse_unclassed(study: Study) -> None:
    """IssueError with every column of the study's tables that has no class, or one that it cannot have."""
    issues = [
        Issue("fatal", "security", text, study.path.name, column=f"{name}.{column.name}")
        for name in study.tables
        for column in study.dictionary[name].columns.values()
        if (text := fault(study.dictionary[name], column))
    ]
    if issues:
        raise IssueError(*issues)


def refuse_mixed(study: Study, out: Path) -> None:
    """IssueError for a study that is de-identified already, and for a folder to write with one that is not: it would
    stay there where the new one is less complete, and be taken for it."""
    if read_manifest(study.folder).get("deidentified"):
        text = "This study is de-identified already: take the one that it was made from."
        raise IssueError(Issue("fatal", "conflict", text, str(study.folder / MARKER)))
    if (earlier := read_manifest(out)) and not earlier.get("deidentified"):
        text = "What is here is not de-identified: choose another folder."
        raise IssueError(Issue("fatal", "conflict", text, str(out)))


def _faults(study: Study) -> Iterator[Issue]:
    from fhir_ivig.deidentify.definition import warnings

    yield from warnings(study)
    if read_manifest(study.folder).get("complete") is False:
        text = "The cohort is incomplete, and so is what is made of it: pull again."
        yield Issue("warning", "incomplete", text, str(study.folder / MARKER))


def _read(study: Study, found: Deidentified) -> dict[str, _Read]:
    """All tables; what is wrong in them goes to the log."""
    import numpy as np
    import pyarrow as pa

    from fhir_ivig.study.tables import read_table

    tables = {}
    for name in study.tables:
        blocks = list(read_table(study, name))
        for block in blocks:
            found.log.add(block.issues)
            found.withheld[name] += block.withheld
        names = list(study.dictionary[name].columns)
        schema = pa.schema([(column, pa.string()) for column in names])
        rows = pa.Table.from_batches([block.batch for block in blocks], schema)
        numbers = [block.numbers for block in blocks] or [np.zeros(0, dtype=np.int64)]
        tables[name] = _Read(rows, np.concatenate(numbers), blocks[0].file if blocks else name)
    return tables


def _write(study: Study, key: Key, tables: dict[str, _Read], folder: Path, form: str, found: Deidentified) -> None:
    from fhir_ivig.deidentify.cells import Cells
    from fhir_ivig.deidentify.definition import defined, own_mappings
    from fhir_ivig.deidentify.naming import refuse_named, translated
    from fhir_ivig.deidentify.people import people
    from fhir_ivig.deidentify.words import named
    from fhir_ivig.study.writing import TableWriter
    from fhir_ivig.sync.export import bind

    hashed, identifying = _originals(study, tables)
    text, mappings = translated(defined(study, tables), hashed, key), own_mappings(study)
    for word in text.get("deidentify", {}).get("words", ()):
        identifying.pop(word, None)
    found.log.add(refuse_named({study.path.name: text, **mappings}, identifying))
    known = named(text, [Path(mapping.file) for mapping in bind(study).mappings.by_name.values()])
    numeric = frozenset(name for name, measure in study.measures.items() if measure.unit)
    who = people(study, {name: table.rows for name, table in tables.items()}, key)
    for name, table in tables.items():
        cells = Cells(
            study.dictionary[name],
            table.rows,
            table.numbers,
            table.file,
            who,
            key,
            known - identifying.keys(),
            numeric,
        )
        made = cells.made()
        found.log.add(cells.issues)
        found.rows[name] = len(made)
        found.withheld[name] += len(table.rows) - len(made)
        with (folder / f"{name}.{form}").open("wb") as file:
            writer = TableWriter(file, made.schema.names, form)
            for batch in made.combine_chunks().to_batches():
                writer.write(batch)
            writer.close()
    for path, document in {"study.yaml": text, **mappings}.items():
        _write_yaml(folder / path, document)


def _write_yaml(path: Path, document: Any) -> None:
    import yaml

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), "utf-8")


def _originals(study: Study, tables: dict[str, _Read]) -> tuple[dict[str, frozenset[str]], dict[str, str]]:
    """The cells of hashed columns by their names; and those of all columns that are hashed, or private and do not
    leave, each with its column."""
    hashed: dict[str, frozenset[str]] = {}
    identifying: dict[str, str] = {}
    for name, table in tables.items():
        for column in study.dictionary[name].columns.values():
            said = class_of(column)
            if said != "hash" and (not column.private or said in ("keep", "word")):
                continue
            cells = frozenset(cell for cell in table.rows[column.name].unique().to_pylist() if cell)
            identifying = dict.fromkeys(cells, f"{name}.{column.name}") | identifying
            if said == "hash":
                hashed[column.name] = hashed.get(column.name, frozenset()) | cells
    return hashed, identifying


def _classes(study: Study) -> dict[str, dict[str, str | None]]:
    return {
        name: {column.name: class_of(column) for column in study.dictionary[name].columns.values()}
        for name in study.tables
    }
