"""The command line: one short file a command, each a thin layer over one library call.

What is printed on stdout is data, all else goes to stderr. Exit codes: 0 done; 1 done, but something was withheld,
failed or differs; 2 wrong use; 3 nothing could be done.
"""

from __future__ import annotations

from importlib import import_module

import click

# Command -> what it does, so that --help need not import them all.
COMMANDS = {
    "init": "Propose a study.yaml from a REDCap project.",
    "check": "Check a study: its file, its mappings, its tables.",
    "explain": "Show what a mapping does: columns beside FHIRPaths, its search, an example.",
    "export": "Write a study's tables as FHIR files.",
    "tabulate": "Read FHIR files into a study's tables; tables for Excel, SAS and others.",
    "plan": "Show what a push would do, field by field; nothing is sent.",
    "push": "Send a study to a FHIR server or an NDJSON folder; twice is once.",
    "status": "Show what is known of earlier pushes to a target.",
    "pull": "Fetch a study from a FHIR server or folder, as FHIR and as tables.",
    "diff": "Hold a study's tables against a hospital's record, cell by cell.",
    "server": "Show what a FHIR server can, and how it will be treated for that.",
    "endpoints": "Compute a trial's endpoints from its tables.",
    "deidentify": "Write a study without what tells who its subjects are.",
    "report": "Write a report on a trial: endpoints, figures and tables on one page.",
    "redcap": "A REDCap project: pull, check, plan and push through its API.",
    "demo": "Run the sample study through a FHIR server and back.",
}


class Commands(click.Group):
    """Commands that are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"fhir_ivig.cli.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 1 done, but something was withheld, failed or differs; 2 wrong use; "
    "3 nothing could be done.",
)
@click.version_option(package_name="fhir-ivig", prog_name="fhir-ivig")
def main() -> None:
    """Between the tables of an IVIG trial in myositis and FHIR, both ways.

    \b
    Try it:  fhir-ivig demo
    A study: fhir-ivig check study.yaml
             fhir-ivig push study.yaml --to https://hospital.example.org/fhir
    """
