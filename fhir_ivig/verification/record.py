"""The hospital's record as a study's tables: a folder that `pull` wrote, or fetched for the occasion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fhir_ivig.fhir.address import is_address
from fhir_ivig.fhir.client import Client
from fhir_ivig.fhir.server import ServerSettings
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.study.source import Source
from fhir_ivig.study.study import Study
from fhir_ivig.sync.pull_study import pull_study
from fhir_ivig.sync.whole import MARKER, passing_folder, read_manifest
from fhir_ivig.verification.carried import Carried
from fhir_ivig.yamltext import load

TABLES = (".csv", ".parquet", ".xlsx")
_MAY_BE = Issue(
    "warning",
    "incomplete",
    "The record is not known to be complete: what is only in the study may be there after all.",
)


@dataclass(frozen=True, slots=True)
class Record:
    """The record's tables as a study. named: where they are. passing: they are temporary. issues: of fetching them.
    carried: what can be in them, where they came from FHIR."""

    study: Study
    named: str
    passing: bool
    issues: list[Issue]
    carried: Carried | None


@contextmanager
def record_of(
    study: Study,
    against: str | Path | ServerSettings | Client,
    *,
    incomplete: bool = False,
    links: str | Path | None = None,
    token: str | None = None,
    progress: Callable[..., None] | None = None,
) -> Iterator[Record]:
    """The record that `against` means: a folder of tables (as `pull` and `tabulate` write them, or another study's
    folder), else what `pull` takes: a server, a server.yaml, a folder of FHIR.

    IssueError for the study itself, for another study's record, and for one that could not be fetched whole, unless
    `incomplete`.
    """
    folder = _tables(study, against)
    if folder is not None:
        if folder.resolve() == study.folder.resolve():
            text = "This is the study itself: name the hospital's record, a folder that pull wrote or a server."
            raise IssueError(Issue("fatal", "value", text, str(folder)))
        if bool(read_manifest(folder).get("deidentified")) != bool(read_manifest(study.folder).get("deidentified")):
            text = "One of the study and the record is de-identified: none of its subjects and dates is in the other."
            raise IssueError(Issue("fatal", "conflict", f"{text} Take both as they were.", str(folder)))
        whole = not (folder / MARKER).exists() or read_manifest(folder).get("complete") is True
        if not whole and not incomplete:
            text = "This record is not known to be complete: see its issues.ndjson, pull again, or say --incomplete."
            raise IssueError(Issue("fatal", "incomplete", text, str(folder / MARKER)))
        yield Record(
            _study_in(study, folder), str(against), False, [] if whole else [_MAY_BE], _carried(study, folder)
        )
        return
    if isinstance(against, str | Path) and not is_address(str(against)) and not Path(against).exists():
        text = "There is no such folder, and it is no address of a server: pull the record, or correct it."
        raise IssueError(Issue("fatal", "not-found", text, str(against)))
    if isinstance(against, str | Path) and Path(against).suffix in TABLES and Path(against).is_file():
        text = "This is one table: name the folder that holds all of the record."
        raise IssueError(Issue("fatal", "not-supported", text, str(against)))
    with passing_folder() as held:
        source = str(against) if isinstance(against, Path) else against
        out = held / "record"
        pulled = pull_study(study, source, out, links=links, token=token, progress=progress)
        if not pulled.complete and not incomplete:
            text = "Not all of the record could be read: pull it into a folder and look at its issues.ndjson, or say"
            raise IssueError(*pulled.log.first, Issue("fatal", "incomplete", f"{text} --incomplete."))
        named = against.gate.base if isinstance(against, Client) else getattr(against, "base", against)
        issues = [*pulled.log.first, *([] if pulled.complete else [_MAY_BE])]
        yield Record(_study_in(study, out), str(named), True, issues, _carried(study, out))


def _tables(study: Study, against: object) -> Path | None:
    """The folder of tables that is meant; None where it is something to pull from."""
    if not isinstance(against, str | Path):
        return None
    path = Path(against)
    folder = path.parent if path.name == "study.yaml" else path
    known = ["study.yaml", *(f"{name}.{suffix}" for name in study.tables for suffix in ("csv", "parquet"))]
    return folder if folder.is_dir() and any((folder / name).exists() for name in known) else None


def _carried(study: Study, folder: Path) -> Carried | None:
    """What can be in tables that were read from FHIR, by the manifest beside them."""
    version = read_manifest(folder).get("fhirVersion")
    return Carried.of(study, version) if version in ("R4", "R4B", "R5") else None


def _study_in(study: Study, folder: Path) -> Study:
    """The record's tables with the study's own measures and columns; or as the study.yaml there says, where the
    tables were not written here."""
    file = folder / "study.yaml"
    if file.exists():
        root = load(file)
        base = root.value.get("base") if root.kind == "mapping" else None
        if base is not None and base.value != study.base:
            text = f"This is the record of another study: its base is {base.value}, not {study.base}."
            raise IssueError(Issue("fatal", "conflict", text, str(file)))
        if not (folder / MARKER).exists():
            return Study.load(file)
    there = {name: (Source(name),) for name in study.tables if Source(name).path(folder).exists()}
    return replace(study, path=file, tables=there)
