"""fhir-ivig check"""

from __future__ import annotations

from pathlib import Path

import click

from fhir_ivig.cli.show import (
    Progress,
    command,
    counted,
    finish,
    json_option,
    show_issues,
    study_argument,
    study_file,
)


@click.command()
@study_argument
@json_option
def check(study: Path, as_json: bool) -> None:
    """Check a study: its study.yaml, its mapping files, every row of its tables. Nothing is written.

    With --json the first thousand Issues are in the result.

    \b
    Example:
      fhir-ivig check sample_bundles/hara2003
    """
    with command(as_json):
        from fhir_ivig.study.study import Study
        from fhir_ivig.sync.export import export

        progress = Progress()
        found = export(Study.load(study_file(study)), None, progress=progress)
        progress.end()
        show_issues(found.log.first, sum(found.log.counts.values()))
        said = f"{counted(found.rows.items())} would give {found.resources.total()} resources; "
        said += f"{found.withheld.total()} withheld."
        result = {**found.as_dict(), "issues": [issue.as_dict() for issue in found.log.first]}
        finish(found.complete, said, result, as_json)
