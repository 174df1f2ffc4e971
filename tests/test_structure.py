"""The plan of the house, read from its source: who imports whom, how long a file is, what start-up loads."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import fhir_ivig
from fhir_ivig.cli import COMMANDS, main

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fhir_ivig"
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 260  # lines: what fits in the head
HEAVY = ("pandas", "pyarrow", "numpy", "scipy", "pydantic", "fhir", "requests", "urllib3", "yaml", "msgspec")
HEAVY += ("ucumvert", "jinja2")

# Room -> the rooms that it may import from, besides itself.
CORE = {"issue", "yamltext", "shape", "pages", "spreadsheet"}
ALL = CORE | {"mapping", "study", "fhir", "sync", "endpoints", "report", "datasets", "verification"}
ALL |= {"library", "reporting", "answers", "demo", "deidentify", "redcap"}
MAY_IMPORT = {
    "issue": set(),
    "pages": set(),
    "spreadsheet": set(),
    "yamltext": {"issue"},
    "shape": {"issue", "yamltext"},
    "mapping": CORE,
    "study": CORE,
    "fhir": CORE,
    "endpoints": CORE,
    "report": CORE | {"endpoints"},
    "datasets": CORE | {"study", "endpoints", "sync"},
    "sync": CORE | {"mapping", "study", "fhir"},
    "deidentify": CORE | {"study", "fhir", "sync"},
    "verification": CORE | {"mapping", "study", "fhir", "sync"},
    "redcap": CORE | {"study", "fhir", "sync"},
    "__init__": ALL,
    "library": ALL,
    "reporting": ALL,
    "answers": ALL,
    "demo": ALL,
    "cli": ALL | {"cli"},
    "__main__": {"cli"},
}


def room(file: Path) -> str:
    """`sync` of fhir_ivig/sync/pull.py, `issue` of fhir_ivig/issue.py."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything of the package that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "fhir_ivig":
                yield node.lineno, name


def test_imports_run_one_way() -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file in FILES
        for line, name in imports(file)
        if name.split(".")[1] not in MAY_IMPORT[room(file)] | {room(file)}
    ]
    assert wrong == []


def test_every_room_is_in_the_plan_of_the_house() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## The house")[2].partition("\n## ")[0]
    rooms = {room(file) for file in FILES} - {"__init__", "__main__"}
    assert {name for name in rooms if not re.search(rf"`(fhir_ivig/)?{name}(/|\.py)`", table)} == set()


def test_files_fit_in_the_head() -> None:
    lengths = {str(file.relative_to(ROOT)): len(file.read_text("utf-8").splitlines()) for file in FILES}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_no_file_is_named_after_nothing() -> None:
    parts = {part.removesuffix(".py") for file in FILES for part in file.relative_to(PACKAGE).parts}
    assert parts & {"util", "utils", "helper", "helpers", "manager", "managers", "data", "misc", "common"} == set()


HELP = """
from fhir_ivig.cli import COMMANDS, main
for words in ([], *([name] for name in COMMANDS)):
    main([*words, "--help"], standalone_mode=False)
"""
LOADED = "import json, sys; sys.stderr.write(json.dumps(sorted(sys.modules)))"


@pytest.mark.parametrize("code", ["import fhir_ivig; dir(fhir_ivig)", HELP], ids=["import", "help"])
def test_start_up_is_light(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"{code}\n{LOADED}"], capture_output=True, text=True, check=True)
    tops = {name.partition(".")[0] for name in json.loads(done.stderr)}
    assert "fhir_ivig" in tops
    assert tops & set(HEAVY) == set()


def test_every_command_is_named_once() -> None:
    files = {file.stem for file in (PACKAGE / "cli").glob("*.py")} - {"__init__", "show", "results"}
    assert files == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    shown = CliRunner().invoke(main, [command, "--help"])
    assert shown.exit_code == 0
    assert "Example" in shown.stdout
    assert f"fhir-ivig {command}" in shown.stdout.partition("Example")[2]
    assert "--json" in shown.stdout


@pytest.mark.skipif(not (ROOT / "docs/commands.md").exists(), reason="docs/commands.md is not written yet")
def test_every_command_is_documented() -> None:
    text = (ROOT / "docs/commands.md").read_text("utf-8")
    assert [name for name in COMMANDS if f"fhir-ivig {name}" not in text] == []


@pytest.mark.parametrize("name", dir(fhir_ivig))
def test_every_public_name_is_there(name: str) -> None:
    found = getattr(fhir_ivig, name)
    assert name == "__version__" or (found.__doc__ or "").strip()


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute nothing"):
        fhir_ivig.nothing  # noqa: B018 (looked up, not used)
