"""Who meets a rule, who does not and why, by subject and by course."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from small_study import STUDY, sample, tables

from fhir_ivig.endpoints.compute import compute
from fhir_ivig.endpoints.definition import define
from fhir_ivig.endpoints.populations import flow
from fhir_ivig.endpoints.tables import Tables

CASES = yaml.safe_load((Path(__file__).parent / "populations.yaml").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_population(case: dict[str, Any]) -> None:
    source = Tables(tables(**case.get("rows", {})), {})
    definition = define(STUDY | {"populations": STUDY["populations"] | {"it": case["population"]}}, source)
    (step,) = (step for step in flow(definition.populations, source) if step.population == "it")
    said = sorted((issue.place, issue.text) for issue in definition.issues)
    wanted = sorted(map(tuple, case.get("issues", [])))
    assert [place for place, _ in said] == [place for place, _ in wanted]
    assert all(piece in text for (_, text), (_, piece) in zip(said, wanted, strict=True)), said
    assert list(step.included) == case.get("in", [])
    assert step.excluded == case.get("out", {})
    assert case.get("why", "None") in str(step.why)


def test_the_flow_of_the_sample() -> None:
    study, found = sample()
    source = Tables(found, {})
    treated, analysed, improved = flow(define(study, source).populations, source)
    assert (treated.parent, len(treated.included), treated.excluded) == (None, 12, {})
    assert (analysed.parent, len(analysed.included)) == (None, 8)
    assert analysed.excluded == {
        "HARA-03": "Moved to another hospital, no visit after week 4",
        "HARA-06": "Course not completed",
        "HARA-10": "Week 12 assessments not performed",
        "HARA-12": "Prednisolone raised before week 12",
    }
    assert (improved.parent, improved.label) == ("analysed", "Improved by the physicians' assessment")
    asked = "measure physician, visit week 12, value improved or markedly-improved"
    assert list(improved.excluded.values()) == [f"without a row in assessments with {asked}"]
    assert {*improved.included, *improved.excluded} == set(analysed.included)


def test_resources_behind_a_population_and_kinds_by_course() -> None:
    rows = "A,1,1,2001-06-15,20,g,completed\nA,2,1,2001-08-15,20,g,completed\nB,1,1,2001-12-31,20,g,stopped"
    behind = {"infusions": ["M/1", "M/2;M/2b", "M/3"]}
    later = {"by": "course", "table": "infusions", "where": {"start": {"above": "2001-07-01"}, "status": "completed"}}
    study = STUDY | {
        "populations": {"later": later},
        "endpoints": {
            "n": {"kind": "count", "population": "later"},
            "courses": {"kind": "count_courses", "population": "later"},
            "events": {"kind": "events_per_course", "population": "later"},
        },
    }
    results, issues = compute(study, tables(infusions=rows, adverse_events="A,1,1,related\nA,2,2,related"), behind)
    assert issues == []
    by_name = {(r.endpoint, r.statistic): r for r in results}
    assert by_name["n", "n"].resources == ("M/2", "M/2b")
    assert by_name["courses", "n"].estimate == 1
    assert (by_name["events", "courses"].estimate, by_name["events", "events"].estimate) == (1, 1)
