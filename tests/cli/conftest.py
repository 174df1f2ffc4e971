"""Commands as a person types them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest
from click.testing import CliRunner
from done import Done

from fhir_ivig.cli import main

SAMPLE = Path(__file__).parents[2] / "sample_bundles/hara2003"


@pytest.fixture(scope="session")
def typed() -> Callable[..., Done]:
    """Runs a command in this process; nothing but SystemExit comes out of it."""

    def run(*words: object) -> Done:
        done = CliRunner().invoke(main, [str(word) for word in words], prog_name="fhir-ivig")
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert "Traceback" not in done.output
        return Done(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def shell() -> Callable[..., Done]:
    """Runs the installed command in a process of its own."""
    program = Path(sys.executable).with_name("fhir-ivig")

    def run(*words: object) -> Done:
        done = subprocess.run([str(program), *map(str, words)], capture_output=True, text=True, timeout=120)
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the folder of the sample study: a push leaves its journal there."""
    return copytree(SAMPLE, tmp_path_factory.mktemp("sample") / "hara2003")


@pytest.fixture(scope="session")
def exported(typed: Callable[..., Done], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample study as NDJSON, R4."""
    out = tmp_path_factory.mktemp("exported") / "fhir"
    assert typed("export", SAMPLE, "--out", out).code == 0
    return out
