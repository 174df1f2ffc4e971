"""fhir-ivig push"""

from __future__ import annotations

import os
from pathlib import Path

import click

from fhir_ivig.cli.show import (
    Progress,
    command,
    finish,
    json_option,
    show_issues,
    study_argument,
    study_file,
    version_option,
)

TOKEN = "FHIR_IVIG_TOKEN"  # noqa: S105 - the variable's name


@click.command()
@study_argument
@click.option("--to", "target", required=True, metavar="URL|DIR", help="Base URL of a FHIR server, or a folder.")
@version_option
@json_option
def push(study: Path, target: str, fhir_version: str | None, as_json: bool) -> None:
    """Send a study to a FHIR server or an NDJSON folder. What is there already is not sent: twice is once.

    Every resource is put under an id made from its key, in the order of references. A bearer token is taken from the
    environment variable FHIR_IVIG_TOKEN.

    \b
    Examples:
      fhir-ivig push study.yaml --to https://hospital.example.org/fhir
      fhir-ivig push study.yaml --to outbox/
    """
    with command(as_json):
        from fhir_ivig.study.study import Study
        from fhir_ivig.sync.cohort import push_study

        progress = Progress()
        loaded = Study.load(study_file(study))
        found = push_study(loaded, target, version=fhir_version, token=os.environ.get(TOKEN), progress=progress)
        progress.end()
        show_issues(found.issues)
        said = f"{target}: {found.created} created, {found.updated} updated, {found.unchanged} unchanged, "
        said += f"{found.failed} failed; {found.withheld} rows withheld."
        finish(found.complete, said, found.as_dict(), as_json)
