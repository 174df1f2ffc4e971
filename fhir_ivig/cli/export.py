"""fhir-ivig export"""

from __future__ import annotations

from pathlib import Path

import click

from fhir_ivig.cli.show import (
    Progress,
    command,
    counted,
    deidentify_option,
    finish,
    json_option,
    show_log,
    study_argument,
    version_option,
)
from fhir_ivig.issue import many


@click.command()
@study_argument
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write, whole or not at all.")
@version_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["ndjson", "bundle"]),
    default="ndjson",
    show_default=True,
    help="One NDJSON file a resource type, or transaction Bundles.",
)
@deidentify_option
@json_option
def export(study: Path, out: Path, fhir_version: str | None, form: str, key: Path | None, as_json: bool) -> None:
    """Write a study's tables as FHIR files.

    Rows in which something is wrong are withheld, each with an Issue in OUT/issues.ndjson; the exit code is then 1.

    \b
    Examples:
      fhir-ivig export study.yaml --out fhir
      fhir-ivig export study.yaml --out fhir5 --fhir-version R5 --format bundle
    """
    with command(as_json):
        from fhir_ivig.study.study import Study
        from fhir_ivig.sync.export import export as run

        progress = Progress()
        loaded = Study.load(study)
        if key:
            from fhir_ivig.cli.deidentify import end
            from fhir_ivig.deidentify.passing import deidentified
            from fhir_ivig.deidentify.study import of_output

            with deidentified(loaded, key, out) as (hidden, made):
                found = run(hidden, out, version=fhir_version, form=form, progress=progress)
            progress.end()
            made.resources = found.resources.total()
            made.log.add(of_output(found.log.first))
            end(out, made, as_json)
        found = run(loaded, out, version=fhir_version, form=form, progress=progress)
        progress.end()
        show_log(found.log)
        resources = found.resources.total()
        said = f"{out}: {many(resources, 'resource')} from {counted(found.rows.items())}; "
        said += f"{found.withheld.total()} withheld."
        finish(found.complete, said, found.as_dict(), as_json)
