"""Lines read by writing them give what reading them element by element gives, or are not read so."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_ivig.demo import sample
from fhir_ivig.mapping import collection
from fhir_ivig.mapping.collection import Bound, Mappings, ReadBlock
from fhir_ivig.mapping.references import References
from fhir_ivig.study.study import Study
from fhir_ivig.sync.export import bind

STUDY = Study.load(sample() / "study.yaml")
ROWS = [
    {"subject": f"S-{number % 7:02}", "visit": f"week {number}", "date": "2003-05-17", "value": f"{number}.50"}
    | {"measure": "CK", "unit": "U/L", "upper_limit": "200"}
    for number in range(200)
]


@pytest.fixture(scope="module", autouse=True)
def _mappings_read_once() -> Iterator[None]:
    """Some hundred reads need not read the same mapping files each."""
    load = cache(Mappings.load)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Mappings, "load", lambda version, own: load(version, tuple(own)))
        yield


def lines_of(rows: list[dict[str, str]], name: str = "creatine_kinase") -> list[bytes]:
    import pyarrow as pa

    columns = {name for row in rows for name in row}
    batch = pa.record_batch({name: pa.array([row.get(name) for row in rows], pa.string()) for name in columns})
    written = bind(STUDY, "R4").writers[name].write(batch)
    assert not written.issues
    return [line.encode() + b"\n" for line in written.json_lines()]


def read(data: bytes, echo: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Bound, ReadBlock]:
    """A block read, echoed if it has so many lines."""
    monkeypatch.setattr(collection, "ECHO", echo)
    bound = bind(STUDY, "R4")
    return bound, bound.read(data, range(1, data.count(b"\n") + 1), "f", References(), final=True)


def told(block: ReadBlock) -> object:
    reads = [
        (each.mapping, each.batch.to_pylist(), each.resources.to_pylist(), each.withheld) for each in block.reads
    ]
    return sorted(reads, key=str), block.issues, block.unclaimed, block.broken, block.count


@pytest.mark.parametrize("path", sorted((sample() / "R4" / "ndjson").glob("*.ndjson")), ids=lambda path: path.stem)
def test_the_sample_is_read_the_same(path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    data = path.read_bytes()  # type: ignore[attr-defined]
    assert told(read(data, 1, monkeypatch)[1]) == told(read(data, 10**9, monkeypatch)[1])


def test_lines_of_one_shape_are_echoed(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(lines_of(ROWS))
    bound, echoed = read(data, 1, monkeypatch)
    assert bound.shape is not None
    assert told(echoed) == told(read(data, 10**9, monkeypatch)[1])
    assert echoed.reads[0].batch.column("value").to_pylist() == [row["value"] for row in ROWS]


WRONG = {
    "another status": (b'"status":"final"', b'"status":"preliminary"'),
    "entered in error": (b'"status":"final"', b'"status":"entered-in-error"'),
    "another unit": (b'"code":"U/L"}}', b'"code":"kU/L"}}'),
    "a doubled name": (b'"status":"final"', b'"status":"final","status":"final"'),
    "a member more": (b'"status":"final"', b'"status":"final","modifierExtension":[{"url":"x"}]'),
    "another subject's identifier": (b'patient","value":"S-', b'patient","value":"T-'),
    "another order": (
        b'"unit":"U/L","system":"http://unitsofmeasure.org"',
        b'"system":"http://unitsofmeasure.org","unit":"U/L"',
    ),
    "no number": (b'"value":150.50', b'"value":150.5O'),
    "a number as text": (b'"value":150.50', b'"value":"150.50"'),
    "a date that is none": (b"2003-05-17", b"2003-02-30"),
    "a tab in a text": (b'"display":"week ', b'"display":"week\t'),
    "an escape": (b'"display":"week ', b'"display":"week\\u0020'),
    "no UTF-8": (b'"display":"week ', b'"display":"week\xff '),
    "cut off": (b'"status":"final"', b'"status":"fin'),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_not_as_written_is_read_element_by_element(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = lines_of(ROWS)
    before, after = WRONG[what]
    assert before in lines[150]
    lines[150] = lines[150].replace(before, after, 1)
    data = b"".join(lines)
    assert told(read(data, 1, monkeypatch)[1]) == told(read(data, 10**9, monkeypatch)[1])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(0, 2**32))
def test_any_byte_changed(seed: int) -> None:
    chance = random.Random(seed)
    lines = lines_of(ROWS[:70])
    place = chance.randrange(70)
    line = bytearray(lines[place])
    line[chance.randrange(len(line) - 1)] = chance.choice(b'"\\{}[],:0a-\x01 \x80')
    lines[place] = bytes(line)
    with pytest.MonkeyPatch.context() as patch:
        assert told(read(b"".join(lines), 1, patch)[1]) == told(read(b"".join(lines), 10**9, patch)[1])
