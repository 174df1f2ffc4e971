"""fhir-ivig push"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from fhir_ivig.cli.show import (
    Progress,
    command,
    finish,
    json_option,
    show_issues,
    study_argument,
    version_option,
)
from fhir_ivig.issue import many

target_option = click.option(
    "--to",
    "target",
    metavar="URL|FILE|DIR",
    help="Base URL of a FHIR server, a server.yaml, or a folder; the server of study.yaml if not given.",
)
journal_option = click.option(
    "--journal",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that knows what was sent to this target; .fhir-ivig/ beside study.yaml if not given.",
)


def _taken(ctx: click.Context, option: click.Parameter, words: Iterable[str]) -> dict[str, Any]:
    """`Type/id` -> ours or theirs."""
    found = {}
    for word in words:
        whose, _, ref = word.partition("=")
        if whose not in ("ours", "theirs") or "/" not in ref:
            raise click.BadParameter(f"{word} is not of the form ours=Type/id or theirs=Type/id")
        found[ref] = whose
    return found


take_option = click.option(
    "--take",
    multiple=True,
    callback=_taken,
    metavar="ours|theirs=TYPE/ID",
    help="Whose to take of a resource in conflict. May be repeated.",
)
links_option = click.option(
    "--links",
    metavar="FILE|mrn",
    help="Which subjects are the hospital's own Patients: a CSV file, or the column mrn; as last time if not given.",
)


@click.command()
@study_argument
@target_option
@click.option(
    "--plan",
    "planned",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Do exactly what this plan says, or nothing.",
)
@take_option
@click.option("--withdraw", is_flag=True, help="Mark what left the study as entered in error. Nothing is deleted.")
@click.option("--agent", metavar="NAME", help="Record at the target who sent what (a Provenance resource).")
@click.option("--rejects", type=click.Path(path_type=Path), help="Folder for the rows that were not taken, and why.")
@links_option
@journal_option
@version_option
@json_option
def push(
    study: Path,
    target: str | None,
    planned: Path | None,
    take: dict[str, Any],
    withdraw: bool,
    agent: str | None,
    rejects: Path | None,
    links: str | None,
    journal: Path | None,
    fhir_version: str | None,
    as_json: bool,
) -> None:
    """Send a study to a FHIR server or an NDJSON folder. What is there already is not sent: twice is once.

    Every resource is put under an id made from its key, in the order of references. What somebody else has changed
    there since is reported and left as it is (exit code 1). Interrupted, the same command goes on. A bearer token is
    taken from the environment variable FHIR_IVIG_TOKEN.

    \b
    Examples:
      fhir-ivig push study.yaml --to https://hospital.example.org/fhir
      fhir-ivig push study.yaml --to https://hospital.example.org/fhir --plan plan.json
      fhir-ivig push study.yaml --to outbox/
    """
    with command(as_json):
        from fhir_ivig.study.study import Study
        from fhir_ivig.sync.planned import read_planned
        from fhir_ivig.sync.push_study import push_study
        from fhir_ivig.sync.source import named

        loaded, progress = Study.load(study), Progress()
        to = named(loaded, target, "--to")
        found = push_study(
            loaded,
            to,
            version=fhir_version,
            journal=journal,
            take=take,
            links=links,
            withdraw=withdraw,
            planned=read_planned(planned) if planned else None,
            rejects=rejects,
            agent=agent,
            progress=progress,
        )
        progress.end()
        show_issues(found.issues)
        said = f"{to}: {found.created} created, {found.updated} updated, {found.unchanged} unchanged, "
        said += f"{found.failed} failed"
        said += f", {found.linked} linked" if found.linked else ""
        said += f", {found.conflicts} in conflict" if found.conflicts else ""
        said += f", {found.withdrawn} withdrawn" if found.withdrawn else ""
        said += f", {found.left} left the study (mark them with --withdraw)" if found.left else ""
        finish(
            found.complete,
            f"{said}; {many(found.withheld, 'row')} withheld.",
            found.as_dict(),
            as_json,
        )
