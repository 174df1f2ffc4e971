"""What of a study is pulled, as a person asks for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from done import Done

Typed = Callable[..., Done]


@pytest.fixture
def pulled(typed: Typed, sample: Path, exported: Path, tmp_path: Path) -> Callable[..., Done]:
    """Pulls from the sample's exported files into `cohort`."""
    return lambda *words: typed("pull", sample, "--from", exported, "--out", tmp_path / "cohort", *words)


def subjects(cohort: Path) -> list[str]:
    return [line.split(",")[0] for line in (cohort / "subjects.csv").read_text("utf-8").splitlines()[1:]]


def test_some_subjects(pulled: Callable[..., Done], tmp_path: Path) -> None:
    assert pulled("--subjects", "HARA-01, HARA-03").code == 0
    assert subjects(tmp_path / "cohort") == ["HARA-01", "HARA-03"]
    (tmp_path / "list.txt").write_text("HARA-02\n\nHARA-02\n")
    assert pulled("--subjects", tmp_path / "list.txt").code == 0
    assert subjects(tmp_path / "cohort") == ["HARA-02"]


def test_some_mrns(pulled: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "mrns.txt").write_text("0041873\n")
    assert pulled("--mrns", tmp_path / "mrns.txt").code == 0
    assert subjects(tmp_path / "cohort") == ["HARA-01"]
    assert "0041873" not in (tmp_path / "cohort/manifest.json").read_text("utf-8")


def test_some_codes(pulled: Callable[..., Done], tmp_path: Path) -> None:
    assert pulled("--code", "http://loinc.org|2157-6").code == 0
    rows = (tmp_path / "cohort/assessments.csv").read_text("utf-8").splitlines()[1:]
    assert {row.split(",")[3] for row in rows} == {"CK"}
    assert len(subjects(tmp_path / "cohort")) == 12
    assert pulled("--code", "2157-6").code == 3


def test_what_is_less_complete_stands_beside(pulled: Callable[..., Done], typed: Typed, tmp_path: Path) -> None:
    cohort, beside = tmp_path / "cohort", tmp_path / "cohort.incomplete"
    assert pulled().code == 0
    done = pulled("--subjects", "HARA-01,HARA-99")
    assert done.code == 1
    assert "The subject HARA-99 was asked for and not found" in done.stderr
    assert f"{beside}:" in done.stderr
    assert f"It is less complete than {cohort}, which was left as it is." in done.stderr
    assert len(subjects(cohort)) == 12
    assert subjects(beside) == ["HARA-01"]
    assert json.loads((beside / "manifest.json").read_text("utf-8"))["complete"] is False
    assert (typed("endpoints", cohort).code, typed("endpoints", beside).code) == (0, 3)


@pytest.mark.parametrize("words", [["--bulk"], ["--bulk", "system"], ["--links", "none.csv"], ["--mrns", "none.txt"]])
def test_what_cannot_be(words: list[str], pulled: Callable[..., Done], tmp_path: Path) -> None:
    done = pulled(*words)
    assert done.code == 3
    assert not (tmp_path / "cohort").exists()


def test_since_the_last_of_a_folder_is_all(pulled: Callable[..., Done], tmp_path: Path) -> None:
    for _ in range(2):
        assert pulled("--since", "last").code == 0
    assert len(subjects(tmp_path / "cohort")) == 12


def test_a_server_by_its_settings(typed: Typed, server: str, sample: Path, tmp_path: Path) -> None:
    typed("push", sample, "--to", server, "--journal", tmp_path / "journal")
    (tmp_path / "server.yaml").write_text(f"base: {server}\npreset: sekmet\n")
    some = ["--from", tmp_path / "server.yaml", "--subjects", "HARA-01", "--poll-seconds", "0.1"]
    for words in ([], ["--since", "last"], ["--bulk"], ["--bulk", "patient", "--since", "last"]):
        done = typed("pull", sample, *some, "--out", tmp_path / "cohort", *words, "--json")
        assert (done.code, done.json["rows"]["subjects"]) == (0, 1), done
