"""A report on a study's folder: its tables read, its endpoints computed, and both laid out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from fhir_ivig.issue import Issue
from fhir_ivig.library import read_given

if TYPE_CHECKING:
    from fhir_ivig.report.page import Report


def make_report(
    tables: Path | str,
    study: Path | str | None = None,
    *,
    incomplete: bool = False,
    progress: Callable[..., None] | None = None,
) -> tuple[Report, list[Issue]]:
    """A report on the study in a folder (or a study.yaml): a page, and the Issues met, which it shows too.

    IssueError for a cohort whose manifest does not say that it is complete, unless `incomplete`.
    """
    from datetime import UTC, datetime
    from importlib.metadata import version

    from fhir_ivig.endpoints.compute import compute
    from fhir_ivig.endpoints.definition import define
    from fhir_ivig.endpoints.tables import Tables
    from fhir_ivig.report.material import Material
    from fhir_ivig.report.page import report
    from fhir_ivig.sync.whole import read_manifest

    given = read_given(tables, study, incomplete)
    results, problems = compute(given.study, given.tables, given.resources, given.numbers)
    source = Tables(given.tables, given.resources, given.numbers)
    manifest = read_manifest(given.folder)
    material = Material(
        study=given.study,
        tables=source,
        definition=define(given.study, source),
        results=results,
        issues=[*given.issues, *problems],
        manifest=manifest,
        hashes={file.name: _sha256(file) for file in given.files if file.is_file()},
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        version=version("fhir-ivig"),
        incomplete=bool(manifest) and manifest.get("complete") is not True,
    )
    return report(material, progress), material.issues


def write_figures(report: Report, out: Path, inputs: Iterable[Path], progress: Callable[..., None]) -> list[Issue]:
    """Each figure of a report as SVG, PNG and CSV in a folder, whole or not at all; Issues for what could not be."""
    from fhir_ivig.report import render
    from fhir_ivig.sync.whole import whole_folder, write_manifest

    with whole_folder(out, inputs) as folder:
        issues = render.write_figures(report.figures, folder, progress)
        said = {
            "complete": not issues,
            "figures": {figure.name: figure.title for figure in report.figures},
            "issues": [issue.as_dict() for issue in issues],
        }
        write_manifest(folder, said)
    return issues


def _sha256(file: Path) -> str:
    from hashlib import file_digest

    with file.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest()
