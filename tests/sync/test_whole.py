"""What an output folder may replace, and what it must not."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from fhir_ivig.fhir.address import is_address
from fhir_ivig.issue import IssueError
from fhir_ivig.sync.lease import lease
from fhir_ivig.sync.whole import passing_folder, whole_folder, write_private

OURS = json.dumps({"complete": True, "issues": {}})


def fill(out: Path, manifest: str, *others: str) -> None:
    out.mkdir()
    (out / "manifest.json").write_text(manifest)
    for name in others:
        (out / name).write_text("kept")


def test_an_earlier_output_is_replaced(tmp_path: Path) -> None:
    fill(tmp_path / "out", OURS, "subjects.csv")
    with whole_folder(tmp_path / "out") as part:
        (part / "new.csv").write_text("new")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new.csv"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("manifest", "others"), [('{"name": "my web app"}', ["index.js"]), (OURS, ["notes.txt"]), ("no JSON", [])]
)
def test_what_is_not_ours_is_kept(tmp_path: Path, manifest: str, others: list[str]) -> None:
    fill(tmp_path / "out", manifest, *others)
    before = sorted(path.read_text() for path in (tmp_path / "out").iterdir())
    with pytest.raises(IssueError, match="not an earlier output"), whole_folder(tmp_path / "out"):
        pass
    assert sorted(path.read_text() for path in (tmp_path / "out").iterdir()) == before


def test_what_is_read_is_not_replaced(tmp_path: Path) -> None:
    fill(tmp_path / "out", OURS)
    with (
        pytest.raises(IssueError, match="is read and lies in"),
        whole_folder(tmp_path / "out", [tmp_path / "out" / "x"]),
    ):
        pass
    assert (tmp_path / "out" / "manifest.json").exists()


def test_what_a_killed_run_left_is_taken_away_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    dead, living = tmp_path / ".out.999999999.part", tmp_path / ".out.1.part"
    for path in (dead, living):
        path.mkdir()
    with whole_folder(tmp_path / "out"):
        pass
    assert (dead.exists(), living.exists()) == (False, True)


def test_what_a_killed_run_had_moved_aside_comes_back_where_nothing_took_its_place(tmp_path: Path) -> None:
    fill(tmp_path / ".out.999999999.earlier", OURS)
    fill(tmp_path / ".out.incomplete.999999999.earlier", OURS)
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "out"):
        raise KeyboardInterrupt
    assert {path.name for path in tmp_path.iterdir()} == {"out", ".out.incomplete.999999999.earlier"}
    fill(tmp_path / ".out.999999998.earlier", OURS)
    with whole_folder(tmp_path / "out") as part:
        (part / "new.csv").touch()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"new.csv"}
    assert not (tmp_path / ".out.999999998.earlier").exists()


@pytest.mark.parametrize("full", [False, True])
def test_another_run_that_lands_in_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool) -> None:
    """It is replaced as what was there before it; where no folder can be moved, what was there stays."""
    fill(tmp_path / "out", OURS, "old.csv")
    rename, others = Path.rename, iter([True])

    def between(path: Path, target: Path) -> Path:
        if path.suffix == ".part" and next(others, False):
            if full:
                raise OSError(errno.ENOSPC, "No space left on device")
            fill(target, OURS, "other.csv")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", between)
    with (
        pytest.raises(IssueError, match="No space") if full else nullcontext(),
        whole_folder(tmp_path / "out") as part,
    ):
        (part / "new.csv").touch()
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    assert (tmp_path / "out" / ("old.csv" if full else "new.csv")).exists()


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    with whole_folder(tmp_path / "out") as part:
        (part / "a.csv").write_text("a")
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "disk" / "a.csv").exists()


@pytest.mark.parametrize(
    "text", ["https://hospital.example.org/fhir", "HTTPS://hospital.example.org", "http://[::1]:8080/x"]
)
def test_addresses(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize(
    "text", ["https:/host", "ftp://host/x", " https://host", "hospital.example.org/fhir", "outbox ", "https://"]
)
def test_what_looks_like_an_address_is_no_folder(text: str) -> None:
    with pytest.raises(IssueError):
        is_address(text)


def test_folders(tmp_path: Path) -> None:
    assert not is_address(str(tmp_path / "outbox"))
    assert not is_address("outbox/")


@contextmanager
def full_disk() -> Iterator[None]:
    """While the block lasts, no file can grow over ten bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_private_file_on_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("kept")
    with full_disk(), pytest.raises(IssueError, match=r"plan\.json: Cannot write: .* Make room"):
        write_private(tmp_path / "plan.json", "more than there is room for" * 1000)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["kept"]


def test_a_folder_on_a_full_disk(tmp_path: Path) -> None:
    said = r"out: Cannot write: .* Make room"
    with full_disk(), pytest.raises(IssueError, match=said), whole_folder(tmp_path / "out") as part:
        (part / "new.csv").write_text("more than there is room for" * 1000)
    assert list(tmp_path.iterdir()) == []


def test_a_lease_that_cannot_be_written_is_not_taken_for_held(tmp_path: Path) -> None:
    (tmp_path / "lease").write_bytes(b"no database at all, but long enough to be looked at as one" * 40)
    with pytest.raises(IssueError, match="Cannot write"), lease(tmp_path / "lease", "held"):
        pass
    with (
        lease(tmp_path / "other", "held"),
        pytest.raises(IssueError, match="held"),
        lease(tmp_path / "other", "held"),
    ):
        pass


@pytest.mark.parametrize("again", [False, True])
def test_a_lease_on_a_file_that_is_gone_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: bool) -> None:
    """As when its holder ends, and takes it away, just after another has opened it."""
    connect = sqlite3.connect

    def too_late(path: Path, **options: Any) -> sqlite3.Connection:
        found = connect(path, **options)
        path.rename(tmp_path / "gone")
        if again:
            path.touch()
        return found

    monkeypatch.setattr(sqlite3, "connect", too_late)
    with pytest.raises(IssueError, match="held"), lease(tmp_path / "lease", "held"):
        pass


@pytest.mark.parametrize("step", ["touch", "stat", "connect"])
def test_a_lease_whose_folder_goes_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """As when its holder ends, and takes all away, just before another opens it."""
    folder = tmp_path / "kept"
    folder.mkdir()
    owner = sqlite3 if step == "connect" else Path
    done = getattr(owner, step)

    def too_late(path: Path, *how: Any, **options: Any) -> Any:
        if path == folder / "lease":
            shutil.rmtree(folder, ignore_errors=True)
        return done(path, *how, **options)

    monkeypatch.setattr(owner, step, too_late)
    with pytest.raises(IssueError, match="held"), lease(folder / "lease", "held"):
        pass


def test_what_a_killed_run_left_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = {name: tmp_path / f"fhir-ivig-{name}" for name in ("killed", "begun", "held", "other")}
    for name, folder in left.items():
        folder.mkdir()
        (folder / "Patient.ndjson").touch()
        if name != "other":
            (folder / "lease").touch()
        if name != "begun":
            os.utime(folder, (0, 0))
    with lease(left["held"] / "lease", "held"), passing_folder() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        os.utime(folder, (0, 0))
        with passing_folder():
            assert {path.name for path in tmp_path.iterdir()} > {left[n].name for n in ("begun", "held", "other")}
            assert folder.exists()
            assert not left["killed"].exists()
    assert {path.name for path in tmp_path.iterdir()} == {left[name].name for name in ("begun", "held", "other")}
