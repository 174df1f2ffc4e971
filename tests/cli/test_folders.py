"""An output is there whole or not at all, and nobody else's folder is touched."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from done import Done

Typed = Callable[..., Done]
WRITERS = [
    ["export", "{sample}", "--out", "{out}"],
    ["tabulate", "{fhir}", "--study", "{sample}", "--out", "{out}"],
    ["pull", "{sample}", "--from", "{fhir}", "--out", "{out}"],
]
writers = pytest.mark.parametrize("words", WRITERS, ids=lambda words: words[0])


@pytest.fixture
def fill(typed: Typed, sample: Path, exported: Path, tmp_path: Path) -> Callable[[list[str]], Done]:
    """Runs a command that writes the folder `out` of the test."""
    places = {"{sample}": str(sample), "{fhir}": str(exported), "{out}": str(tmp_path / "out")}
    return lambda words: typed(*(places.get(word, word) for word in words), "--json")


@writers
def test_an_earlier_output_is_replaced(fill: Callable[[list[str]], Done], tmp_path: Path, words: list[str]) -> None:
    assert fill(words).code == 0
    first = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    (tmp_path / "out/left.csv").write_text("of before")
    assert fill(words).code == 0
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == first
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("words", [*WRITERS, ["push", "{sample}", "--to", "{out}"]], ids=lambda words: words[0])
def test_links_in_a_circle_are_no_folder(fill: Callable[[list[str]], Done], tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "out")
    done = fill(words)
    assert done.code == 3
    assert "fault of fhir-ivig" not in done.stderr


@writers
def test_a_foreign_folder_is_refused(fill: Callable[[list[str]], Done], tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("mine")
    done = fill(words)
    assert done.code == 3
    assert done.json["issue"][0]["code"] == "conflict"
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "thesis.txt"]


@writers
@pytest.mark.parametrize("earlier", [True, False])
def test_a_full_disk_leaves_things_as_they_were(
    fill: Callable[[list[str]], Done],
    tmp_path: Path,
    words: list[str],
    earlier: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The disk is played: each file below the test's folder takes a thousand bytes and then is full, as /dev/full."""
    if earlier:
        assert fill(words).code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    real, real_fdopen = Path.open, os.fdopen

    def full(path: Path, mode: str = "r", *rest: Any, **more: Any) -> Any:
        opened = real(path, mode, *rest, **more)
        if "w" in mode and "b" in mode and tmp_path in path.parents:
            return Full(opened)
        return opened

    monkeypatch.setattr(Path, "open", full)
    monkeypatch.setattr("fhir_ivig.fhir.folder.os.fdopen", lambda *given: Full(real_fdopen(*given)))
    done = fill(words)
    monkeypatch.undo()
    assert done.code == 3
    said = "Cannot write: No space left on device. Make room, or choose another place."
    assert done.json["issue"][0]["details"]["text"] == said
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert list(tmp_path.glob(".*")) == []


class Full(io.RawIOBase):
    """A file on a disk with room for a thousand bytes."""

    def __init__(self, file: Any) -> None:
        self.file, self.left = file, 1000

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.left -= len(data)
        if self.left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self.file.write(data))

    def close(self) -> None:
        self.file.close()
        super().close()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable to root")
def test_a_file_that_may_not_be_read(typed: Typed, sample: Path, tmp_path: Path) -> None:
    study = shutil.copytree(sample, tmp_path / "study")
    (study / "subjects.csv").chmod(0)
    done = typed("check", study, "--json")
    assert done.code == 1
    assert any("Permission denied" in issue["text"] for issue in done.json["issues"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(fill: Callable[[list[str]], Done], tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert fill(WRITERS[0]).code == 3
    finally:
        tmp_path.chmod(0o700)


def test_a_dead_server_costs_no_earlier_cohort(
    typed: Typed, sample: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fhir_ivig.fhir.retry.ATTEMPTS", 1)
    out = tmp_path / "out"
    assert typed("pull", sample, "--from", exported, "--out", out).code == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert typed("pull", sample, "--from", "http://127.0.0.1:9/fhir", "--out", out).code == 3
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_an_incomplete_pull_says_so_and_endpoints_refuse_it(
    typed: Typed, sample: Path, exported: Path, tmp_path: Path
) -> None:
    source, cohort = shutil.copytree(exported, tmp_path / "fhir"), tmp_path / "cohort"
    file = source / "Condition.ndjson"
    file.write_text(file.read_text("utf-8").replace('"396230008"', '"999"', 1), "utf-8")
    done = typed("pull", sample, "--from", source, "--out", cohort, "--json")
    assert (done.code, done.json["complete"]) == (1, False)
    assert json.loads((cohort / "manifest.json").read_text("utf-8"))["complete"] is False
    assert typed("endpoints", cohort).code == 3
    assert typed("endpoints", cohort, "--incomplete").code == 0
