"""Law 3, foreign settles, and that all ways of reading a line give the same."""

from __future__ import annotations

import random
import re
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import strategies as st
from laws import assert_same, everywhere, kept, prove, read, write
from perturbation import echoed, perturbed
from strategies import BASE, PARAMETERS, batches, bound, mappings

from fhir_ivig.issue import failed
from fhir_ivig.mapping.collection import References


def assert_equal_numbers(found: pa.RecordBatch, wanted: pa.RecordBatch) -> None:
    """Equal rows, but that numbers may be written otherwise (1.50 for 1.5), and empty cells filled."""
    for back, row in zip(found.to_pylist(), wanted.to_pylist(), strict=True):
        differ = [(back[name], cell) for name, cell in row.items() if cell is not None and back[name] != cell]
        assert [pair for pair in differ if Decimal(pair[0]) != Decimal(pair[1])] == []


@everywhere
def test_foreign_settles(version: str, name: str) -> None:
    """Law 3, for our resources as another system would hand them on."""
    study, mapping = bound(version), mappings(version).by_name[name]

    def law(rows: pa.RecordBatch, seed: int) -> int:
        chance = random.Random(seed)
        written = write(study, name, rows)
        if not written.count:
            return 0
        lines, mine = written.json_lines(), kept(rows, written)
        echo, issues = read(study, [echoed(line, chance) for line in lines[:20]])
        assert [str(issue) for issue in issues if failed([issue])][:1] == []
        assert_same(echo.batch, mine.slice(0, 20))
        first, issues = read(study, [perturbed(line, mapping, chance) for line in lines])
        assert [str(issue) for issue in issues if failed([issue])][:1] == []
        assert_equal_numbers(first.batch, mine)
        second = write(study, name, first.batch)
        assert second.issues == [], second.issues[0]
        settled, issues = read(study, second.json_lines())
        assert issues == [], issues[0]
        assert_same(settled.batch, first.batch)
        return len(lines)

    prove(law, batches(mapping, 108, 112), st.integers(0, 2**32 - 1), of=f"{name} {version}")


@everywhere
def test_all_ways_of_reading_agree(version: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines written again and cells cut out between constants give what the matcher finds, also in spoilt lines."""
    fast, slow = bound(version), mappings(version).bind(BASE, PARAMETERS)
    mapping = mappings(version).by_name[name]
    for reader in slow.readers.values():
        reader.cuts = {}
    monkeypatch.setattr(slow, "echoed", lambda *_: None)

    def law(rows: pa.RecordBatch, seed: int) -> int:
        chance = random.Random(seed)
        often = chance.choice([0, 0.01, 0.01, 0.3])
        lines = [spoilt(line, chance, often) for line in write(fast, name, rows).json_lines()]
        data = "".join(f"{line}\n" for line in lines).encode()
        blocks = [study.read(data, range(1, len(lines) + 1), "f", References(), final=True) for study in (fast, slow)]
        for fast_part, slow_part in zip(*map(outcome, blocks), strict=True):
            assert fast_part == slow_part
        return len(lines)

    prove(law, batches(mapping), st.integers(0, 2**32 - 1), of=f"{name} {version}")


def outcome(block: Any) -> Any:
    issues = sorted(
        {str(issue) for issue in block.issues} | {str(issue) for read in block.reads for issue in read.issues}
    )
    reads = [
        (read.mapping, read.batch.to_pylist(), read.resources.to_pylist(), read.withheld) for read in block.reads
    ]
    return block.count, block.unclaimed, block.broken, reads, issues


def spoilt(line: str, chance: random.Random, often: float) -> str:
    """The line, sometimes with a sign in it lost, doubled or changed."""
    begins = [found.end() for found in re.finditer(r'":"?', line)]  # of the values in it
    place = chance.choice([chance.randrange(len(line)), chance.choice(begins)])
    other = chance.choice(['"', "\\", "0", "9", "e", "-", ".", ",", " ", "}", "é", line[place] * 2, ""])
    return line[:place] + other + line[place + 1 :] if chance.random() < often else line
