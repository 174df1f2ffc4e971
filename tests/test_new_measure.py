"""A measure that the package does not know is added by one mapping file and some lines of study.yaml, no Python.

Both are taken from CONTRIBUTING.md, so what it tells people to write is what is tested.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import fhir.resources
import fhir.resources.R4B
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fhir_ivig
from fhir_ivig.mapping.loading import shipped

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text("utf-8")
FILES = dict(re.findall(r"^```(?:yaml|csv)\n# (grip/\S+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
BASE = "https://example.org/studies/grip"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> fhir_ivig.Study:
    """The study of CONTRIBUTING.md in a folder."""
    folder = tmp_path_factory.mktemp("new")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return fhir_ivig.Study.load(folder / "grip/study.yaml")


def rows(file: Path) -> list[dict[str, str]]:
    """A table's rows with their filled cells."""
    with file.open(encoding="utf-8", newline="") as lines:
        return [{name: cell for name, cell in row.items() if cell} for row in csv.DictReader(lines)]


def test_it_is_one_mapping_and_the_package_does_not_know_it(study: fhir_ivig.Study) -> None:
    mappings = [name for name in FILES if "/mappings/" in name]
    assert mappings == ["grip/mappings/grip_strength.yaml"]
    assert not any(name.endswith(".py") for name in FILES)
    assert not (shipped() / "grip_strength.yaml").exists()
    assert "grip" in study.measures


@pytest.mark.parametrize("version", ["R4", "R4B", "R5"])
def test_it_keeps_the_laws(study: fhir_ivig.Study, version: str) -> None:
    """1 and 2: there and back; 4: key and identity; 5: claimed once; 7: nothing vanishes. And it is valid FHIR."""
    grip = fhir_ivig.bind_mapping("grip_strength", base=BASE, version=version, folders=study.mappings)
    package: Any = fhir.resources if version == "R5" else fhir.resources.R4B
    model = package.get_fhir_model_class("Observation")
    number = st.from_regex(r"\A-?(0|[1-9][0-9]{0,9})(\.[0-9]{1,9})?\Z", alphabet="0123456789.-")
    date = st.dates().map(str) | st.sampled_from(["2003", "2003-05", "2003-05-17T09:30:00+09:00"])
    word = st.from_regex(r"\A[A-Za-z0-9]([A-Za-z0-9 _-]?[A-Za-z0-9])*\Z", alphabet="Az09 _-")
    key = st.fixed_dictionaries({"subject": word, "visit": word})
    measured = st.fixed_dictionaries(
        {"date": date, "measure": st.just("grip"), "value": number, "unit": st.just("kg")}
    )
    reasons = st.sampled_from(["not-performed", "unknown"])
    missing = st.fixed_dictionaries({"date": date, "measure": st.just("grip"), "missing_reason": reasons})
    row = st.builds(lambda named, rest: {**named, **rest}, key, measured | missing)
    table = st.lists(row, min_size=1, max_size=20, unique_by=lambda row: (row["subject"], row["visit"]))

    @settings(
        max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(table)
    def law(given_rows: list[dict[str, str]]) -> None:
        written = grip.write(given_rows)
        assert (written.issues, written.count) == ([], len(given_rows))
        lines = written.json_lines()
        resources = [json.loads(line) for line in lines]
        assert len({resource["id"] for resource in resources}) == len(given_rows)
        model.model_validate(resources[0])
        back = grip.read(lines)
        assert back.issues == []
        assert [{name: cell for name, cell in row.items() if cell} for row in back.to_dicts()] == given_rows
        assert grip.write(back.batch).json_lines() == lines
        assert grip.read([msgspec.json.format(line, indent=2) for line in lines]).batch == back.batch

    law()


def test_it_goes_through_a_server(study: fhir_ivig.Study, server: str, tmp_path: Path) -> None:
    first = fhir_ivig.push(study, server)
    assert (first.complete, first.created + first.unchanged) == (True, 9)
    second = fhir_ivig.push(study, server)
    assert (second.created, second.updated, second.unchanged) == (0, 0, 9)
    pulled = fhir_ivig.pull(study, server, tmp_path / "cohort")
    assert (pulled.complete, pulled.unclaimed) == (True, 0)
    for table in study.tables:
        assert rows(tmp_path / f"cohort/{table}.csv") == rows(study.folder / f"{table}.csv")
    results, issues = fhir_ivig.compute_endpoints(tmp_path / "cohort")
    assert issues == []
    assert {result.endpoint for result in results} == {"grip"}


def test_a_wrong_row_is_withheld_like_any_other(study: fhir_ivig.Study) -> None:
    grip = fhir_ivig.bind_mapping("grip_strength", base=BASE, folders=study.mappings)
    written = grip.write(
        [{"subject": "S-01", "visit": "week 0", "date": "2003", "measure": "grip", "value": "8", "unit": "lb"}]
    )
    assert [(issue.row, issue.column, issue.code) for issue in written.issues] == [(2, "unit", "code-invalid")]
