"""Who a resource is: the rule that anyone can compute, one identity a key, and the keys that are refused."""

from __future__ import annotations

import uuid

import pyarrow as pa
import pytest

from fhir_ivig.mapping.identity import confusable, identifier_system, join_key, logical_id, logical_ids

SYSTEM = "https://example.org/studies/hara2003/creatine_kinase"
VALUES = ["S-1/week 0", "", "a", "か/週 0", "👩\u200d⚕️", "x" * 1000, "é", "e\u0301"]
CONFUSABLE = {
    "the separator": "a/b",
    "a search's or": "a,b",
    "a search's token": "a|b",
    "a search's component": "a$b",
    "a search's escape": "a\\b",
    "a line break": "a\nb",
    "a tab": "a\tb",
    "a zero": "a\x00b",
    "delete": "a\x7fb",
    "a control of the upper half": "a\x85b",
    "a blank before": " a",
    "a blank after": "a ",
    "only a blank": " ",
    "a hard blank after": "a\u00a0",
    "a wide blank before": "\u3000a",
    "a line separator after": "a\u2028",
    "a soft hyphen": "a\u00adb",
    "a joiner of no width": "a\u200db",
    "a blank of no width": "a\u200bb",
    "a byte order mark": "\ufeffa",
    "right to left": "a\u202eb",
    "not composed": "e\u0301",
    "not composed kana": "か\u3099",
    "an Angstrom sign": "\u212b",
}
CLEAR = [
    "a",
    "S-1",
    "week 0",
    "0",
    "-1",
    "が",
    "é",
    "日本",
    "a.b",
    "a:b",
    "a;b",
    "a_b",
    "(a)",
    "%2F",
    "&",
    "?",
    "#",
    "😀",
]


def test_the_identifier_system() -> None:
    assert identifier_system("https://example.org/studies/hara2003", "creatine_kinase") == SYSTEM


def test_the_logical_id_is_the_name_based_uuid_of_the_identifier() -> None:
    assert logical_id(SYSTEM, "S-1/week 0") == str(uuid.uuid5(uuid.NAMESPACE_URL, f"{SYSTEM}|S-1/week 0"))
    assert logical_id(SYSTEM, "S-1/week 0") == "467b16bf-85c0-5046-b333-0da2b3c7fc14"


def test_many_ids_at_once_are_the_same_as_one_by_one() -> None:
    ids, heads = logical_ids(SYSTEM, pa.array(VALUES))
    assert ids.to_pylist() == [logical_id(SYSTEM, value) for value in VALUES]
    assert [head.tobytes() for head in heads] == [uuid.UUID(each).bytes[:8] for each in ids.to_pylist()]
    assert {uuid.UUID(each).version for each in ids.to_pylist()} == {5}
    assert {uuid.UUID(each).variant for each in ids.to_pylist()} == {uuid.RFC_4122}


@pytest.mark.parametrize(("start", "length"), [(0, 0), (0, 3), (2, 4), (7, 1), (8, 0)])
def test_ids_of_a_slice(start: int, length: int) -> None:
    """An Arrow slice keeps its parent's buffers: the offset must be minded."""
    ids, heads = logical_ids(SYSTEM, pa.array(VALUES).slice(start, length))
    assert ids.to_pylist() == [logical_id(SYSTEM, value) for value in VALUES[start : start + length]]
    assert len(heads) == length


def test_a_hundred_thousand_keys_have_as_many_ids() -> None:
    subjects = pa.array([f"S-{number // 100}" for number in range(100_000)])
    visits = pa.array([f"week {number % 100}" for number in range(100_000)])
    ids, heads = logical_ids(SYSTEM, join_key([subjects, visits]))
    assert len(set(ids.to_pylist())) == len(set(heads.tolist())) == 100_000


def test_other_systems_other_ids() -> None:
    one, other = (logical_ids(system, pa.array(["S-1"]))[0].to_pylist() for system in (SYSTEM, SYSTEM + "s"))
    assert one != other


def test_a_key_is_its_cells_joined() -> None:
    assert join_key([pa.array(["S-1", "S-2"])]).to_pylist() == ["S-1", "S-2"]
    assert join_key([pa.array(["S-1"]), pa.array(["1"]), pa.array(["day 2"])]).to_pylist() == ["S-1/1/day 2"]


@pytest.mark.parametrize("cell", CONFUSABLE.values(), ids=CONFUSABLE)
def test_a_cell_that_can_be_confused_is_marked(cell: str) -> None:
    bad = confusable(pa.array(["a", cell, "b"]))
    assert bad is not None
    assert bad.to_pylist() == [False, True, False]


def test_what_cannot_be_confused_is_not_marked() -> None:
    assert confusable(pa.array(CLEAR)) is None
    assert confusable(pa.array([], pa.string())) is None
