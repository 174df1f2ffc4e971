"""Whatever a line holds: no exception, the lines round it give their rows, and each line is accounted for."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from fhir_ivig.issue import Issue
from fhir_ivig.mapping.collection import Bound, Mappings, References

ROOT = Path(__file__).parents[2]
BASE = "https://example.org/studies/hara2003"
GIVEN = {"study": "hara2003", "mrn_system": "https://hospital.example.org/mrn"}
CASES: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "cases/bad_fhir.yaml").read_text("utf-8"))["cases"]
OTHERS: list[Any] = [None, 7, "x", True, {}, [], {"x": 1}, [None], ["x"], [{}]]

UCUM = '"system":"http://unitsofmeasure.org","code":"U/L"'
SOUND = (
    '{"resourceType":"Observation","id":"o-1","identifier":[{"system":"'
    + BASE
    + '/creatine_kinase","value":"S-1/week 0"}],"status":"final","category":[{"coding":[{"system":'
    '"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}],"code":{"coding":[{"system":'
    '"http://loinc.org","code":"2157-6"}],"text":"Creatine kinase"},"subject":{"reference":"Patient/1","identifier":'
    '{"system":"' + BASE + '/patient","value":"S-1"}},"encounter":{"display":"week 0"},"effectiveDateTime":'
    '"2003-05-17","valueQuantity":{"value":412,"unit":"U/L",' + UCUM + "}}"
)


@cache
def bound(version: str = "R4") -> Bound:
    return Mappings.load(version).bind(BASE, GIVEN)


class Outcome:
    """What became of each line: its row or None, and its Issues; every line accounted for once."""

    def __init__(self, ours: Bound, lines: list[bytes]) -> None:
        self.rows: dict[int, dict[str, str | None]] = {}
        self.issues: dict[int, list[Issue]] = {number: [] for number in range(1, len(lines) + 1)}
        references = References()
        numbers, final = list(self.issues), False
        accounted = 0
        while lines:
            block = ours.read(b"".join(line + b"\n" for line in lines), numbers, "f", references, final)
            accounted += block.unclaimed + block.broken
            for read in block.reads:
                accounted += read.batch.num_rows + read.withheld
                self.rows |= dict(zip(read.numbers.tolist(), read.batch.to_pylist(), strict=True))
            for issue in [*block.issues, *(issue for read in block.reads for issue in read.issues)]:
                self.issues[issue.row or 0].append(issue)
            assert not (final and block.retry)
            lines, numbers, final = [line.rstrip(b"\n") for line, _ in block.retry], [n for _, n in block.retry], True
        assert accounted == len(self.issues)

    def failed(self, number: int) -> bool:
        """Whether something is wrong with the line itself, and not with who it says it is beside the others."""
        return any(
            issue.severity in ("error", "fatal") and "was told" not in issue.text for issue in self.issues[number]
        )


def text_of(case: dict[str, Any]) -> str:
    if "line" in case:
        return str(case["line"])
    old, new = case["replace"]
    assert SOUND.count(old) == 1
    if "made" in case:
        opening, times, *closing = case["made"]
        new = new.replace("{made}", opening * times + (closing[0] * times if closing else ""))
    return SOUND.replace(old, new)


@pytest.mark.parametrize("name", CASES)
def test_bad_line(name: str) -> None:
    case = CASES[name]
    after = SOUND.replace("S-1", "S-3").replace("o-1", "o-3").replace("Patient/1", "Patient/3")
    outcome = Outcome(bound(), [SOUND.encode(), text_of(case).encode(), after.encode()])
    assert outcome.rows[1] | {"subject": "S-3"} == outcome.rows[3]
    assert not outcome.issues[1]
    said = [(issue.severity, issue.code, issue.text) for issue in outcome.issues[2]]
    assert all(len(text) < 1000 for _, _, text in said)
    if case.get("row"):
        assert 2 in outcome.rows
        assert not said
    else:
        severity, code, fragment = case["issue"]
        assert any(each[:2] == (severity, code) and fragment in each[2] for each in said), said
        assert 2 not in outcome.rows


def test_an_object_over_two_lines() -> None:
    """As many objects as lines are not one on each: nothing may be read under another line's number."""
    cut = SOUND.index('"status"')
    halves = [SOUND[:cut].encode(), f"{SOUND[cut:]}{SOUND}".encode()]
    outcome = Outcome(bound(), [SOUND.encode(), *halves, SOUND.encode()])
    assert set(outcome.rows) == {1, 4}
    assert all(outcome.failed(number) for number in (2, 3))


def test_bytes_that_are_no_utf8() -> None:
    outcome = Outcome(bound(), [SOUND.encode(), SOUND.encode().replace(b"final", b"f\xe9nal"), SOUND.encode()])
    assert [number in outcome.rows for number in (1, 2, 3)] == [True, False, True]
    assert "UTF-8" in outcome.issues[2][0].text


def table(name: str) -> pa.RecordBatch:
    text = (ROOT / f"sample_bundles/hara2003/{name}.csv").read_text("utf-8")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    return pa.record_batch(
        {column: pa.array([row[column] or None for row in rows], pa.string()) for column in rows[0]}
    )


@cache
def samples(version: str) -> dict[str, dict[str, Any]]:
    """The fullest resource of each mapping that the sample study gives."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((ROOT / "sample_bundles/hara2003").glob("*.csv")):
        rows = table(path.stem)
        numbers = np.arange(2, len(rows) + 2)
        for mapping, written in bound(version).write(path.stem, rows, numbers, path.name, {}, {}):
            if lines := written.json_lines():
                found[mapping.name] = json.loads(max(lines, key=len))
    return found


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every member and item."""
    for key, child in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield (*path, key)
        yield from places(child, (*path, key))


def changed(resource: Any, path: tuple[Any, ...], other: Any) -> Any:
    """A copy with another value at the path."""
    copy = dict(resource) if isinstance(resource, dict) else list(resource)
    copy[path[0]] = other if len(path) == 1 else changed(copy[path[0]], path[1:], other)
    return copy


def unmapped(resource: dict[str, Any]) -> dict[str, Any]:
    return {"meta": {"versionId": "1", "tag": [{"code": "x"}]}, "text": {"div": "y"}, "language": "ja", **resource}


@pytest.mark.parametrize("version", ["R4", "R5"])
@pytest.mark.parametrize("name", sorted(Mappings.load("R4").by_name.keys() - {"research_study"}))
def test_every_place_holds_something_else(name: str, version: str) -> None:
    """Each value replaced by others: the row is the same, holds the new word, or it is said what is lacking."""
    resource = unmapped(samples(version)[name])
    dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    changes = [(path, other) for path in places(resource) for other in OTHERS]
    lines = [dump(resource).encode(), *(dump(changed(resource, path, other)).encode() for path, other in changes)]
    outcome = Outcome(bound(version), lines)
    row = outcome.rows[1]
    for number, (path, other) in enumerate(changes, 2):
        said = f"{path} = {other}: {[str(issue) for issue in outcome.issues[number]]}"
        found = outcome.rows.get(number)
        if path[0] in ("meta", "text", "language"):
            assert found == row, said
        elif found is None:
            assert outcome.issues[number], said
        else:
            assert not outcome.failed(number), said
            new = {str(other)} if type(other) in (int, str) else {"yes", "no"} if other is True else set()
            told = bool(outcome.issues[number]) or other == {"x": 1} or path[-1] == "url"  # which is some other thing
            for column, cell in found.items():
                same = cell == row[column] or cell in new
                assert same or (told and (cell is None or cell in row[column].split(";"))), f"{column} {said}"
