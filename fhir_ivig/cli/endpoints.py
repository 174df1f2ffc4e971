"""fhir-ivig endpoints"""

from __future__ import annotations

import json
from pathlib import Path

import click

from fhir_ivig.cli.show import DONE, PARTIAL, command, json_option, show_issues


@click.command()
@click.argument("tables", type=click.Path(path_type=Path))
@click.option("--study", type=click.Path(path_type=Path), help="The study.yaml; TABLES/study.yaml if not given.")
@click.option("--incomplete", is_flag=True, help="Compute also from a pull that says that it is incomplete.")
@json_option
def endpoints(tables: Path, study: Path | None, incomplete: bool, as_json: bool) -> None:
    """Compute a trial's endpoints, as its study.yaml defines them, from TABLES: a study's folder or a pulled cohort.

    With --json each result is a record with its method and the resources behind it.

    \b
    Examples:
      fhir-ivig endpoints sample_bundles/hara2003
      fhir-ivig endpoints cohort --json > results.json
    """
    with command(as_json):
        from fhir_ivig.endpoints.result import as_dict
        from fhir_ivig.library import compute_endpoints

        results, issues = compute_endpoints(tables, study, incomplete=incomplete)
        show_issues(issues)
        if as_json:
            click.echo(json.dumps([as_dict(result) for result in results], ensure_ascii=False, indent=2))
        else:
            from fhir_ivig.cli.results import results_table

            click.echo(results_table(results))
        ctx = click.get_current_context()
        ctx.exit(PARTIAL if any(issue.severity in ("fatal", "error") for issue in issues) else DONE)
