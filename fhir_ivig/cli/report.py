"""fhir-ivig report"""

from __future__ import annotations

from pathlib import Path

import click

from fhir_ivig.cli.show import Progress, command, finish, json_option, show_issues
from fhir_ivig.issue import failed, many


@click.command()
@click.argument("tables", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File for the page.")
@click.option(
    "--figures", type=click.Path(path_type=Path), help="Folder for the figures as SVG and PNG, and their data."
)
@click.option("--pdf", type=click.Path(dir_okay=False, path_type=Path), help="File for the page as PDF.")
@click.option("--study", type=click.Path(path_type=Path), help="The study.yaml; TABLES/study.yaml if not given.")
@click.option("--incomplete", is_flag=True, help="Report also on a pull that says that it is incomplete.")
@json_option
def report(
    tables: Path,
    out: Path,
    figures: Path | None,
    pdf: Path | None,
    study: Path | None,
    incomplete: bool,
    as_json: bool,
) -> None:
    """Write a report on a trial, one HTML page to read and print, from TABLES: a study's folder or a pulled cohort.

    It holds patients' data: files are written for their owner only.

    \b
    Examples:
      fhir-ivig report sample_bundles/hara2003 --out report.html
      fhir-ivig report cohort --out report.html --pdf report.pdf --figures figures
    """
    with command(as_json):
        from fhir_ivig.reporting import make_report, write_figures
        from fhir_ivig.sync.whole import write_private

        progress = Progress()
        made, issues = make_report(tables, study, incomplete=incomplete, progress=progress)
        write_private(out, made.html)
        if figures:
            issues += write_figures(made, figures, [tables, *([study] if study else [])], progress)
        if pdf:
            from fhir_ivig.report.render import to_pdf

            progress("pages as PDF", len(made.figures))
            write_private(pdf, to_pdf(made.html))
        progress.end()
        show_issues(issues)
        size = len(made.html.encode())
        said = f"{out}: {many(len(made.figures), 'figure')}, {size // 1024} kB."
        done = {
            "out": str(out),
            "bytes": size,
            "figures": len(made.figures),
            "issues": [issue.as_dict() for issue in issues],
        }
        finish(not failed(issues), said, done, as_json)
