"""fhir-ivig endpoints"""

from __future__ import annotations

import json
from pathlib import Path

import click

from fhir_ivig.cli.show import DONE, PARTIAL, command, json_option, show_issues


@click.command()
@click.argument("tables", type=click.Path(path_type=Path))
@click.option("--study", type=click.Path(path_type=Path), help="The study.yaml; TABLES/study.yaml if not given.")
@click.option("--trace", "traced", metavar="ENDPOINT", help="List every value that this endpoint, or family, used.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the records there too: a .csv or a .json file.")
@click.option("--fhir", type=click.Path(path_type=Path), help="Write Measures and MeasureReports into this folder.")
@click.option("--incomplete", is_flag=True, help="Compute also from a pull that says that it is incomplete.")
@json_option
def endpoints(
    tables: Path,
    study: Path | None,
    traced: str | None,
    out: Path | None,
    fhir: Path | None,
    incomplete: bool,
    as_json: bool,
) -> None:
    """Compute a trial's endpoints, as its study.yaml defines them, from TABLES: a study's folder or a pulled cohort.

    With --json each result is a record with its method and the resources behind it; with --trace each value is one.

    \b
    Examples:
      fhir-ivig endpoints sample_bundles/hara2003
      fhir-ivig endpoints sample_bundles/hara2003 --trace ck
      fhir-ivig endpoints cohort --out results.csv --fhir results
    """
    with command(as_json):
        from fhir_ivig import answers
        from fhir_ivig.cli.results import results_table, trace_table

        if traced is not None and fhir is not None:
            raise click.UsageError("--fhir is of all endpoints: leave out --trace.")
        if traced is not None:
            used, issues = answers.trace_endpoint(tables, traced, study, incomplete=incomplete)
            records, table = answers.as_records(used), trace_table(used)
        else:
            found = answers.answer(tables, study, incomplete=incomplete)
            issues = found.issues
            records, table = answers.as_records(found.results), results_table(found.results)
            if fhir is not None:
                answers.write_fhir(found, fhir)
        show_issues(issues)
        if out is not None:
            answers.write_records(records, out)
        if as_json:
            click.echo(json.dumps(records, ensure_ascii=False, indent=2))
        else:
            click.echo(table)
        ctx = click.get_current_context()
        ctx.exit(PARTIAL if any(issue.severity in ("fatal", "error") for issue in issues) else DONE)
