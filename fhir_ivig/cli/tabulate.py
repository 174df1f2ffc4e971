"""fhir-ivig tabulate"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from fhir_ivig.cli.show import (
    Progress,
    command,
    counted,
    finish,
    json_option,
    show_issues,
    study_file,
    version_option,
)


@click.command()
@click.argument("fhir", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--study", required=True, type=click.Path(path_type=Path), help="The study.yaml, or its folder.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write, whole or not at all.")
@version_option
@click.option("--format", "form", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True)
@click.option("--sort", is_flag=True, help="Order the rows by key (holds each table in memory).")
@json_option
def tabulate(
    fhir: tuple[Path, ...],
    study: Path,
    out: Path,
    fhir_version: str | None,
    form: Literal["csv", "parquet"],
    sort: bool,
    as_json: bool,
) -> None:
    """Read FHIR files (NDJSON, Bundles, arrays, single resources, also gzipped; or folders of them) into tables.

    Each table has, beside it, resources/TABLE with the resource behind each row. Resources in which something is
    wrong give no row and an Issue in OUT/issues.ndjson; the exit code is then 1.

    \b
    Example:
      fhir-ivig tabulate fhir/ more.json.gz --study study.yaml --out tables
    """
    with command(as_json):
        from fhir_ivig.study.study import Study
        from fhir_ivig.sync.tabulate import tabulate as run

        progress = Progress()
        loaded = Study.load(study_file(study))
        found = run(fhir, loaded, out, version=fhir_version, form=form, sort=sort, progress=progress)
        progress.end()
        show_issues(found.log.first, sum(found.log.counts.values()))
        said = f"{out}: {counted(found.rows.items())} from {found.resources} resources; "
        said += f"{found.withheld.total()} withheld, {found.unclaimed} of no mapping, {found.broken} unreadable."
        finish(found.complete, said, found.as_dict(), as_json)
