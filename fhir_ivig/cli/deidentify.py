"""fhir-ivig deidentify"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

import click

from fhir_ivig.cli.show import (
    command,
    counted,
    finish,
    json_option,
    show_log,
    study_argument,
    version_option,
)
from fhir_ivig.issue import many

if TYPE_CHECKING:
    from fhir_ivig.deidentify.study import Deidentified


@click.command()
@study_argument
@click.option(
    "--key", required=True, type=click.Path(path_type=Path), help="Key file; made, for its owner only, if not there."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write, whole or not at all.")
@click.option("--fhir", is_flag=True, help="Write OUT/fhir too, from the de-identified tables.")
@version_option
@click.option("--format", "form", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True)
@json_option
def deidentify(
    study: Path,
    key: Path,
    out: Path,
    fhir: bool,
    fhir_version: str | None,
    form: Literal["csv", "parquet"],
    as_json: bool,
) -> None:
    """Write a study, or a cohort that was pulled, without what tells who its subjects are.

    Dates are moved by days of each subject's own, numbers of subjects and sites hashed, MRNs and free text removed,
    ages above 89 pooled. The key file stays in the hospital: the same key gives the same hashes and dates.

    \b
    Example:
      fhir-ivig deidentify cohort --key hara.key --out shared --fhir
    """
    with command(as_json):
        from fhir_ivig.deidentify.study import deidentify as run
        from fhir_ivig.study.study import Study

        found = run(Study.load(study), key, out, form=form, fhir=fhir, version=fhir_version)
        end(out, found, as_json)


def end(out: Path, made: Deidentified, as_json: bool) -> NoReturn:
    """Show what became of a study, and leave."""
    show_log(made.log)
    said = f"{made.out or out}: {counted(made.rows.items())}; "
    said += f"{many(made.withheld.total(), 'row')} withheld, {many(made.resources, 'resource')}."
    said += f" It is less complete than {out}, which was left as it is." if made.out else ""
    finish(made.complete, said, made.as_dict(), as_json)
