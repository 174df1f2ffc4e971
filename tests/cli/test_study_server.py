"""A study that names its server: no address on the command line, and every problem at its line of study.yaml."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from done import Done

Typed = Callable[..., Done]
STUDY = """study: {name}
title: A small study
status: active
base: https://example.org/studies/{name}
fhir_version: R4
parameters: {{mrn_system: https://hospital.example.org/mrn}}
tables: {{subjects: {{}}}}
"""


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    folder = tmp_path / "trial"
    folder.mkdir()
    (folder / "study.yaml").write_text(STUDY.format(name=tmp_path.name))
    (folder / "subjects.csv").write_text("subject,sex\nS-01,female\n")
    return folder


def name_server(trial: Path, block: str) -> None:
    with (trial / "study.yaml").open("a") as file:
        file.write(f"server:\n{block}")


def test_there_and_back(typed: Typed, server: str, trial: Path, tmp_path: Path) -> None:
    name_server(trial, f"  base: {server}\n  preset: sekmet\n  auth: {{bearer: {{file: token}}}}\n")
    (trial / "token").write_text("t0ken")
    (trial / "token").chmod(0o600)
    planned, pushed = typed("plan", trial), typed("push", trial)
    assert (planned.code, pushed.code) == (0, 0), pushed.stderr
    assert f"{server}: 2 created, 0 updated" in pushed.stderr
    assert f"{server}: 2 confirmed." in typed("status", trial).stderr
    assert typed("pull", trial, "--out", tmp_path / "cohort").code == 0
    assert (tmp_path / "cohort/subjects.csv").read_text().splitlines()[1].startswith("S-01,")
    assert "sekmet (named by you)" in typed("server", trial / "study.yaml").stdout
    assert "2 created" in typed("push", trial, "--to", tmp_path / "outbox").stderr  # what is said wins
    passed_on = (tmp_path / "cohort/study.yaml").read_text()
    assert "server" not in passed_on
    assert "token" not in passed_on


def test_without_a_server(typed: Typed, trial: Path, tmp_path: Path) -> None:
    for words in (["push", trial], ["plan", trial], ["status", trial], ["pull", trial, "--out", tmp_path / "cohort"]):
        done = typed(*words)
        assert done.code == 3
        assert f"Say {'--from' if words[0] == 'pull' else '--to'}, or name a server" in done.stderr


def test_every_problem_at_its_line(typed: Typed, trial: Path) -> None:
    name_server(trial, "  base: http://hospital.example.org/fhir\n  speed: 1\n  auth: {bearer: canary}\n")
    (trial / "subjects.csv").write_text("subject,sex\nS-01,F\n")
    for words in (["check"], ["push"]):
        done = typed(*words, trial)
        assert done.code == (1 if words == ["check"] else 3)
        for line in (9, 10, 11):
            assert f"error: study.yaml:{line}: " in done.stderr
        assert "canary" not in done.stdout + done.stderr
    assert "subjects.csv:2" in typed("check", trial).stderr


@pytest.mark.parametrize("block", ["  - https://hospital.example.org\n", "  https://hospital.example.org\n"])
def test_no_block(block: str, typed: Typed, trial: Path) -> None:
    name_server(trial, block)
    done = typed("check", trial)
    assert (done.code, "`base` is missing" in done.stderr) == (1, True)
