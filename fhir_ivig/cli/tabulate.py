"""fhir-ivig tabulate"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from fhir_ivig.cli.show import (
    Progress,
    command,
    counted,
    deidentify_option,
    finish,
    json_option,
    show_log,
    version_option,
)
from fhir_ivig.issue import many

FORMATS = ["csv", "parquet", "excel", "dataset-json", "dataset-ndjson", "xpt"]
DATASETS = ["study", "sdtm", "adam"]


@click.command()
@click.argument("fhir", nargs=-1, type=click.Path(path_type=Path))
@click.option("--study", required=True, type=click.Path(path_type=Path), help="The study.yaml, or its folder.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write, whole or not at all.")
@version_option
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="csv",
    show_default=True,
    help="One file a table; excel: one workbook, a sheet a table; xpt: SAS transport version 5.",
)
@click.option(
    "--as",
    "written_as",
    type=click.Choice(["tables", "source"]),
    default="tables",
    show_default=True,
    help="The study's tables, or the files that they are read from.",
)
@click.option(
    "--datasets",
    type=click.Choice(DATASETS),
    default="study",
    show_default=True,
    help="The study's tables as they are, or data sets in the shape of SDTM or ADaM, with a define.html.",
)
@click.option("--sort", is_flag=True, help="Order the rows by key (holds each table in memory).")
@deidentify_option
@json_option
def tabulate(
    fhir: tuple[Path, ...],
    study: Path,
    out: Path,
    fhir_version: str | None,
    form: str,
    written_as: str,
    datasets: str,
    sort: bool,
    key: Path | None,
    as_json: bool,
) -> None:
    """Read FHIR files (NDJSON, Bundles, arrays, single resources, also gzipped; or folders of them) into tables.
    Without FHIR files, the tables are the study's own.

    Each table has, beside it, resources/TABLE with the resource behind each row. Resources and rows in which
    something is wrong give no row and an Issue in OUT/issues.ndjson; the exit code is then 1.

    \b
    Examples:
      fhir-ivig tabulate fhir/ more.json.gz --study study.yaml --out tables
      fhir-ivig tabulate --study study.yaml --out sas --format xpt
      fhir-ivig tabulate fhir/ --study study.yaml --out adam --datasets adam --format xpt
    """
    if not fhir and (fhir_version or sort):
        raise click.UsageError("--fhir-version and --sort are for FHIR files: name some, or leave the options out.")
    if written_as == "source" and (key or (form, datasets) != ("csv", "study") or not fhir):
        text = "--as source is for FHIR files, and writes each file in its own format, as it is: leave out --format,"
        raise click.UsageError(f"{text} --datasets and --deidentify.")
    with command(as_json):
        from fhir_ivig.datasets.output import converted, write_own
        from fhir_ivig.datasets.refilling import write_like
        from fhir_ivig.study.study import Study
        from fhir_ivig.sync.refill import refilled
        from fhir_ivig.sync.tabulate import tabulate as run

        loaded, progress = Study.load(study), Progress()
        if key:
            from fhir_ivig.cli.deidentify import end
            from fhir_ivig.deidentify.passing import deidentified

            how = {"version": fhir_version, "progress": progress} if fhir else {}
            with deidentified(loaded, key, out, fhir, **how) as (hidden, made):
                own = write_own(hidden, out, form, datasets)
            progress.end()
            made.log.add(own.log.first)
            end(out, made, as_json)
        if not fhir:
            own = write_own(loaded, out, form, datasets)
            show_log(own.log)
            finish(own.complete, f"{out}: {counted(own.rows.items())}.", own.as_dict(), as_json)
        convert = None
        if written_as == "source":
            convert = refilled(loaded, write_like)
        elif datasets != "study" or form not in ("csv", "parquet"):
            convert = converted(loaded, form, datasets)
        kept: Literal["csv", "parquet"] = "parquet" if form == "parquet" and not convert else "csv"
        found = run(fhir, loaded, out, version=fhir_version, form=kept, sort=sort, convert=convert, progress=progress)
        progress.end()
        show_log(found.log)
        said = f"{out}: {counted(found.rows.items())} from {many(found.resources, 'resource')}; "
        said += f"{found.withheld.total()} withheld, {found.unclaimed} of no mapping, {found.broken} unreadable."
        finish(found.complete, said, found.as_dict(), as_json)
