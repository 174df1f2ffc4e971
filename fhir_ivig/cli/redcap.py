"""fhir-ivig redcap"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fhir_ivig.cli.show import (
    Progress,
    command,
    finish,
    json_option,
    show_issues,
)
from fhir_ivig.issue import failed, many

if TYPE_CHECKING:
    from fhir_ivig.redcap.api import Api
    from fhir_ivig.redcap.dictionary import Dictionary
    from fhir_ivig.redcap.refill import Refill

url_option = click.option("--url", required=True, help="Address of the API, such as https://redcap.example.org/api/.")
token_option = click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="File with the API token (mode 0600); else the environment variable FHIR_IVIG_REDCAP_TOKEN.",
)
ca_option = click.option(
    "--ca-file", type=click.Path(path_type=Path), help="PEM file of certificates to trust in place of the system's."
)
groups_option = click.option(
    "--groups", is_flag=True, help="With each record's data access group; the token needs the right to see them."
)
status_option = click.option(
    "--form-status",
    type=click.Choice(["incomplete", "unverified", "complete"]),
    help="How far forms are that it fills, where they are not further; left as it is if not given.",
)
page_option = click.option(
    "--page", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Records in one request."
)
study_option = click.option(
    "--study", required=True, type=click.Path(path_type=Path), help="The study.yaml that says how the export is read."
)


@click.group()
def redcap() -> None:
    """A REDCap project through its API: its records and dictionary pulled, an export checked, and filled back.

    Each of these commands has --json and --help. Which field is which column is proposed by the command init.

    \b
    Examples:
      fhir-ivig redcap pull --url https://redcap.example.org/api/ --out trial/redcap
      fhir-ivig redcap check trial/redcap/dictionary.csv trial/redcap/export.csv
      fhir-ivig redcap plan back/redcap/export.csv --study trial --url https://redcap.example.org/api/
      fhir-ivig redcap push back/redcap/export.csv --study trial --url https://redcap.example.org/api/
    """


@redcap.command()
@url_option
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write, whole or not at all.")
@page_option
@groups_option
@token_option
@ca_option
@json_option
def pull(
    url: str, out: Path, page: int, groups: bool, token_file: Path | None, ca_file: Path | None, as_json: bool
) -> None:
    """Fetch a project: OUT/export.csv (raw), OUT/dictionary.csv, and OUT/project.json with its events.

    \b
    Example:
      fhir-ivig redcap pull --url https://redcap.example.org/api/ --out trial/redcap
    """
    with command(as_json):
        from fhir_ivig.redcap.pull import pull as run

        progress = Progress()
        found = run(_api(url, token_file, ca_file), out, page=page, groups=groups, progress=progress)
        progress.end()
        show_issues(found.issues)
        said = f"{out}: {many(found.records, 'record')} in {many(found.rows, 'row')}."
        finish(found.complete, said, found.as_dict(), as_json)


@redcap.command()
@click.argument("dictionary", type=click.Path(path_type=Path))
@click.argument("export", type=click.Path(path_type=Path))
@json_option
def check(dictionary: Path, export: Path, as_json: bool) -> None:
    """Check an export, raw or labelled, against its data dictionary: fields, choices, events, instances, dates.

    A project.json beside the dictionary, as pull writes it, tells of events and missing-data codes.

    \b
    Example:
      fhir-ivig redcap check dictionary.csv export.csv
    """
    with command(as_json):
        from fhir_ivig.redcap.check import check as run
        from fhir_ivig.redcap.dictionary import read_dictionary
        from fhir_ivig.redcap.export import read_export
        from fhir_ivig.redcap.project import read_project

        fields = read_dictionary(dictionary)
        read = read_export(export, fields)
        issues = list(run(read, fields, read_project(dictionary.with_name("project.json"))))
        show_issues(issues)
        said = f"{export}: {many(len(read.rows), 'row')}, {many(len(read.meant), 'column')} of fields."
        result = {"rows": len(read.rows), "issues": [issue.as_dict() for issue in issues]}
        finish(not failed(issues), said, result, as_json)


@redcap.command()
@click.argument("export", type=click.Path(path_type=Path))
@study_option
@url_option
@status_option
@token_option
@ca_option
@json_option
def plan(
    export: Path,
    study: Path,
    url: str,
    form_status: str | None,
    token_file: Path | None,
    ca_file: Path | None,
    as_json: bool,
) -> None:
    """Show what a push would change, and change nothing: new rows, empty cells filled, cells filled differently.

    The export is one that tabulate --as source wrote. The exit code is 1 where a cell is filled differently.

    \b
    Example:
      fhir-ivig redcap plan back/redcap/export.csv --study trial --url https://redcap.example.org/api/
    """
    with command(as_json):
        found, _ = _planned(_api(url, token_file, ca_file), export, study, form_status)
        show_issues(found.issues)
        if not as_json:
            for change in found.changes:
                click.echo(str(change))
        finish(_agrees(found), f"{url}: {_counted(found)}; nothing sent.", found.as_dict(), as_json)


@redcap.command()
@click.argument("export", type=click.Path(path_type=Path))
@study_option
@url_option
@click.option("--overwrite", is_flag=True, help="Send cells too that are filled differently there.")
@status_option
@page_option
@token_option
@ca_option
@json_option
def push(
    export: Path,
    study: Path,
    url: str,
    overwrite: bool,
    form_status: str | None,
    page: int,
    token_file: Path | None,
    ca_file: Path | None,
    as_json: bool,
) -> None:
    """Fill a project from an export that tabulate --as source wrote. Twice is once.

    New rows and empty cells are sent; a cell that is filled differently is left and named (exit code 1), unless
    --overwrite is given. An empty cell changes nothing. Every cell that was sent is looked for afterwards.

    \b
    Example:
      fhir-ivig redcap push back/redcap/export.csv --study trial --url https://redcap.example.org/api/
    """
    with command(as_json):
        from fhir_ivig.redcap.refill import push as run

        api = _api(url, token_file, ca_file)
        found, fields = _planned(api, export, study, form_status)
        run(api, found, fields, overwrite=overwrite, page=page)
        show_issues(found.issues)
        if not as_json and not overwrite:
            for change in found.changes:
                if change.kind == "differ":
                    click.echo(str(change))
        done = not failed(found.issues) if overwrite else _agrees(found)
        finish(done, f"{url}: {_counted(found)}; {many(found.sent, 'cell')} sent.", found.as_dict(), as_json)


def _api(url: str, token_file: Path | None, ca_file: Path | None) -> Api:
    from fhir_ivig.fhir.secret import Secret
    from fhir_ivig.redcap.api import TOKEN, Api

    return Api(url, Secret("file", str(token_file)) if token_file else Secret("env", TOKEN), ca_file)


def _planned(api: Api, export: Path, study: Path, status: str | None) -> tuple[Refill, Dictionary]:
    from fhir_ivig.redcap.dictionary import from_rows
    from fhir_ivig.redcap.export import read_export
    from fhir_ivig.redcap.place import keys
    from fhir_ivig.redcap.project import as_project
    from fhir_ivig.redcap.pull import design
    from fhir_ivig.redcap.refill import plan as run
    from fhir_ivig.study.study import Study

    loaded = Study.load(study)
    fields = from_rows(api.table("metadata"), "the project's dictionary")
    project = as_project(design(api), api.url)
    return run(api, read_export(export, fields), fields, project, keys(loaded), status), fields


def _agrees(found: Refill) -> bool:
    return not failed(found.issues) and not found.counts["differ"]


def _counted(found: Refill) -> str:
    counts = found.counts
    said = f"{counts['new']} cells of new rows, {counts['fill']} empty ones filled"
    return f"{said}, {counts['differ']} filled differently, {found.equal} equal"
