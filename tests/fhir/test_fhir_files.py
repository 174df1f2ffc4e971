"""Every shape of FHIR file, good and bad: files.yaml."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_ivig.fhir.files import read_blocks
from fhir_ivig.fhir.lines import Block

CASES = yaml.safe_load(Path(__file__).with_name("files.yaml").read_text())


def content(case: dict[str, Any]) -> bytes:
    if "deep" in case:
        return b"[" * case["deep"] + b"]" * case["deep"]
    data = bytes.fromhex(case["hex"]) if "hex" in case else case["text"].encode()
    data = gzip.compress(data) if case.get("gz") else data
    return data[: len(data) - case.get("cut", 0)]


def rows(blocks: Iterable[Block]) -> list[int]:
    found = []
    for block in blocks:
        assert len(block.lines) == len(block.numbers)
        assert not block.data or block.data.endswith(b"\n")
        assert all(line.startswith(b"{") and line == line.strip() for line in block.lines)
        found += block.numbers
    return found


@pytest.mark.parametrize("block_bytes", [1 << 20, 1000])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_files(case: dict[str, Any], block_bytes: int, tmp_path: Path) -> None:
    path = tmp_path / case["name"]
    path.write_bytes(content(case))
    blocks = list(read_blocks([path], block_bytes))
    assert rows(blocks) == case["rows"]
    issues = [issue for block in blocks for issue in block.issues]
    assert [issue.code for issue in issues] == case.get("codes", [])
    assert case.get("says", "") in " ".join(issue.text for issue in issues)
    assert [issue.row for issue in issues if issue.row] == case.get("at", [])
    assert {issue.file for issue in issues} <= {str(path)}
    if "data" in case:
        assert b"".join(block.data for block in blocks) == case["data"].encode()


@pytest.mark.parametrize("block_bytes", [7, 8, 9, 64, 100, 1000])
def test_blocks_cut_at_newlines(block_bytes: int, tmp_path: Path) -> None:
    lines = [b'{"n":%d,"t":"%s"}' % (n, b"x" * (n % 37)) for n in range(500)]
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"\n".join(lines))
    blocks = list(read_blocks([path], block_bytes))
    assert b"".join(block.data for block in blocks) == b"\n".join(lines) + b"\n"
    assert rows(blocks) == list(range(1, 501))
    assert not any(block.issues for block in blocks)


@pytest.mark.parametrize("block_bytes", [10, 100, 10_000])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_line_too_long_is_left_out(block_bytes: int, place: int, tmp_path: Path) -> None:
    lines = [b'{"a":1}', b'{"a":2}']
    lines.insert(place, b'{"a":"' + b"x" * 500 + b'"}')
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"\n".join(lines) + b"\n")
    blocks = list(read_blocks([path], block_bytes, line_limit=200))
    assert rows(blocks) == [row for row in (1, 2, 3) if row != place + 1]
    assert [(issue.code, issue.row) for block in blocks for issue in block.issues] == [("too-long", place + 1)]


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(b'{"resourceType":\n"Patient",' + b" " * (20 << 20) + b"}"))
    assert path.stat().st_size < 50_000
    (block,) = read_blocks([path], document_limit=1 << 20)
    assert [issue.code for issue in block.issues] == ["too-long"]


def test_a_folder_in_order(tmp_path: Path) -> None:
    names = [
        "Zoo",
        "Observation",
        "Procedure",
        "Patient",
        "sub/Patient.0002",
        "Condition",
        "ResearchSubject",
        "ResearchStudy",
    ]
    for name in names:
        file = tmp_path / f"{name}.ndjson"
        file.parent.mkdir(exist_ok=True)
        file.write_text('{"a":1}\n')
    for name in ("manifest.json", "issues.ndjson", ".Patient.ndjson.part", "readme.txt", "subjects.csv"):
        (tmp_path / name).write_text("{}")
    order = [Path(block.file).relative_to(tmp_path).as_posix() for block in read_blocks([tmp_path])]
    assert order == [
        "ResearchStudy.ndjson", "Patient.ndjson", "sub/Patient.0002.ndjson", "ResearchSubject.ndjson",
        "Condition.ndjson", "Procedure.ndjson", "Observation.ndjson", "Zoo.ndjson",
    ]  # fmt: skip


def test_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    good = tmp_path / "a.ndjson"
    good.write_text("{}\n")
    blocks = list(read_blocks([tmp_path / "empty", tmp_path / "none.json", good]))
    assert [issue.code for block in blocks for issue in block.issues] == ["not-found", "not-found"]
    assert rows(blocks) == [1]


def test_a_gzip_file_cut_late_keeps_what_came_before(tmp_path: Path) -> None:
    import random

    noise = random.Random(1)
    data = b"".join(b'{"n":%d}\n' % noise.getrandbits(200) for _ in range(20_000))
    path = tmp_path / "a.ndjson.gz"
    path.write_bytes(gzip.compress(data)[:-100])
    blocks = list(read_blocks([path], 50_000))
    (issue,) = (issue for block in blocks for issue in block.issues)
    assert issue.code == "incomplete"
    assert issue.row == rows(blocks)[-1] > 15_000
