"""fhir-ivig diff"""

from __future__ import annotations

from pathlib import Path

import click

from fhir_ivig.cli.show import Progress, command, finish, json_option, show_issues, study_argument


@click.command()
@study_argument
@click.option(
    "--against",
    metavar="DIR|URL|FILE",
    help="The hospital's record: a folder that pull wrote, or a server (its base URL, a server.yaml) to be pulled "
    "first; the server of study.yaml if not given.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the differences, queries and a page.")
@click.option("--links", metavar="FILE|mrn", help="As pull has it: who the hospital's own Patients are.")
@click.option("--incomplete", is_flag=True, help="Compare also with a record that is not known to be complete.")
@json_option
def diff(
    study: Path, against: str | None, out: Path | None, links: str | None, incomplete: bool, as_json: bool
) -> None:
    """Hold a study's own tables against a hospital's record, cell by cell: source data verification.

    Values are compared as quantities, times as instants, rows by their key. The exit code is 1 if anything differs,
    is missing on one side or cannot be compared. OUT gets differences.csv, queries.csv, agreement.csv and diff.html,
    for their owner only: they hold patients' data.

    \b
    Examples:
      fhir-ivig diff study.yaml --against cohort
      fhir-ivig diff study.yaml --against https://hospital.example.org/fhir --out verification
    """
    with command(as_json):
        from fhir_ivig.study.study import Study
        from fhir_ivig.sync.source import named
        from fhir_ivig.verification.study import diff_study
        from fhir_ivig.verification.writing import kinds_table, said, write_verification

        loaded, progress = Study.load(study), Progress()
        source = named(loaded, against, "--against")
        found = diff_study(loaded, source, incomplete=incomplete, links=links, progress=progress)
        progress.end()
        if out:
            found.issues += write_verification(found, out, [loaded.path, *([Path(against)] if against else [])])
        show_issues(found.issues)
        if found.differences and not as_json:
            click.echo(kinds_table(found))
        finish(found.equal, said(found), found.as_dict(), as_json)
