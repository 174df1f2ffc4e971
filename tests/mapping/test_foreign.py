"""Resources as other systems really send them become the rows and Issues that cases.yaml says."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_ivig.fhir.files import read_blocks
from fhir_ivig.issue import Issue
from fhir_ivig.mapping.collection import Bound, Mappings, ReadBlock, References

FOREIGN = Path(__file__).parents[2] / "sample_bundles/foreign"
BASE = "https://example.org/studies/hara2003"
GIVEN = {"study": "hara2003", "mrn_system": "https://hospital.example.org/mrn"}
CASES: list[dict[str, Any]] = yaml.safe_load((FOREIGN / "cases.yaml").read_text("utf-8"))["cases"]
HERE = [case for case in CASES if case.get("level") != "tabulate"]

Row = dict[str, str | None]


@cache
def bound(version: str) -> Bound:
    return Mappings.load(version).bind(BASE, GIVEN)


class Gathered:
    """What a file gives, read beside the hospital's people: what had to wait is read once more at the end."""

    def __init__(self, file: str, version: str) -> None:
        self.file, self.bound, self.references = FOREIGN / file, bound(version), References()
        self.rows: dict[int, list[Row]] = {}
        self.issues: list[Issue] = []
        self.resources = self.accounted = 0
        waiting: list[tuple[str, bytes, int]] = []
        beside = ["people.json"] if version == "R4" and file != "people.json" else []
        for block in read_blocks(FOREIGN / name for name in [*beside, file]):
            self.resources += len(block.numbers)
            self.issues += block.issues
            read = self.bound.read(block.data, block.numbers, block.file, self.references)
            self.take(read, block.file)
            waiting += [(block.file, line, number) for line, number in read.retry]
        for name, line, number in waiting:
            read = self.bound.read(line, [number], name, self.references, final=True)
            assert not read.retry
            self.take(read, name)

    def take(self, read: ReadBlock, file: str) -> None:
        self.issues += read.issues
        self.accounted += read.unclaimed + read.broken
        for part in read.reads:
            self.issues += part.issues
            self.accounted += part.batch.num_rows + part.withheld
            table = self.bound.mappings.by_name[part.mapping].table
            if Path(file) == self.file:
                for number, row in zip(part.numbers.tolist(), part.batch.to_pylist(), strict=True):
                    self.rows.setdefault(number, []).append({"table": table, **row})

    def issues_of(self, number: int) -> list[Issue]:
        return [issue for issue in self.issues if issue.file == str(self.file) and issue.row == number]


gather = cache(Gathered)


def name(case: dict[str, Any]) -> str:
    return f"{case['file'].partition('.')[0]}-{case['number']}"


def is_wanted(issue: Issue, wanted: dict[str, str]) -> bool:
    same = (issue.severity, issue.code) == (wanted["severity"], wanted["code"])
    return same and wanted.get("says", "") in issue.text and (issue.path or "").startswith(wanted.get("path", ""))


@pytest.mark.parametrize("case", HERE, ids=name)
def test_case(case: dict[str, Any]) -> None:
    found = gather(case["file"], case.get("version", "R4"))
    rows, issues = found.rows.get(case["number"], []), found.issues_of(case["number"])
    said = "\n".join(map(str, issues))
    wanted: Row | None = case.get("row")
    if wanted:
        assert [{column: row.get(column, "no such column") for column in wanted} for row in rows] == [wanted], said
    else:
        assert not rows
    if "issue" in case:
        assert any(is_wanted(issue, case["issue"]) for issue in issues), said
    else:
        assert not [issue for issue in issues if issue.severity != "information"]


@pytest.mark.parametrize(("file", "version"), dict.fromkeys((c["file"], c.get("version", "R4")) for c in CASES))
def test_every_resource_is_accounted_for(file: str, version: str) -> None:
    found = gather(file, version)
    assert found.resources == found.accounted
    numbers = {case["number"] for case in CASES if case["file"] == file}
    assert numbers >= set(found.rows)
    assert all(issue.file for issue in found.issues)


def test_each_resource_has_its_case() -> None:
    for file in sorted(path.name for path in FOREIGN.iterdir() if path.suffix in (".json", ".ndjson", ".gz")):
        numbers = [number for block in read_blocks([FOREIGN / file]) for number in block.numbers]
        assert numbers == sorted(case["number"] for case in CASES if case["file"] == file)
