"""fhir-ivig demo"""

from __future__ import annotations

from pathlib import Path

import click

from fhir_ivig.cli.show import Progress, command, counted, finish, json_option, show_issues
from fhir_ivig.issue import many


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="Keep what was pulled in this folder.")
@json_option
def demo(out: Path | None, as_json: bool) -> None:
    """Run the sample study (Hara et al. 2003, patient rows synthetic) through a FHIR server and back.

    A small FHIR server is started on this machine for it: pip install "fhir-ivig[sandbox]".

    \b
    Example:
      fhir-ivig demo --out cohort
    """
    with command(as_json):
        from fhir_ivig.cli.results import results_table
        from fhir_ivig.demo import run_demo

        progress = Progress()
        found = run_demo(out, progress)
        progress.end()
        show_issues([issue for push in found.pushes[:1] for issue in push.issues])
        show_issues(found.pulled.log.first)
        if not as_json:
            for number, push in zip(("first", "second"), found.pushes, strict=True):
                counts = [("created", push.created), ("updated", push.updated), ("unchanged", push.unchanged)]
                click.echo(f"{number} push: {', '.join(f'{count} {name}' for name, count in counts)}")
            click.echo(f"pull: {many(found.pulled.resources, 'resource')}, {counted(found.pulled.rows.items())}")
            for name, equal in found.files.items():
                click.echo(f"  {'equal' if equal else 'DIFFERS':8}{name} as sent and as pulled")
            click.echo("\nThe paper's figures beside those computed from what was pulled:\n")
            click.echo(results_table(result for result in found.results if result.published is not None))
        said = "All as it should be." if found.complete else "Something is not as it should be: see above."
        finish(found.complete, said, found.as_dict(), as_json)
