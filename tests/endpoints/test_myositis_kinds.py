"""Grades, steroid sparing, adverse events and the watch list, by numbers that can be checked with a pencil."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from small_study import table

from fhir_ivig.endpoints.compute import compute
from fhir_ivig.endpoints.result import Result

HEADERS = {
    "subjects": "subject",
    "infusions": "subject,course,day,start,dose,unit,status",
    "assessments": "subject,visit,date,measure,sign,value,unit,upper_limit,scale_max,missing_reason",
    "medications": "subject,medication,dose,unit,start,end",
    "adverse_events": "subject,event,term,onset,severity,serious,outcome,course,causality",
}
ROWS = {
    "subjects": "A\nB\nC",
    "infusions": "A,1,1,2001-01-01,20,g,completed\nA,1,2,2001-01-02T09:00:00Z,20,g,stopped\n"
    "A,2,1,2001-02-01,20,g,completed\nB,1,1,2001-03-01,20,g,completed\nC,1,1,2001-03-01,20,g,not-done",
    "assessments": "A,base,,CK,,200,U/L,200,,\nB,base,,CK,,500,U/L,200,,\nC,base,,CK,,2000.1,U/L,200,,\n"
    "A,end,,CK,,100,U/L,200,,\nB,end,,CK,<,20,U/L,200,,\nC,end,,CK,,300,U/L,,,",
    "medications": "A,steroid,60,mg/d,2000-12-01,2001-01-04\nA,steroid,20,mg/d,2001-01-05,2001-01-08\n"
    "B,steroid,30,mg/d,2001-01-01,2001-03-06\nB,steroid,40,mg/d,2001-03-07,\nC,steroid,10,mg/d,2001-01-01,",
    "adverse_events": "A,1,Deep vein THROMBOSIS,2001-01-02,severe,yes,recovered,1,possible\n"
    "A,2,Headache,2001-01-31,mild,no,recovered,1,\nB,1,Antithrombin low,2001-02-28,mild,no,recovered,,unrelated\n"
    "B,2,Renal failure with stroke,2001-03,moderate,yes,fatal,1,related\nC,1,Headache,2001-03-04,mild,no,recovered,,",
}
STUDY: dict[str, Any] = {
    "visits": [{"visit": "base", "day": "0"}, {"visit": "end", "day": "10"}, {"visit": "someday"}],
    "measures": {"CK": {"label": "CK", "unit": "U/L", "better": "lower"}},
    "populations": {
        "all": {"table": "subjects"},
        "one": {"label": "One", "table": "subjects", "where": {"subject": "A"}},
        "rest": {"label": "Rest", "table": "subjects", "where": {"subject": ["B", "C"]}},
        "nobody": {"table": "subjects", "where": {"subject": "Z"}},
    },
}


def ask(endpoint: dict[str, Any], **rows: str) -> tuple[list[Result], list[str]]:
    """The results of one endpoint and the places of its Issues."""
    tables = {name: table(HEADERS[name], body) for name, body in (ROWS | rows).items()}
    results, issues = compute(STUDY | {"endpoints": {"it": {"population": "all"} | endpoint}}, tables)
    assert all(result.estimate is not None or result.warnings for result in results)
    return results, [issue.place for issue in issues]


def summary(results: list[Result]) -> dict[Any, Decimal | None]:
    return {(r.arm, r.statistic) if r.arm else r.statistic: r.estimate for r in results if r.subject is None}


def test_grades_of_ck() -> None:
    results, issues = ask({"kind": "laboratory_grade", "measure": "CK", "at": ["base", "end"]})
    assert issues == []
    at_base = [r for r in results if r.time_point == "base"]
    assert summary(at_base) == {
        "median_multiple": Decimal("2.5"), "max_multiple": Decimal("10.0005"),
        "grade_0": 1, "grade_1": 1, "grade_2": 0, "grade_3": 0, "grade_4": 1,
    }  # fmt: skip
    assert {r.subject: r.estimate for r in at_base if r.statistic == "grade" and r.subject} == {
        "A": 0,
        "B": 1,
        "C": 4,
    }
    assert all("is no adverse event" in r.warnings[0] for r in at_base if not r.subject)
    at_end = next(r for r in results if (r.time_point, r.statistic) == ("end", "grade_0"))
    assert (at_end.estimate, at_end.n, at_end.missing) == (1, 1, 2)
    assert at_end.warnings[1:] == (
        "Left out, only a limit (<) is known at end: B.",
        "Left out, no upper limit of normal at end: C.",
    )


def test_grades_of_the_studys_own() -> None:
    results, _ = ask({"kind": "laboratory_grade", "measure": "CK", "at": "base", "above": ["2.5", "10"]})
    assert [summary(results)[f"grade_{grade}"] for grade in range(3)] == [2, 0, 1]
    [result], _ = ask({"kind": "laboratory_grade", "measure": "CK", "at": "base", "above": ["5", "3"]})
    assert result.warnings == ("Not evaluable: the multiples under `above` must rise.",)
    nobody, _ = ask({"kind": "laboratory_grade", "measure": "CK", "at": "base", "population": "nobody"})
    assert {r.estimate for r in nobody} == {None}


def test_steroid_sparing() -> None:
    asked = {"kind": "steroid_sparing", "medication": "steroid", "unit": "mg/d", "from": "base", "to": "end"}
    results, issues = ask(asked | {"target": "20"})
    assert issues == []
    found = summary(results)
    # A: 4 days 60, 4 days 20, 2 days 0, then 0. B: 6 days 30, 4 days 40, then 40. C had no infusion.
    assert found["mean_area"] == Decimal(320 + 340) / 2
    assert found["mean_daily_dose"] == Decimal(32 + 34) / 2
    assert found["mean_spared"] == Decimal((600 - 320) + (300 - 340)) / 2
    assert found["mean_reduction"] == Decimal(60 - 10) / 2
    assert float(found["mean_percent_reduction"] or 0) == pytest.approx((100 - 100 / 3) / 2)
    assert (found["target_reached"], found["percent"], found["median_days_to_target"]) == (1, 50, 4)
    area = next(r for r in results if r.statistic == "mean_area")
    assert (area.n, area.missing, area.unit) == (2, 1, "mg")
    assert area.warnings == (
        "Left out, no infusion given: C.",
        "No dose on record after an earlier one ended, taken as 0: A.",
    )
    own = {(r.subject, r.statistic): r for r in results if r.subject}
    assert (own["A", "area"].estimate, own["A", "reduction"].estimate) == (320, 60)
    assert (own["A", "days_to_target"].estimate, own["B", "days_to_target"].warnings) == (4, ("Not reached.",))


@pytest.mark.parametrize(
    ("keys", "rows", "statistic", "said"),
    [
        ({"to": "someday"}, {}, "steroid_sparing", "base and someday need target days, the second after the first"),
        ({}, {"medications": "A,steroid,60,mg/d,2001-01-05,\nB,steroid,5,mg/d,2001-03,\nC,other,1,mg/d,,"},
         "mean_area", "on a day of it no dose on record yet: A"),
        ({}, {"medications": "A,steroid,0,mg/d,2000-01-05,"},
         "mean_percent_reduction", "the dose was 0 to begin with: A"),
        ({"target": "1"}, {}, "median_days_to_target", "fewer than half reached it"),
    ],
)  # fmt: skip
def test_steroid_sparing_that_cannot_be_told(
    keys: dict[str, str], rows: dict[str, str], statistic: str, said: str
) -> None:
    asked = {"kind": "steroid_sparing", "medication": "steroid", "unit": "mg/d", "from": "base", "to": "end"}
    only_b = {"population": "rest"} if statistic == "median_days_to_target" else {}
    results, _ = ask(asked | keys | only_b, **rows)
    [warnings] = [r.warnings for r in results if r.statistic == statistic and not r.subject]
    assert any(said in warning for warning in warnings), warnings


def test_infusion_rates_and_doses_of_courses() -> None:
    header = "subject,course,day,start,end,dose,unit,status"
    infusions = table(
        header,
        "A,1,1,2001-01-01T09:00:00Z,2001-01-01T12:00:00Z,18,g,completed\n"
        "A,1,2,2001-01-02T09:00:00Z,2001-01-02T19:00:00+09:00,18,g,stopped\n"
        "A,2,1,2001-02-01,2001-02-01,18,g,completed\nA,2,2,2001-02-02,2001-02-03,,g,completed\n"
        "B,1,1,2001-02-02T09:00:00,2001-02-02T10:00:00,18,g,completed\n"
        "C,1,1,2001-02-02T09:00:00Z,2001-02-02T09:00:00Z,18,g,completed",
    )
    weights = table(HEADERS["assessments"], "A,base,2001-01-01,weight,,50,kg,,,\nC,base,2001-01-01,weight,,50,kg,,,")
    study = STUDY | {
        "measures": {"weight": {"unit": "kg"}},
        "endpoints": {"it": {"kind": "exposure", "population": "all", "weight": "weight", "planned": "0.4",
                             "tolerance_percent": "10"}},
    }  # fmt: skip
    tables = {"subjects": table("subject", ROWS["subjects"]), "infusions": infusions, "assessments": weights,
              "courses": table("subject,course,planned_days", "")}  # fmt: skip
    results, issues = compute(study, tables)
    assert [issue.place for issue in issues] == ["infusions.csv:7, column end"]
    found = {r.statistic: r for r in results}
    # 18 g by 50 kg over 180 and over 60 minutes
    assert [found[f"{name}_rate"].estimate for name in ("mean", "min", "max")] == [4, 2, 6]
    assert [found[f"{name}_course_dose"].estimate for name in ("min", "max")] == [Decimal("0.36"), Decimal("0.72")]
    assert found["mean_course_dose"].warnings == (
        "Left out, the dose by weight of an infusion is not known: A course 2, B course 1.",
    )
    assert found["mean_rate"].warnings == (
        "Left out, start and end are not both known to the minute: A course 2 day 1.",
        "Left out, its dose by weight is not known: A course 2 day 2, B course 1 day 1.",
        "Left out, its times cannot be used (see the issues): C course 1 day 1.",
    )


def test_adverse_events() -> None:
    results, issues = ask({"kind": "adverse_event_summary", "arms": ["one", "rest"]})
    assert issues == []
    found = summary(results)
    wanted = {
        "events": (2, 3), "subjects": (1, 2), "percent": (100, 100), "severity mild": (1, 2),
        "severity moderate": (0, 1),
        "severity severe": (1, 0), "serious yes": (1, 1), "serious no": (1, 2), "causality -": (1, 1),
        "causality possible": (1, 0), "causality related": (0, 1), "causality unrelated": (0, 1),
        "outcome recovered": (2, 2), "outcome fatal": (0, 1), "course -": (0, 2), "course 1": (2, 1),
        "before_first_infusion": (0, 1), "median_days": (Decimal("14.5"), None), "min_days": (0, None),
        "max_days": (29, None),
    }  # fmt: skip
    assert found == {(arm, name): pair[at] for name, pair in wanted.items() for at, arm in enumerate(("One", "Rest"))}
    days = {(r.subject, r.time_point): (r.estimate, r.method) for r in results if r.subject}
    assert days == {
        ("A", "event 1"): (0, "since course 1 day 2"),
        ("A", "event 2"): (29, "since course 1 day 2"),
    }
    [warnings] = [r.warnings for r in results if (r.arm, r.statistic) == ("Rest", "before_first_infusion")]
    assert warnings == (
        "Began before the first infusion: B event 1.",
        "Left out, dates too vague to tell the days since the infusion: B event 2.",
        "Left out, no infusion given: C event 1.",
    )
    results, issues = ask({"kind": "adverse_event_summary"}, adverse_events="A,1,x,soon,mild,no,,,")
    assert issues == ["adverse_events.csv:2, column onset"]
    assert summary(results)["events"] == 1


GROUPS = {
    "clots": {"words": ["thromb", "stroke"]},
    "kidney": {"words": "renal"},
    "muscle": {"labs": [{"measure": "CK", "rises_by_percent": "10"}, {"measure": "CK", "above": "250"}]},
}


def test_watch_list() -> None:
    rows = {"assessments": ROWS["assessments"].replace("A,end,,CK,,100", "A,end,,CK,,300")}
    results, issues = ask({"kind": "watch_list", "groups": GROUPS, "from": "base", "visits": "end"}, **rows)
    assert issues == []
    assert summary(results) == {
        "clots events": 2, "clots subjects": 2, "kidney events": 1, "kidney subjects": 1,
        "muscle labs": 2, "muscle subjects": 2,
    }  # fmt: skip
    hits = [(r.statistic, r.subject, r.time_point, r.method) for r in results if r.subject]
    assert hits == [
        ("clots", "A", "event 1", "term has `thromb`"),
        ("clots", "B", "event 2", "term has `stroke`"),
        ("kidney", "B", "event 2", "term has `renal`"),
        ("muscle", "A", "end", "CK 200 to 300 at end"),
        ("muscle", "A", "end", "CK 300 at end"),
        ("muscle", "C", "end", "CK 300 at end"),
    ]
    [warnings] = [r.warnings for r in results if r.statistic == "muscle labs"]
    assert warnings == ("Left out, not known: B at end.",)
    arms, _ = ask({"kind": "watch_list", "groups": {"clots": GROUPS["clots"]}, "arms": ["one", "rest"]})
    assert summary(arms) == {("One", "clots events"): 1, ("One", "clots subjects"): 1,
                             ("Rest", "clots events"): 1, ("Rest", "clots subjects"): 1}  # fmt: skip


def test_a_watch_list_that_is_none() -> None:
    groups = {
        "a": {},
        "b": {"words": []},
        "c": {"labs": {}},
        "d": GROUPS["muscle"],
        "e": {"labs": [{"measure": "LDH"}]},
    }
    results, issues = ask({"kind": "watch_list", "groups": groups})
    assert results == []
    assert issues == [
        f"study.yaml (endpoints.it.groups.{place})"
        for place in ("a", "b.words", "c.labs", "d.labs", "e.labs", "e.labs[0].measure")
    ]
