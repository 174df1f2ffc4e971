"""The two made-up trials: their tables come out of their generators, go through FHIR and a server, and give the
published counts."""

from __future__ import annotations

import csv
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

import fhir_ivig
from fhir_ivig.endpoints.compute import KINDS
from fhir_ivig.endpoints.quantities import agrees
from sample_bundles.after_miyasaka2012 import trial as crossover
from sample_bundles.after_proderm2022 import trial as parallel
from sample_bundles.synthetic import write

SAMPLES = Path(__file__).parents[1] / "sample_bundles"
NAMES = ("after_miyasaka2012", "after_proderm2022")


@pytest.mark.parametrize(("name", "trial"), [(NAMES[0], crossover), (NAMES[1], parallel)])
def test_the_tables_are_those_of_the_generator(name: str, trial: object, tmp_path: Path) -> None:
    tables = trial.tables()  # type: ignore[attr-defined]
    write(tmp_path, tables)
    made = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert made == {file.name: file.read_bytes() for file in (SAMPLES / name).glob("*.csv")}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("version", ["R4", "R5"])
def test_there_and_back_is_the_same_bytes(name: str, version: str, tmp_path: Path) -> None:
    study = fhir_ivig.Study.load(SAMPLES / name / "study.yaml")
    exported = fhir_ivig.export(study, tmp_path / "fhir", version=version)
    assert exported.complete
    back = fhir_ivig.tabulate([tmp_path / "fhir"], study, tmp_path / "back", version=version, sort=True)
    assert back.complete
    for table in study.tables:
        assert (tmp_path / f"back/{table}.csv").read_bytes() == (SAMPLES / name / f"{table}.csv").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_through_a_server_the_endpoints_stay_the_same(name: str, server: str, tmp_path: Path) -> None:
    study = fhir_ivig.Study.load(SAMPLES / name / "study.yaml")
    pushed = fhir_ivig.push(study, server, journal=tmp_path / "journal")
    assert pushed.complete
    pulled = fhir_ivig.pull(study, server, tmp_path / "cohort")
    assert (pulled.complete, pulled.unclaimed) == (True, 0)
    local, issues = fhir_ivig.compute_endpoints(SAMPLES / name)
    assert issues == []
    ours, issues = fhir_ivig.compute_endpoints(tmp_path / "cohort")
    assert issues == []
    assert {result.endpoint for result in ours} == study.endpoints.keys() | study.multiplicity.keys()
    assert [(r.endpoint, r.arm, r.subject, r.statistic, r.estimate, r.p) for r in ours] == [
        (r.endpoint, r.arm, r.subject, r.statistic, r.estimate, r.p) for r in local
    ]
    without = {r.statistic for r in ours if r.n and r.subject is None and not r.resources}
    assert without == set()
    assert all(result.agrees for result in local if result.published)
    published = sum(len(endpoint.get("published", {})) for endpoint in study.endpoints.values())
    assert sum(result.agrees is True for result in ours) == published > 0


def test_every_kind_is_asked_of_a_sample() -> None:
    samples = [fhir_ivig.Study.load(SAMPLES / name / "study.yaml") for name in (*NAMES, "hara2003")]
    assert {endpoint["kind"] for study in samples for endpoint in study.endpoints.values()} == KINDS.keys()


def test_the_published_counts_are_in_the_rows() -> None:
    """Counted with csv alone, but for the score: that is counted from what the package says of each subject."""
    with (SAMPLES / "after_proderm2022/dispositions.csv").open(encoding="utf-8", newline="") as file:
        arms = {row["subject"]: row["arm"] for row in csv.DictReader(file)}
    assert Counter(arms.values()) == {"ivig": 47, "placebo": 48}
    results, _ = fhir_ivig.compute_endpoints(SAMPLES / "after_proderm2022")
    scores = {r.subject: r.estimate for r in results if (r.endpoint, r.statistic) == ("score", "score")}
    assert scores.keys() == arms.keys()
    for least, ivig, placebo in ((20, 37, 21), (40, 32, 11), (60, 15, 4)):
        reached = Counter(arms[one or ""] for one, score in scores.items() if score is not None and score >= least)
        assert reached == {"ivig": ivig, "placebo": placebo}
    differences = {r.statistic: r for r in results if r.endpoint == "score" and r.arm == "IVIG - Placebo"}
    for response, *published in (
        ("minimal", "34.97", "16.70", "53.24"),
        ("moderate", "45", "27", "63"),
        ("major", "24", "8", "39"),
    ):
        wald = differences[f"{response}_difference_wald"]
        found = (wald.estimate or Decimal(0), wald.low or Decimal(0), wald.high or Decimal(0))
        assert all(agrees(ours, Decimal(theirs)) for ours, theirs in zip(found, published, strict=True)), wald
    worse = [r for r in results if r.endpoint == "response" and r.subject and "MGA" in r.method and not r.estimate]
    assert worse
