"""The documents do what they say: all in them is run or loaded, and what they show is true.

The fenced blocks, in the order of a document, share one empty folder (with `sample_bundles` in it) and one Python:

    ```console  `$ ` begins a command, `> ` goes on with it; what follows is its output, `...` for any part of that
    ```python   is run; a ```text block after it is what it prints
    ```yaml     a mapping file (it has `resource`) or study.yaml (it has `study`) is loaded; any other is part of a
                study.yaml, and tried in that of the sample. Named by a comment in its first line, it is written to
                that file; the name of a shipped mapping promises that the block is that file
    ```csv      is written to the file named in its first line
    ```sh       sets up or builds: only make, pip and the like, and every target must exist
    ```json     is JSON
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import yaml
from servers.redcap import TOKEN

from fhir_ivig.cli import COMMANDS
from fhir_ivig.endpoints.compute import KINDS
from fhir_ivig.issue import IssueError
from fhir_ivig.mapping.loading import shipped
from fhir_ivig.mapping.mapping import load_mapping
from fhir_ivig.study.dictionary import Table, dictionary
from fhir_ivig.study.study import Study

ROOT = Path(__file__).parents[1]
DOCS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
SET_UP = ("make", "pip install", "git clone", "cd", "python -m pytest", "eval", "hatch", ". .venv/bin/activate")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(file: Path) -> list[tuple[str, str, int]]:
    """Each fenced block: its language, its text, its line."""
    text = file.read_text("utf-8")
    return [(found[1], found[2], text.count("\n", 0, found.start()) + 1) for found in BLOCK.finditer(text)]


def shows(shown: str, real: str) -> bool:
    """Whether an output is what a document shows, with `...` for any text."""
    pattern = re.escape(shown.strip()).replace(re.escape("..."), "(?s:.*?)")
    return re.fullmatch(pattern, re.sub(r"[ \t]+$", "", real, flags=re.MULTILINE).strip()) is not None


class Reader:
    """Someone who does, in a folder, what a document says."""

    def __init__(self, folder: Path, servers: dict[str, str]) -> None:
        self.folder, self.names = folder, dict[str, Any]()
        copytree(ROOT / "sample_bundles", folder / "sample_bundles")  # a push leaves its journal there
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {**os.environ, "PATH": path, "COLUMNS": "100", **servers}

    def console(self, text: str) -> None:
        parts = re.split(r"^\$ (.*(?:\n> .*)*)\n", text, flags=re.MULTILINE)
        assert parts[0].strip() == "", f"output without a command: {parts[0]}"
        commands, outputs = [part.replace("\n> ", "\n") for part in parts[1::2]], parts[2::2]
        mark = "=-=-="  # between the outputs; the exit code of each command is there for the next
        script = "".join(f"{command}\n__code=$?; echo {mark}; (exit $__code)\n" for command in commands)
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        for command, shown, real in zip(commands, outputs, done.stdout.split(f"{mark}\n"), strict=False):
            assert shows(shown, real), f"$ {command}\nshows\n{shown}\nbut gives\n{real}"

    def python(self, text: str) -> str:
        printed = io.StringIO()
        with chdir(self.folder), redirect_stdout(printed):
            exec(compile(text, "<document>", "exec"), self.names)
        return printed.getvalue()

    def yaml(self, text: str) -> None:
        first = text.partition("\n")[0]
        named = first.removeprefix("# ") if re.fullmatch(r"# [\w./-]+\.yaml", first) else ""
        if named.startswith("mappings/"):
            assert text.partition("\n")[2] == (shipped().parent / named).read_text("utf-8")
            return
        if named:
            file = self.folder / named
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        given = yaml.load(text, yaml.BaseLoader)
        if "resource" in given:
            load_mapping(text, name=Path(named).stem or "mapping")
        elif "study" in given:
            Study.load(file if named else self.written(text))
        else:
            sample = yaml.load((ROOT / "sample_bundles/hara2003/study.yaml").read_text("utf-8"), yaml.BaseLoader)
            Study.load(self.written(yaml.safe_dump({**sample, **given})))

    def written(self, text: str) -> Path:
        file = self.folder / "part" / "study.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
        return file

    def csv(self, text: str) -> None:
        first, _, rest = text.partition("\n")
        file = self.folder / first.removeprefix("# ")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(rest, "utf-8")


def servers_of(commands: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """The variables with the addresses of the servers that commands ask."""
    found = {"FHIR": request.getfixturevalue("server")} if "$FHIR" in commands else {}
    if "$REDCAP" in commands:
        found |= {"REDCAP": request.getfixturevalue("redcap_project").url, "FHIR_IVIG_REDCAP_TOKEN": TOKEN}
    return found


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.name)
def test_a_document_is_true(file: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    every = blocks(file)
    reader = Reader(
        tmp_path, servers_of("".join(text for language, text, _ in every if language == "console"), request)
    )
    printed = ""
    for language, text, line in every:
        try:
            if language == "console":
                reader.console(text)
            elif language == "python":
                printed = reader.python(text)
            elif language == "text":
                assert shows(text, printed), f"prints\n{printed}"
            elif language == "yaml":
                reader.yaml(text)
            elif language == "csv":
                reader.csv(text)
            elif language == "json":
                json.loads(text)
            elif language == "sh":
                check_set_up(text)
            else:
                raise AssertionError(f"what is a block of `{language}`?")
        except (AssertionError, IssueError, ValueError) as error:
            pytest.fail(f"{file.name}:{line}: {error}", pytrace=False)


def check_set_up(text: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for command in filter(None, text.splitlines()):
        assert command.startswith(SET_UP), f"`{command}` is run by no test: make it a console block"
        if command.startswith("make "):
            assert command.split()[1] in targets


def links(file: Path) -> Iterator[str]:
    text = BLOCK.sub("", file.read_text("utf-8"))
    yield from (link for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text) if "://" not in link)


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.name)
def test_links_lead_somewhere(file: Path) -> None:
    assert [link for link in links(file) if not (file.parent / link).exists()] == []


def test_the_readme_leads_to_every_document() -> None:
    found = set(links(ROOT / "README.md"))
    assert {f"docs/{file.name}" for file in (ROOT / "docs").glob("*.md")} - found == set()


def table_lines(table: Table) -> Iterator[str]:
    """A table of the data dictionary as docs/study.md shows it."""
    yield f"### {table.name}"
    yield table.about
    yield f"Key: {', '.join(f'`{column}`' for column in table.key)}"
    for column in table.columns.values():
        must = "yes" if column.name in table.required else ""
        values = f" ({', '.join(f'`{value}`' for value in column.values)})" if column.values else ""
        yield f"| `{column.name}` | {column.type} | {must} | {column.about}{values} |"


def test_the_data_dictionary_is_shown_as_it_is() -> None:
    text = (ROOT / "docs/study.md").read_text("utf-8")
    lines = [line for table in dictionary().values() for line in table_lines(table)]
    assert [line for line in lines if line not in text.splitlines()] == []
    assert text.count("\n### ") == len(dictionary())


def test_every_command_is_described() -> None:
    headings = re.findall(r"^## `(\w+)`", (ROOT / "docs/commands.md").read_text("utf-8"), re.MULTILINE)
    assert headings == list(COMMANDS)


def test_every_kind_of_endpoint_is_described() -> None:
    texts = [(ROOT / f"docs/{name}.md").read_text("utf-8") for name in ("endpoints", "statistics")]
    headings = [heading for text in texts for heading in re.findall(r"^### `(\w+)`", text, re.MULTILINE)]
    assert sorted(headings) == sorted(KINDS)
