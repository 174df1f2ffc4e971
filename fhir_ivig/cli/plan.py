"""fhir-ivig plan"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from fhir_ivig.cli.push import journal_option, links_option, take_option, target_option
from fhir_ivig.cli.show import (
    Progress,
    command,
    finish,
    json_option,
    show_issues,
    study_argument,
    version_option,
)


@click.command()
@study_argument
@target_option
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File for the plan, for push --plan.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="File for the plan as a page to read.")
@take_option
@links_option
@journal_option
@version_option
@json_option
def plan(
    study: Path,
    target: str | None,
    out: Path | None,
    html: Path | None,
    take: dict[str, Any],
    links: str | None,
    journal: Path | None,
    fhir_version: str | None,
    as_json: bool,
) -> None:
    """Show what a push would do, and do nothing: each changed field with its old and new value.

    Values are patients' data: the files are written for their owner only. The exit code is 1 if something would not
    be sent: rows withheld, or resources that somebody else has changed.

    \b
    Examples:
      fhir-ivig plan study.yaml --to https://hospital.example.org/fhir
      fhir-ivig plan study.yaml --to https://hospital.example.org/fhir --out plan.json --html plan.html
      fhir-ivig push study.yaml --to https://hospital.example.org/fhir --plan plan.json
    """
    with command(as_json):
        from fhir_ivig.study.study import Study
        from fhir_ivig.sync.push_study import plan_study
        from fhir_ivig.sync.source import named
        from fhir_ivig.sync.whole import write_private

        loaded, progress = Study.load(study), Progress()
        to = named(loaded, target, "--to")
        found = plan_study(
            loaded, to, version=fhir_version, journal=journal, take=take, links=links, progress=progress
        )
        progress.end()
        if out:
            write_private(out, json.dumps(found.as_dict(), ensure_ascii=False, indent=1) + "\n")
        if html:
            from fhir_ivig.sync.page import page

            write_private(html, page(found))
        show_issues(found.issues)
        if not as_json:
            for change in found.changes:
                click.echo("\n".join(change.lines()))
        said = f"{to}: " + ", ".join(f"{count} {name}" for name, count in found.counts.items()) + "; nothing sent."
        finish(found.complete, said, found.as_dict(), as_json)
