"""fhir-ivig status"""

from __future__ import annotations

from pathlib import Path

import click

from fhir_ivig.cli.push import journal_option, target_option
from fhir_ivig.cli.show import command, counted, finish, json_option, study_argument, version_option


@click.command()
@study_argument
@target_option
@journal_option
@version_option
@json_option
def status(study: Path, target: str | None, journal: Path | None, fhir_version: str | None, as_json: bool) -> None:
    """Show what the journal knows of a target, without asking the target: how many resources are there as sent, were
    refused, were on their way when a push died, or in conflict at the last one.

    \b
    Example:
      fhir-ivig status study.yaml --to https://hospital.example.org/fhir
    """
    with command(as_json):
        from fhir_ivig.study.study import Study
        from fhir_ivig.sync.push_study import status_of
        from fhir_ivig.sync.source import named

        loaded = Study.load(study)
        to = named(loaded, target, "--to")
        found = status_of(loaded, to, version=fhir_version, journal=journal)
        conflicts = f"; {found.conflicts:,} in conflict at the last push" if found.conflicts else ""
        finish(found.complete, f"{to}: {counted(found.counts.items())}{conflicts}.", found.as_dict(), as_json)
