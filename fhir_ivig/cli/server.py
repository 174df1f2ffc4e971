"""fhir-ivig server"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fhir_ivig.cli.show import command, finish, json_option, show_issues
from fhir_ivig.issue import many

if TYPE_CHECKING:
    from fhir_ivig.fhir.capability import Capability


@click.command()
@click.argument("target", metavar="URL|FILE")
@click.option("--probe", "probing", is_flag=True, help="Try it with resources to throw away, deleted at the end.")
@click.option("--preset", help="What kind of server a URL leads to; else its name may tell.")
@json_option
def server(target: str, probing: bool, preset: str | None, as_json: bool) -> None:
    """Show what a FHIR server can: what it says, what is known of its kind, what a probe sees, and what follows.

    Nothing is written without --probe. For a URL, a bearer token is taken from the environment variable
    FHIR_IVIG_TOKEN; a server.yaml (or `server:` in a study.yaml) says where it is.

    \b
    Examples:
      fhir-ivig server https://hospital.example.org/fhir
      fhir-ivig server server.yaml --probe
      fhir-ivig server study.yaml
    """
    with command(as_json):
        from fhir_ivig.fhir.capability import examine, release
        from fhir_ivig.fhir.probe import Probe, probe
        from fhir_ivig.fhir.server import connect, server_settings
        from fhir_ivig.issue import failed
        from fhir_ivig.mapping.collection import Mappings

        settings = server_settings(target, preset)
        if settings is None:
            raise click.UsageError("Give the address of a server, or a server.yaml.")
        client = connect(settings)
        statement = client.capability()
        mappings = Mappings.load(release(statement) or "R4").by_name.values()
        tried = probe(client) if probing else Probe()
        found = examine(statement, settings, {mapping.resource_type for mapping in mappings}, tried.seen)
        issues = [*found.issues, *tried.issues]
        show_issues(issues)
        if not as_json:
            click.echo(shown(found))
        result = {**found.as_dict(), "issues": [issue.as_dict() for issue in issues]}
        complete = not tried.issues and not failed(issues)
        finish(complete, "All tried." if probing else "Nothing was tried: --probe does.", result, as_json)


def shown(found: Capability) -> str:
    """The facts as a table for people, and what follows from them."""
    from fhir_ivig.fhir.capability import NAMES

    use = found.settings
    lines = [f"{use.base}: {found.software}, FHIR {found.fhir_version or 'of another version'}", ""]
    lines.append(f"{'':<20}{'says':<9}{'known':<9}seen")
    for name, fact in found.facts.items():
        seen = f"{fact.seen.does}: {fact.seen.text}" if fact.seen else ""
        lines.append(f"{NAMES[name]:<20}{fact.says:<9}{fact.known:<9}{seen}".rstrip())
    lines += [
        "",
        f"preset    {use.preset} ({found.why['preset']})",
        f"strategy  {use.strategy} ({found.why['strategy']})",
        f"bundle    {use.bundle} ({found.why['bundle']})",
        f"limits    {many(use.batch_entries, 'entry', 'entries')} or {use.batch_bytes} bytes a "
        f"bundle, {many(use.connections, 'connection')}, {use.page} a page",
    ]
    return "\n".join(lines)
