"""fhir-ivig init"""

from __future__ import annotations

from pathlib import Path

import click

from fhir_ivig.cli.show import command, finish, json_option, show_issues
from fhir_ivig.issue import failed


@click.command()
@click.option(
    "--from-redcap",
    "dictionary",
    required=True,
    metavar="FILE|DIR",
    type=click.Path(path_type=Path),
    help="REDCap's data dictionary (CSV), or the folder that redcap pull wrote.",
)
@click.option("--export", type=click.Path(path_type=Path), help="An export of its records (CSV), raw or labelled.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for study.yaml.")
@json_option
def init(dictionary: Path, export: Path | None, out: Path, as_json: bool) -> None:
    """Propose a study.yaml from a REDCap project, for a person to edit.

    Each line says how certain it is: sure (the dictionary or the export says so), likely (a name usually means this),
    to decide (in a comment, and listed on stdout). A study.yaml that is there is left as it is.

    \b
    Example:
      fhir-ivig init --from-redcap dictionary.csv --export export.csv --out trial
    """
    with command(as_json):
        from fhir_ivig.redcap.init import init as run

        found = run(dictionary, export, out)
        show_issues(found.issues)
        if not as_json:
            click.echo("\n".join(found.left))
        lines = ", ".join(f"{found.counts[name]} {name}" for name in ("sure", "likely", "to decide"))
        finish(not failed(found.issues), f"{found.file}: {lines}.", found.as_dict(), as_json)
