"""fhir-ivig pull"""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
@click.option(
    "--from",
    "source",
    metavar="URL|FILE|DIR",
    help="Base URL of a FHIR server, a server.yaml, or a folder; the server of study.yaml if not given.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write, whole or not at all.")
@click.option("--subjects", metavar="FILE|a,b", help="Only these of the study's subjects (a file has one a line).")
@click.option(
    "--mrns", metavar="FILE", type=click.Path(path_type=Path), help="Only Patients with these MRNs, one a line."
)
@click.option(
    "--code", "codes", multiple=True, metavar="SYSTEM|CODE", help="Only results with this code; may be repeated."
)
@click.option(
    "--links", metavar="FILE|mrn", help="Who the hospital's own Patients are: a CSV file, or the column mrn."
)
@click.option("--since", type=click.Choice(["last"]), help="Ask only for what changed since the pull in OUT.")
@click.option(
    "--bulk",
    is_flag=False,
    flag_value="system",
    metavar="[system|patient|group/ID]",
    help="By a Bulk Data export, where the server has it (system if nothing is said).",
)
@click.option("--poll-seconds", type=click.FloatRange(min=0), help="Longest pause between looks at a bulk export.")
@version_option
@deidentify_option
@json_option
def pull(
    study: Path,
    source: str | None,
    out: Path,
    subjects: str | None,
    mrns: Path | None,
    codes: tuple[str, ...],
    links: str | None,
    since: str | None,
    bulk: str | None,
    poll_seconds: float | None,
    fhir_version: str | None,
    key: Path | None,
    as_json: bool,
) -> None:
    """Fetch a study from a FHIR server or folder: OUT/fhir as received, the tables in OUT, what is missing in
    OUT/manifest.json.

    The searches come from the mappings. An incomplete pull says so, exits with 1 and leaves an earlier complete one
    in place, beside it as OUT.incomplete; endpoints refuse it. A bearer token is taken from the environment variable
    FHIR_IVIG_TOKEN.

    \b
    Examples:
      fhir-ivig pull study.yaml --from https://hospital.example.org/fhir --out cohort
      fhir-ivig pull study.yaml --from https://hospital.example.org/fhir --links links.csv --out cohort
    """
    with command(as_json):
        from fhir_ivig.study.study import Study
        from fhir_ivig.sync.bulk import bulk_of
        from fhir_ivig.sync.pull_study import pull_study
        from fhir_ivig.sync.source import named

        loaded, progress = Study.load(study), Progress()
        where = named(loaded, source, "--from")
        how: dict[str, Any] = {
            "version": fhir_version,
            "subjects": _listed(subjects),
            "mrns": _lines(mrns) if mrns else None,
            "codes": codes or None,
            "links": links,
            "bulk": None if bulk is None else bulk_of(where, bulk, poll_seconds),
            "progress": progress,
        }
        if key:
            from fhir_ivig.cli.deidentify import end
            from fhir_ivig.deidentify.passing import pull_deidentified

            if since:
                raise click.UsageError("--since goes on from what was received, of which --deidentify keeps nothing.")
            made = pull_deidentified(loaded, where, key, out, **how)
            progress.end()
            end(out, made, as_json)
        found = pull_study(loaded, where, out, since_last=since == "last", **how)
        progress.end()
        show_log(found.log)
        said = f"{found.out or out}: {counted(found.rows.items())} from {many(found.resources, 'resource')}; "
        said += f"{found.withheld.total()} withheld, {found.unclaimed} of no mapping."
        said += f" It is less complete than {out}, which was left as it is." if found.out else ""
        finish(found.complete, said, found.as_dict(), as_json)


def _listed(subjects: str | None) -> list[str] | None:
    """Subjects in a file, one a line, or with commas between."""
    if subjects is None:
        return None
    return _lines(Path(subjects)) if Path(subjects).is_file() else [each.strip() for each in subjects.split(",")]


def _lines(file: Path) -> list[str]:
    """The lines of a file that are not empty, each once."""
    try:
        text = file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise click.UsageError(f"{file} is not UTF-8.") from None
    return list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
