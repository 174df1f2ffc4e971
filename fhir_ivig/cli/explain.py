"""fhir-ivig explain"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from fhir_ivig.cli.show import command, json_option, version_option


@click.command()
@click.argument("mapping", required=False)
@click.option("--study", type=click.Path(path_type=Path), help="Explain it as this study uses it.")
@version_option
@json_option
def explain(mapping: str | None, study: Path | None, fhir_version: str | None, as_json: bool) -> None:
    """Show what a mapping does: its columns beside FHIRPaths, the search that finds its resources, one example.

    Without MAPPING, list the mappings.

    \b
    Examples:
      fhir-ivig explain
      fhir-ivig explain creatine_kinase
      fhir-ivig explain adverse_event --fhir-version R5 --json
    """
    with command(as_json):
        import msgspec

        from fhir_ivig.library import explain_mapping, list_mappings
        from fhir_ivig.study.study import Study

        loaded = Study.load(study) if study else None
        if mapping is None:
            listed = list_mappings(loaded, fhir_version)
            width = max(map(len, listed))
            lines = "\n".join(f"{name.ljust(width)}  {about}" for name, about in listed.items())
            click.echo(json.dumps(listed, indent=2) if as_json else lines)
            sys.exit(0)
        found = explain_mapping(mapping, loaded, fhir_version)
        if as_json:
            click.echo(json.dumps(found, ensure_ascii=False, indent=2))
            sys.exit(0)
        click.echo(f"{mapping} ({found['version']}): {found['about']}")
        click.echo(f"table {found['table']}, key {', '.join(found['key'])}, file {found['file']}\n")
        widths = {name: max(len(row[name]) for row in found["columns"]) for name in ("column", "path", "type")}
        for row in found["columns"]:
            also = f" (read also from {row['reads']})" if row["reads"] else ""
            named = "  ".join(row[name].ljust(width) for name, width in widths.items())
            click.echo(f"  {named}  {row['how']}{also}")
        click.echo(f"\nsearch   {found['search']}")
        click.echo(f"example  {json.dumps(found['example_row'], ensure_ascii=False)}")
        click.echo(msgspec.json.format(found["example"], indent=2))  # keeps numbers as they are written
