"""Several values at a visit, and none: by the rule that the study file says, and never silently."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from small_study import STUDY, table, tables

from fhir_ivig.endpoints.arguments import plan
from fhir_ivig.endpoints.assessments import readings, words
from fhir_ivig.endpoints.compute import compute
from fhir_ivig.endpoints.definition import Definition, define
from fhir_ivig.endpoints.tables import Tables

CASES = yaml.safe_load((Path(__file__).parent / "missing.yaml").read_text("utf-8"))


def assessments(rows: str) -> str:
    """Rows of subject,visit,date,value as rows of the table."""
    made = []
    for subject, visit, date, value in (line.split(",") for line in rows.splitlines()):
        sign, value = ("<", value[1:]) if value.startswith("<") else ("", value)
        cells = ",,,not-performed" if value == "-" else f"{sign},{value},score,100,"
        made.append(f"{subject},{visit},{date},MMT,{cells if value != '-' else ',,,,not-performed'}")
    return "\n".join(made)


def study(case: dict[str, Any]) -> dict[str, Any]:
    visits = [*STUDY["visits"], {"visit": "mid", "day": "42"}]
    visits = [one | (case.get("visit", {}) if one["visit"] == "end" else {}) for one in visits]
    return STUDY | {
        "visits": visits,
        "measures": {"MMT": STUDY["measures"]["MMT"] | case.get("measure", {}), "grade": {"label": "Grade"}},
    }


def read(case: dict[str, Any]) -> tuple[Definition, Tables]:
    found = tables(assessments=assessments(case["assessments"]))
    rows = "".join(
        f"{row.split(',')[0]},{n},{row.partition(',')[2]},fatal\n"
        for n, row in enumerate(case.get("fatal", "").splitlines())
    )
    found["adverse_events"] = table("subject,event,onset,end,outcome", rows)
    source = Tables(found, {})
    definition = define(study(case), source)
    reading, wrong = plan({"missing": case.get("missing", "complete")}, "endpoints.it", definition)
    assert definition.issues + wrong == []
    return definition, source.planned(reading)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(case: dict[str, Any]) -> None:
    definition, source = read(case)
    everyone, end = definition.populations["everyone"], definition.visits["end"]
    found = readings(source, everyone, definition.measures["MMT"], end)
    assert {one: str(value) for one, value in found.values.items()} == case.get("values", {})
    assert found.values.keys() == found.subjects == found.rows.keys()
    assert {one: chosen.rule for one, chosen in found.chosen.items() if chosen.rule} == {
        one: rule for one, rule in case.get("rules", {}).items() if rule
    }
    assert found.reasons == case.get("reasons", {})
    said = [(issue.place, issue.text) for issue in found.issues]
    wanted = case.get("issues", [])
    assert [place for place, _ in said] == [place for place, _ in wanted]
    assert all(piece in text for (_, text), (_, piece) in zip(said, wanted, strict=True)), said
    assert source.plan.notes == case.get("notes", [])


def test_resources_of_a_mean_and_of_a_value_carried() -> None:
    rows = assessments("A,end,2001-09-01,70\nA,end,2001-09-02,72\nB,base,2001-12-31,50")
    found = {"assessments": pa.Table.from_batches(tables(assessments=rows)["assessments"].to_batches())}
    source = Tables(tables() | found, {"assessments": ["O/1", "O/2;O/2b", "O/3"]})
    definition = define(study({"measure": {"several": "mean"}}), source)
    reading, _ = plan({"missing": "locf"}, "", definition)
    got = readings(
        source.planned(reading),
        definition.populations["everyone"],
        definition.measures["MMT"],
        definition.visits["end"],
    )
    assert got.sources(["A"]) == ("O/1", "O/2", "O/2b")
    assert got.sources() == ("O/1", "O/2", "O/2b", "O/3")
    assert got.rows["B"].resource == "O/3"


def test_words_are_chosen_and_carried_too() -> None:
    rows = "A,end,2001-09-01,grade,,good,,,\nA,end,2001-09-08,grade,,bad,,,\nB,base,2001-12-31,grade,,fair,,,"
    source = Tables(tables(assessments=rows), {})
    definition = define(study({"visit": {"several": "nearest"}}), source)
    reading, _ = plan({"missing": "locf"}, "", definition)
    planned, everyone = source.planned(reading), definition.populations["everyone"]
    found = words(planned, everyone, definition.measures["grade"], definition.visits["end"])
    assert {one: row["value"] for one, row in found.rows.items()} == {"A": "bad", "B": "fair"}
    assert found.values == {}
    mean = replace(definition.visits["end"], several="mean")
    assert [i.code for i in words(source, everyone, definition.measures["grade"], mean).issues] == ["duplicate"] * 2


def test_every_result_says_what_a_rule_changed() -> None:
    endpoint = {"kind": "paired_change", "population": "treated", "measure": "MMT", "from": "base", "to": "end"}
    rows = assessments("A,base,2001-06-15,60\nA,end,2001-09-07,70\nB,base,2001-12-31,50")
    asked = study({}) | {"endpoints": {"it": endpoint | {"missing": "locf"}}}
    results, issues = compute(asked, tables(assessments=rows))
    assert issues == []
    note = "Last observation carried forward to end, MMT of 1: B from base."
    assert all(note in r.warnings and r.n == 2 and r.missing == 0 for r in results)
    assert results[0].estimate == 55


@pytest.mark.parametrize(
    ("missing", "place", "text"),
    [
        ("guess", "missing", "`guess` is none of complete, locf"),
        ({"rule": "locf", "how": "x"}, "missing.how", "no `how`"),
        ({"rule": "multiple_imputation"}, "missing.seed", "whole number as `seed`"),
        ({"rule": "multiple_imputation", "seed": "7", "imputations": "1"}, "missing.imputations", "2 or more"),
        (["locf"], "missing", "is none of"),
        ("locf", "missing", "Kind count_courses fills in no missing values"),
    ],
)
def test_a_rule_that_is_none(missing: Any, place: str, text: str) -> None:
    endpoint = {"kind": "count_courses", "population": "treated", "missing": missing}
    _, issues = compute(STUDY | {"endpoints": {"it": endpoint}}, tables())
    assert [issue.place for issue in issues] == [f"study.yaml (endpoints.it.{place})"]
    assert text in issues[0].text


def test_nothing_to_carry_from() -> None:
    endpoint = {"kind": "paired_change", "population": "treated", "measure": "MMT", "from": "base", "to": "end"}
    visits = [{"visit": "base", "day": "1"}, {"visit": "end", "day": "84"}]
    rows = assessments("A,base,2001-06-15,60\nB,base,2001-12-31,50")
    for study_, missing, text in (
        (STUDY | {"visits": visits}, "locf", "no visit is the baseline"),
        (STUDY | {"measures": {"MMT": {"unit": "score"}}}, "worst", "does not say whether MMT is better"),
    ):
        asked = study_ | {"endpoints": {"it": endpoint | {"missing": missing}}}
        results, _ = compute(asked, tables(assessments=rows))
        assert [(r.statistic, r.estimate) for r in results] == [("paired_change", None)]
        assert text in results[0].warnings[0]


@pytest.mark.parametrize(
    ("part", "place", "text"),
    [
        ({"visits": [{"visit": "a", "several": "best"}]}, "visits[0].several", "is none of nearest"),
        ({"visits": [{"visit": "a", "baseline": "maybe"}]}, "visits[0].baseline", "neither yes nor no"),
        ({"visits": [{"visit": "a", "window": ["1"]}]}, "visits[0].window", "[first day, last day]"),
        ({"visits": [{"visit": v, "baseline": "yes"} for v in "ab"]}, "visits", "Just one visit"),
        ({"measures": {"a": {"several": "worst"}}}, "measures.a.several", "is none of nearest"),
        ({"measures": {"a": {"several": "mean"}}}, "measures.a.several", "no mean"),
    ],
)
def test_rules_that_are_none(part: dict[str, Any], place: str, text: str) -> None:
    issues = define(part, Tables({}, {})).issues
    assert [issue.place for issue in issues] == [f"study.yaml ({place})"]
    assert text in issues[0].text
