"""What other systems send, where only all resources together decide: the `tabulate` cases of cases.yaml."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_ivig.study.study import Study
from fhir_ivig.sync.tabulate import tabulate

SAMPLES = Path(__file__).parents[2] / "sample_bundles"
CASES: list[dict[str, Any]] = yaml.safe_load((SAMPLES / "foreign/cases.yaml").read_text("utf-8"))["cases"]
HERE = [case for case in CASES if case.get("level") == "tabulate"]
FILES = list(dict.fromkeys(case["file"] for case in HERE))

Row = dict[str, str | None]
Issue = dict[str, Any]
Found = tuple[list[Row], list[Issue]]


@pytest.fixture(scope="module", params=[False, True], ids=["as they come", "sorted"])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Found]:
    """The rows and Issues of a file tabulated beside the hospital's people, with the sample study."""
    study = Study.load(SAMPLES / "hara2003/study.yaml")

    @cache
    def run(file: str) -> Found:
        out = tmp_path_factory.mktemp("foreign") / "tables"
        tabulate([SAMPLES / "foreign/people.json", SAMPLES / "foreign" / file], study, out, sort=request.param)
        rows = [{"table": path.stem, **row} for path in sorted(out.glob("*.csv")) for row in rows_of(path)]
        return rows, [json.loads(line) for line in (out / "issues.ndjson").read_text("utf-8").splitlines()]

    return run


def rows_of(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as lines:
        return [{name: cell or None for name, cell in row.items()} for row in csv.DictReader(lines)]


def is_wanted(issue: Issue, case: dict[str, Any]) -> bool:
    """Whether it is the Issue of a case, and names its resource or is about a table."""
    wanted = case["issue"]
    same = (issue["severity"], issue["code"]) == (wanted["severity"], wanted["code"])
    at = (issue["file"], issue.get("row")) == (str(SAMPLES / "foreign" / case["file"]), case["number"])
    return same and wanted["says"] in issue["text"] and (at or of_a_table(issue))


def of_a_table(issue: Issue) -> bool:
    return issue["file"].removesuffix(".csv") in ("assessments", "adverse_events")


@pytest.mark.parametrize("case", HERE, ids=lambda case: f"{case['file'].partition('.')[0]}-{case['number']}")
def test_the_issue_is_given(case: dict[str, Any], found: Callable[[str], Found]) -> None:
    _, issues = found(case["file"])
    assert any(is_wanted(issue, case) for issue in issues), issues


@pytest.mark.parametrize("file", FILES)
def test_the_rows_are_those_of_the_cases(file: str, found: Callable[[str], Found]) -> None:
    """Each row that a case names is there once, and no other in the tables that they name."""
    rows, _ = found(file)
    wanted: list[Row] = [case["row"] for case in CASES if case["file"] == file and case.get("row")]
    for each in wanted:
        assert len([row for row in rows if each.items() <= row.items()]) == 1, each
    tables = {each["table"] for each in wanted}
    assert len([row for row in rows if row["table"] in tables]) == len(wanted)


@pytest.mark.parametrize("file", FILES)
def test_no_more_is_said_of_the_tables(file: str, found: Callable[[str], Found]) -> None:
    _, issues = found(file)
    cases = [case for case in HERE if case["file"] == file]
    assert [each for each in issues if of_a_table(each) and not any(is_wanted(each, case) for case in cases)] == []
