"""fhir-ivig pull"""

from __future__ import annotations

import os
from pathlib import Path

import click

from fhir_ivig.cli.push import TOKEN
from fhir_ivig.cli.show import (
    Progress,
    command,
    counted,
    finish,
    json_option,
    show_issues,
    study_argument,
    study_file,
    version_option,
)


@click.command()
@study_argument
@click.option("--from", "source", required=True, metavar="URL|DIR", help="Base URL of a FHIR server, or a folder.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write, whole or not at all.")
@version_option
@json_option
def pull(study: Path, source: str, out: Path, fhir_version: str | None, as_json: bool) -> None:
    """Fetch a study from a FHIR server or folder: OUT/fhir as received, the tables in OUT, what is missing in
    OUT/manifest.json.

    The searches come from the mappings. An incomplete pull says so and exits with 1; endpoints refuse it. A bearer
    token is taken from the environment variable FHIR_IVIG_TOKEN.

    \b
    Example:
      fhir-ivig pull study.yaml --from https://hospital.example.org/fhir --out cohort
      fhir-ivig endpoints cohort
    """
    with command(as_json):
        from fhir_ivig.study.study import Study
        from fhir_ivig.sync.cohort import pull_study

        progress = Progress()
        loaded = Study.load(study_file(study))
        found = pull_study(loaded, source, out, version=fhir_version, token=os.environ.get(TOKEN), progress=progress)
        progress.end()
        show_issues(found.log.first, sum(found.log.counts.values()))
        said = f"{out}: {counted(found.rows.items())} from {found.resources} resources; "
        said += f"{found.withheld.total()} withheld, {found.unclaimed} of no mapping."
        finish(found.complete, said, found.as_dict(), as_json)
