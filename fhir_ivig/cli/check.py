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
    show_log,
    study_argument,
)
from fhir_ivig.issue import IssueError, many


@click.command()
@study_argument
@json_option
def check(study: Path, as_json: bool) -> None:
    """Check a study: its study.yaml, its mapping files, every row of its tables. Nothing is written, nobody is asked.

    With --json the first thousand Issues are in the result.

    \b
    Example:
      fhir-ivig check sample_bundles/hara2003
    """
    with command(as_json):
        from fhir_ivig.answers import check_endpoints
        from fhir_ivig.study.study import Study
        from fhir_ivig.sync.export import export
        from fhir_ivig.sync.source import server_of

        loaded, progress = Study.load(study), Progress()
        found = export(loaded, None, progress=progress)
        found.log.add(check_endpoints(loaded))
        try:
            server_of(loaded)
        except IssueError as error:
            found.log.add(error.issues)
        progress.end()
        show_log(found.log)
        resources = found.resources.total()
        said = f"{counted(found.rows.items())} would give {many(resources, 'resource')}; "
        said += f"{found.withheld.total()} withheld."
        result = {**found.as_dict(), "issues": [issue.as_dict() for issue in found.log.first]}
        finish(found.complete, said, result, as_json)
