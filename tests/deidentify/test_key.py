"""The key file: for its owner only, whole, of one study; and what follows from the key."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fhir_ivig.deidentify.key import YEARS, Key
from fhir_ivig.issue import IssueError

BASE = "https://example.org/try"


def test_a_key_is_made_for_its_owner_only_and_kept(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        made = Key.load(tmp_path / "key", BASE)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert made.new
    assert Key.load(tmp_path / "key", BASE) == made
    assert not Key.load(tmp_path / "key", BASE).new
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert Key.load(tmp_path / "other", BASE) != made


def test_runs_at_once_have_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = {key.secret for key in pool.map(lambda _: Key.load(tmp_path / "key", BASE), range(32))}
    assert len(keys) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_hashes_and_days_follow_from_the_key() -> None:
    one, other = Key(b"1" * 32), Key(b"2" * 32)
    subjects = [f"S{number}" for number in range(2000)]
    hashes = [one.hashed("subject", subject) for subject in subjects]
    assert hashes == [one.hashed("subject", subject) for subject in subjects]
    assert len(set(hashes)) == 2000
    assert not set(hashes) & {other.hashed("subject", subject) for subject in subjects}
    assert not set(hashes) & {one.hashed("site", subject) for subject in subjects}
    days = [one.days(subject) for subject in subjects]
    assert days == [one.days(subject) for subject in subjects]
    assert sum(days[at] == other.days(subject) for at, subject in enumerate(subjects)) < 5
    assert YEARS[0] * 365 < min(days) < YEARS[0] * 365 + 400
    assert YEARS[1] * 365 - 400 < max(days) < YEARS[1] * 366


def refused(path: Path, base: str = BASE) -> str:
    with pytest.raises(IssueError) as raised:
        Key.load(path, base)
    [issue] = raised.value.issues
    assert (issue.severity, issue.file) in (("fatal", str(path)), ("fatal", None))
    return issue.text


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    Key.load(tmp_path / "key", BASE)
    (tmp_path / "key").chmod(mode)
    assert "may be read or written by others" in refused(tmp_path / "key")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"[]",
        b"{}",
        b'{"kind": "fhir-ivig de-identification key 1", "study": "https://example.org/try", "key": "00ff"}',
        b'{"kind": "fhir-ivig de-identification key 1", "study": "https://example.org/try", "key": 5}',
        b'{"kind": "another", "study": "https://example.org/try", "key": "' + b"00" * 32 + b'"}',
        b"[" * 4096,
    ],
)
def test_a_damaged_key_is_refused_and_left(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "key"
    file.touch(0o600)
    file.write_bytes(text)
    assert "no key file of fhir-ivig" in refused(file)
    assert file.read_bytes() == text


def test_the_key_of_another_study_is_refused(tmp_path: Path) -> None:
    Key.load(tmp_path / "key", BASE)
    assert json.loads((tmp_path / "key").read_text())["study"] == BASE
    assert BASE in refused(tmp_path / "key", "https://example.org/other")


def test_a_place_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    os.mkfifo(tmp_path / "pipe", 0o600)  # is not waited for
    assert "This is no file" in refused(tmp_path)
    assert "This is no file" in refused(tmp_path / "pipe")
    assert "cannot be read or made: Too many levels" in refused(tmp_path / "circle")
    assert "cannot be read or made: No such file" in refused(tmp_path / "no folder" / "key")
    assert "cannot be read or made: No such file" in refused(tmp_path / "dangling")
