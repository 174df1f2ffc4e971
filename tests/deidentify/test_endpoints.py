"""What a trial asks has the same answers before and after, but for the names of its subjects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from made import rows, sample

from fhir_ivig.deidentify.key import Key
from fhir_ivig.deidentify.study import deidentify
from fhir_ivig.endpoints.result import as_dict
from fhir_ivig.library import compute_endpoints
from fhir_ivig.study.study import Study

KEEP = {"columns": {"adverse_events": {"term": "keep"}}}  # the watch list searches the terms
Answers = list[tuple[str, dict[str, float]]]


def answers(folder: Path, names: dict[str, str]) -> Answers:
    """The results of a folder's endpoints, each as what it says and its numbers, in an order of their own; without
    the tables' hashes and resources, and with the names given. A warning names the first ten of the subjects in
    order, so who they are is not compared."""
    some_name = re.compile("|".join(map(re.escape, [*names, *names.values()])))
    results, issues = compute_endpoints(folder)
    assert issues == []
    found = []
    for result in results:
        record: dict[str, Any] = as_dict(result)
        del record["inputs"], record["resources"]
        record["subject"] = names.get(result.subject or "", result.subject)
        record["warnings"] = sorted(_placed(some_name.sub("SUBJECT", warning)) for warning in result.warnings)
        numbers = {name: value for name, value in record.items() if isinstance(value, float)}
        said = {name: value for name, value in record.items() if name not in numbers}
        found.append((str(said), numbers))
    return sorted(found, key=lambda one: (one[0], list(one[1].items())))


def _placed(warning: str) -> str:
    return re.sub(r"SUBJECT (course \d+ day|event) \d+", "SUBJECT", warning)


def hashes(study: Study, key: Path) -> dict[str, str]:
    made = Key.load(key, study.base)
    return {row["subject"]: made.hashed("subject", row["subject"]) for row in rows(study.folder, "subjects")}


@pytest.mark.parametrize("name", ["hara2003", "after_miyasaka2012", "after_proderm2022"])
def test_the_endpoints_of_the_samples(name: str, tmp_path: Path) -> None:
    """The order of the rows is another: sums of floats show it in their last digits, fitted models a bit before."""
    study = Study.load(sample(tmp_path / "study", name, deidentify=KEEP))
    assert deidentify(study, tmp_path / "key", tmp_path / "out").complete
    names = hashes(study, tmp_path / "key")
    before, after = answers(study.folder, names), answers(tmp_path / "out", names)
    assert len(before) > 100
    assert [said for said, _ in after] == [said for said, _ in before]
    for (said, old), (_, new) in zip(before, after, strict=True):
        assert new == pytest.approx(old, rel=1e-4 if "mixed model" in said else 1e-9, abs=1e-15), said


def test_populations_that_name_subjects_and_sites(tmp_path: Path) -> None:
    populations = {
        "one": {"label": "One", "table": "subjects", "where": {"subject": ["HARA-01", "HARA-03"]}},
        "there": {"label": "There", "table": "subjects", "where": {"site": "S1"}},
    }
    endpoints = {name: {"kind": "count", "population": name} for name in populations}
    study = Study.load(sample(tmp_path / "study", populations=populations, endpoints=endpoints, multiplicity=None))
    deidentify(study, tmp_path / "key", tmp_path / "out")
    names = hashes(study, tmp_path / "key")
    before, after = answers(study.folder, names), answers(tmp_path / "out", names)
    assert before == after
    assert {numbers["estimate"] for said, numbers in before if "'statistic': 'n'" in said} == {2.0, 5.0}
    assert "HARA-01" not in (tmp_path / "out/study.yaml").read_text("utf-8")
