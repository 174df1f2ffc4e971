"""The kinds that compare arms, on trials made up here, beside R or by figures that a pencil gives."""

from __future__ import annotations

import math
import random
import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from beside_r import in_r, near
from small_study import table

from fhir_ivig.endpoints.compute import compute
from fhir_ivig.endpoints.result import Result

pytestmark = pytest.mark.filterwarnings("error")
VISITS = ["base", "mid", "end", "base 2", "end 2"]


def arm(name: str) -> dict[str, Any]:
    return {"label": name, "table": "dispositions", "where": {"arm": name.lower()}}


STUDY: dict[str, Any] = {
    "visits": [{"visit": name, "day": str(28 * place)} for place, name in enumerate(VISITS)],
    "measures": {"MMT": {"unit": "score", "better": "higher"}},
    "populations": {
        "all": {"table": "dispositions"},
        "ivig": arm("IVIG"),
        "placebo": arm("Placebo"),
        "responders": {"table": "assessments", "where": {"measure": "grade", "value": "better"}},
    },
}
ARMS = {"population": "all", "arms": ["ivig", "placebo"]}
COLUMNS = {
    "dispositions": "subject,arm,date",
    "assessments": "subject,visit,date,measure,sign,value,unit,scale_max,missing_reason",
    "infusions": "subject,course,day,start,status",
    "adverse_events": "subject,event,course,onset,serious",
}


def ask(endpoint: dict[str, Any], study: dict[str, Any] | None = None, **rows: list[str]) -> list[Result]:
    """The results of one endpoint, which must raise no Issue."""
    tables = {name: table(header, "\n".join(rows.get(name, []))) for name, header in COLUMNS.items()}
    results, issues = compute(STUDY | (study or {}) | {"endpoints": {"it": endpoint}}, tables)
    assert issues == []
    return results


def one(results: list[Result], statistic: str, arm: str | None = None, at: str | None = None) -> Result:
    [found] = [
        each
        for each in results
        if each.statistic == statistic and (arm is None or each.arm == arm) and (at is None or each.time_point == at)
    ]
    return found


def value(subject: str, visit: str, number: object) -> str:
    return f"{subject},{visit},2001-01-01,MMT,,{number},score,,"


def test_proderm_from_its_tables() -> None:
    people = [(f"S{n:02}", "ivig" if n < 47 else "placebo", n < 37 or 47 <= n < 68) for n in range(95)]
    results = ask(
        {"kind": "proportion_difference", "responders": "responders", **ARMS,
         "published": {"difference_wald, IVIG - Placebo": "34.97", "responders, IVIG": "37"}},
        dispositions=[f"{subject},{arm},2001-01-01" for subject, arm, _ in people],
        assessments=[f"{subject},end,2001-01-01,grade,,better,,," for subject, _, better in people if better],
    )  # fmt: skip
    wald = one(results, "difference_wald")
    assert (wald.agrees, wald.arm, wald.n) == (True, "IVIG - Placebo", 95)
    assert (round(wald.low or 0, 2), round(wald.high or 0, 2)) == (Decimal("16.70"), Decimal("53.24"))
    assert {each.agrees for each in results if each.published} == {True}
    assert one(results, "fisher").p == pytest.approx(0.0007, abs=5e-5)
    assert one(results, "percent_clopper_pearson", "IVIG").n == 47


def test_group_change() -> None:
    numbers = {
        "A": (10, 14),
        "B": (12, 13),
        "C": (9, 15),
        "D": (11, 11),
        "E": (8, 10),
        "F": (13, 12),
        "G": (10, None),
    }
    results = ask(
        {"kind": "group_change", "measure": "MMT", "from": "base", "to": "end", **ARMS},
        dispositions=[f"{name},{'ivig' if name < 'D' else 'placebo'}," for name in numbers],
        assessments=[
            value(name, visit, number)
            for name, pair in numbers.items()
            for visit, number in zip(("base", "end"), pair, strict=True)
            if number is not None
        ],
    )
    assert one(results, "mean_change", "IVIG").estimate == pytest.approx(Decimal(11) / 3)
    assert one(results, "mean_to", "Placebo").estimate == 11
    # changes 4, 1, 6 against 0, 2, -1: pooled variance (12.667 + 4.667) / 4
    student = one(results, "difference_t")
    assert float(student.estimate or 0) == pytest.approx(10 / 3)
    assert float(student.high or 0) == pytest.approx(10 / 3 + 2.776445 * (26 / 6 * 2 / 3) ** 0.5)
    assert one(results, "rank_sum").estimate == 8
    assert one(results, "rank_sum").p == 4 / 20  # sums of 14 and 15, and of 7 and 6, of 20
    assert one(results, "hodges_lehmann").estimate == 4
    assert one(results, "ancova").p is not None
    assert one(results, "ancova").warnings == ("Left out, no row at end: G.",)
    assert (student.n, student.missing, student.unit) == (6, 1, "score")


def crossed(seed: int, sizes: tuple[int, int]) -> list[tuple[str, str, int, int]]:
    chance = random.Random(seed)
    return [
        (f"{'AB'[place]}{n:02}", ("ivig", "placebo")[place], chance.randint(-6, 9), chance.randint(-6, 9))
        for place, size in enumerate(sizes)
        for n in range(size)
    ]


CROSSOVER = {
    "kind": "crossover",
    "population": "all",
    "sequences": ["ivig", "placebo"],
    "measure": "MMT",
    "first": ["base", "end"],
    "second": ["base 2", "end 2"],
}


def crossover(people: list[tuple[str, str, int, int]]) -> list[Result]:
    ends = [(name, *pair) for name, _, *both in people for pair in zip(("end", "end 2"), both, strict=True)]
    starts = [(name, visit, 0) for name, *_ in people for visit in ("base", "base 2")]
    return ask(
        CROSSOVER,
        dispositions=[f"{name},{arm}," for name, arm, *_ in people],
        assessments=[value(*each) for each in [*starts, *ends]],
    )


def test_crossover_beside_r(tmp_path: Path) -> None:
    """Treatment and period by least squares within subjects, carry-over between them."""
    chance = random.Random(1)
    sets = [crossed(seed, (chance.randint(3, 14), chance.randint(3, 14))) for seed in range(200)]
    rows = [
        {"set": place, "s": name, "seq": arm, "p": period, "y": y, "t": int((arm == "ivig") == (period == 0))}
        for place, people in enumerate(sets)
        for name, arm, *both in people
        for period, y in enumerate(both)
    ]
    asked = """ask <- function(one) { m <- lm(y ~ s + p + t, one); c <- summary(m)$coefficients; i <- confint(m)
      sums <- aggregate(y ~ s + seq, one, sum); k <- t.test(y ~ seq, sums, var.equal = TRUE)
      f <- t.test(y ~ seq, one[one$p == 0, ], var.equal = TRUE)
      c(c["t", 1], i["t", ], c["t", 4], c["p", 1], c["p", 4], -diff(k$estimate), k$p.value, -diff(f$estimate),
        f$p.value) }"""
    for people, theirs in zip(sets, in_r(tmp_path, rows, asked), strict=True):
        results = crossover(people)
        found = {each.statistic: each for each in results}
        treatment = found["treatment"]
        ours = [treatment.estimate, treatment.low, treatment.high, treatment.p]
        for name in ("period", "carry_over", "treatment_first_period"):
            ours += [found[name].estimate, found[name].p]
        assert all(near(mine, other) for mine, other in zip(ours, theirs, strict=True)), people


def test_crossover_tells_what_it_cannot() -> None:
    people = crossed(3, (5, 5))
    results = crossover(people)
    assert "little power" in one(results, "carry_over").warnings[0]
    assert one(results, "treatment").time_point == "base to end 2"
    assert one(results, "treatment_first_period").time_point == "base to end"
    assert one(results, "mean", "IVIG", "base to end").n == 5
    [refused] = ask(CROSSOVER | {"sequences": ["ivig"]}, dispositions=["A,ivig,"])
    assert refused.warnings == ("Not evaluable: two sequences are needed, and one or two visits of each period.",)


def test_change_over_visits() -> None:
    chance = random.Random(5)
    visits = ["base", "mid", "end"]
    names = [f"S{n:02}" for n in range(12)]
    rows = [
        value(name, visit, 50 + 3 * place * (number % 2) + number + chance.randint(-2, 2))
        for number, name in enumerate(names)
        for place, visit in enumerate(visits)
        if (number, place) != (4, 2)
    ]
    people = [f"{name},{'ivig' if number % 2 else 'placebo'}," for number, name in enumerate([*names, "X"])]
    question = {"kind": "change_over_visits", "measure": "MMT", "visits": visits}
    results = ask(question | ARMS, dispositions=people, assessments=rows)
    gain = one(results, "difference", at="base to end")
    assert gain.low is not None
    assert gain.low < 6 < (gain.high or 0)
    assert (gain.n, gain.missing, gain.arm) == (12, 1, "IVIG - Placebo")
    assert gain.warnings == (
        "Some visits missing, the others count: S04.",
        "Left out, no value at any visit: X.",
    )
    assert (one(results, "arm_by_visit").p or 1) < 0.01
    alone = ask(question | {"population": "all"}, dispositions=people, assessments=rows)
    assert [each.statistic for each in alone] == ["change", "change", "visit_effect"]
    flat = [value(name, visit, 5) for name in names for visit in visits]
    [refused] = ask(question | {"population": "all"}, dispositions=people, assessments=flat)
    assert refused.warnings == ("Not evaluable: the values do not vary within arm and visit.",)
    [few] = ask(question | {"population": "all"}, dispositions=people, assessments=rows[:3])
    assert "are too few" in few.warnings[0]


DAY = date(2001, 1, 1)


def test_time_to_event() -> None:
    # the arms with 6-mercaptopurine and placebo of Freireich et al. 1963 as textbooks reproduce them (`gehan` in MASS
    # of R), in days instead of weeks
    drug = [6, 6, 6, 7, 10, 13, 16, 22, 23, -6, -9, -10, -11, -17, -19, -20, -25, -32, -32, -34, -35]
    placebo = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
    people = [(f"S{n:02}", "ivig" if n < 21 else "placebo", days) for n, days in enumerate([*drug, *placebo])]
    results = ask(
        {"kind": "time_to_event", "event": {"table": "adverse_events", "where": {"serious": "yes"}},
         "censored": {"table": "dispositions"}, "at": "mid", **ARMS},
        infusions=[f"{name},1,1,{DAY},completed" for name, *_ in people],
        dispositions=[f"{name},{arm},{DAY + timedelta(abs(days))}" for name, arm, days in people],
        adverse_events=[f"{name},1,,{DAY + timedelta(days)},yes" for name, _, days in people if days > 0]
        + [f"{name},2,,{DAY},no" for name, *_ in people],
    )  # fmt: skip
    assert [one(results, "median", arm).estimate for arm in ("IVIG", "Placebo")] == [23, 8]
    assert one(results, "events", "IVIG").estimate == 9
    # survdiff of R prints chi-squared 16.8 of these
    assert round(one(results, "log_rank").estimate or 0, 2) == Decimal("16.79")
    assert round(one(results, "survival", "IVIG", "mid").estimate or 0, 1) == Decimal("44.8")


def test_time_to_event_leaves_out_whom_it_does_not_know() -> None:
    event = {"any": [{"table": "adverse_events"}, {"table": "assessments", "where": {"value": {"at_least": "9"}}}]}
    results = ask(
        {"kind": "time_to_event", "population": "all", "event": event, "censored": {"table": "dispositions"}},
        infusions=[f"{name},1,1,2001-01-01,completed" for name in "ABCDE"],
        dispositions=["A,,2001-03-01", "B,,2001-03", "C,,", "D,,2001-01-31", "E,,2001-01-11", "F,,2001-04-01"],
        adverse_events=["D,1,,2001-02-05,no", "A,1,,2000-12-31,no"],
        assessments=["A,mid,2001-01-21,MMT,,9.0,score,,", "A,mid,2001-01-05,MMT,,8.9,score,,"],
    )
    events = one(results, "events")
    assert (events.estimate, events.n, events.missing) == (1, 3, 3)
    assert events.warnings == (
        "An event after the end of follow-up, not counted: D.",
        "Left out, date 2001-03 in dispositions is not known to the day: B.",
        "Left out, no date in date of dispositions: C.",
        "Left out, no infusion given: F.",
    )
    assert one(results, "median").estimate == 25  # half of two are left from day 20 to day 30


MET: dict[str, Any] = {
    "kind": "time_to_event",
    "population": "all",
    "event": {"rule": {"measure": "MMT", "rises_by": "10"}, "from": "base", "visits": ["mid", "end"]},
    "censored": {"table": "dispositions"},
}


def test_the_event_may_be_the_first_visit_at_which_a_rule_is_met() -> None:
    values = {"A": "50 60 70", "B": "50 59 61", "C": "50 51 52", "D": "50 - 60", "E": "- 60 70"}
    days = ("2001-01-01", "2001-01-29", "2001-02-26")
    results = ask(
        MET,
        infusions=[f"{name},1,1,2001-01-01,completed" for name in values],
        dispositions=[f"{name},,2001-03-02" for name in values],
        assessments=[
            f"{name},{visit},{day},MMT,,{'' if number == '-' else number},score,,{'unknown' if number == '-' else ''}"
            for name, row in values.items()
            for visit, day, number in zip(("base", "mid", "end"), days, row.split(), strict=True)
        ],
    )
    events = one(results, "events")
    assert (events.estimate, events.n, events.missing) == (3, 5, 0)
    assert events.warnings == ("Not known at some visit, taken as not met there: D, E.",)
    # A after 28 days, B and D after 56; C and E are followed to day 60
    assert one(results, "median").estimate == 56


def test_the_rule_of_an_event_needs_the_day_on_which_it_was_met() -> None:
    results = ask(
        MET | {"start": {"table": "infusions"}},
        infusions=["A,1,1,2001-01-01,completed"],
        dispositions=["A,,2001-03-02"],
        assessments=["A,base,2001-01-01,MMT,,50,score,,", "A,mid,2001-01,MMT,,70,score,,"],
    )
    assert "Left out, a date of what was met at mid is not known to the day: A." in one(results, "events").warnings


@pytest.mark.parametrize(
    ("event", "place", "said"),
    [
        ({"rule": {}, "from": "base", "visits": "mid"}, ".rule", "just one of"),
        ({"rule": {"measure": "MMT", "above": "1"}, "visits": ["mid"]}, ".from", "names a visit: base, mid"),
        ({"rule": {"measure": "MMT", "above": "1"}, "from": "base", "visits": ["x"]}, ".visits", "names visits"),
        ({"rule": {}, "from": "base", "visits": "mid", "date": "date"}, ".date", "take out `date`"),
        (
            {"rule": {"any": [{"measure": "MMT", "above": "1", "visit": "end"}]}, "from": "base", "visits": "mid"},
            ".rule.any[0].visit",
            "has no place here",
        ),
    ],
)
def test_the_rule_of_an_event_that_is_none(event: dict[str, Any], place: str, said: str) -> None:
    tables = {name: table(header, "") for name, header in COLUMNS.items()}
    results, issues = compute(STUDY | {"endpoints": {"it": MET | {"event": event}}}, tables)
    assert results == []
    assert any(issue.path == f"endpoints.it.event{place}" and said in issue.text for issue in issues), issues


@pytest.mark.parametrize(
    ("per", "amount", "rate"), [("course", 3, 1), ("infusion", 4, 0.75), ("patient", 3, 1), ("year", 2, 1.5)]
)
def test_event_rate(per: str, amount: float, rate: float) -> None:
    results = ask(
        {"kind": "event_rate", "population": "all", "per": per, "until": {"table": "dispositions"}},
        infusions=["A,1,1,2001-01-01,completed", "A,1,2,2001-01-02,stopped", "A,2,1,2001-02-01,completed",
                   "B,1,1,2001-01-01,completed", "B,1,2,2001-01-02,not-done"],
        dispositions=["A,,2001-12-31", "B,,2002-01-01", "C,,2002-01-01"],
        adverse_events=["A,1,,2001-01-02,yes", "A,2,,2001-03-02,no", "B,1,,2001-01-02,no"],
    )  # fmt: skip
    counted = {each.statistic: each for each in results}
    assert counted["events"].estimate == 3
    assert float(results[1].estimate or 0) == pytest.approx(amount, abs=0.002)
    assert float(counted["rate"].estimate or 0) == pytest.approx(rate, abs=0.002)
    assert counted["rate"].missing == (0 if per == "patient" else 1)


def test_rate_ratio() -> None:
    results = ask(
        {"kind": "event_rate", "per": "patient", "where": {"serious": "yes"}, **ARMS},
        dispositions=["A,ivig,", "B,placebo,", "C,placebo,"],
        adverse_events=["A,1,,2001-01-01,yes", "A,2,,2001-01-01,no", "B,1,,2001-01-01,yes"],
    )
    assert one(results, "rate_ratio").estimate == 2
    assert [one(results, "rate", arm).estimate for arm in ("IVIG", "Placebo")] == [1, Decimal("0.5")]


FAMILIES = {
    "secondary": {"method": "holm", "label": "Secondary", "statistics": ["it.rank_sum", "it.difference_t"]},
    "ordered": {"method": "hierarchical", "statistics": ["it.rank_sum", "it.mean_change, IVIG"]},
}


def test_multiplicity() -> None:
    numbers = {"A": 4, "B": 1, "C": 6, "D": 0, "E": 2, "F": -1}
    results = ask(
        {"kind": "group_change", "measure": "MMT", "from": "base", "to": "end", **ARMS},
        {"multiplicity": FAMILIES},
        dispositions=[f"{name},{'ivig' if name < 'D' else 'placebo'}," for name in numbers],
        assessments=[value(name, "base", 0) for name in numbers]
        + [value(*(n, "end", d)) for n, d in numbers.items()],
    )
    raw = {each.statistic: each.p for each in results if each.arm == "IVIG - Placebo" and each.endpoint == "it"}
    family = [each for each in results if each.endpoint == "secondary"]
    assert [each.statistic for each in family] == ["it.rank_sum", "it.difference_t"]
    small, large = sorted([raw["rank_sum"] or 0, raw["difference_t"] or 0])
    assert sorted(each.p or 0 for each in family) == [2 * small, max(2 * small, large)]
    assert family[0].method.startswith("p adjusted for 2 tests, Holm; Wilcoxon")
    assert (family[0].label, family[0].arm, family[1].low) == ("Secondary", "IVIG - Placebo", None)
    assert one(results, "it.mean_change, IVIG").p == raw["rank_sum"]  # the smaller p may not overtake


@pytest.mark.parametrize(
    ("family", "place", "said"),
    [
        ({"method": "sidak", "statistics": ["it.n"]}, "f.method", "`sidak` is none of holm"),
        ({"method": "holm", "statistics": "it.n"}, "f.statistics", "must be a list"),
        ({"method": "holm", "statistics": ["it.n", "it.n"]}, "f.statistics[1]", "twice"),
        ({"method": "holm", "statistics": ["it.m"]}, "f.statistics[0]", "There is no `it.m`"),
        ({"method": "holm", "statistics": ["it.n"], "alpha": "0.05"}, "f.alpha", "no key `alpha`"),
        ("holm", "f", "must be keys"),
    ],
)
def test_faulty_families(family: Any, place: str, said: str) -> None:
    study = STUDY | {
        "endpoints": {"it": {"kind": "count_courses", "population": "all"}},
        "multiplicity": {"f": family},
    }
    tables = {name: table(header, "") for name, header in COLUMNS.items()}
    [issue] = compute(study, tables)[1]
    assert (issue.file, issue.path) == ("study.yaml", f"multiplicity.{place}")
    assert said in issue.text


@pytest.mark.parametrize(
    ("keys", "place", "said"),
    [
        ({"event": {"where": {}}}, "event", "Say just one of"),
        (
            {"event": {"table": "adverse_events", "where": {"onset": {"at_least": "x"}}}},
            "event.where.onset",
            "neither",
        ),
        ({"event": {"any": []}}, "event", "`any` is a list"),
        ({"event": {"table": "adverse_events", "rows": {"at_least": "2"}}}, "event", "must be {table, where, date}"),
        ({"censored": {"table": "subjects"}}, "censored", "which column of subjects has the `date`"),
    ],
)
def test_faulty_occurrences(keys: dict[str, Any], place: str, said: str) -> None:
    endpoint = {"kind": "time_to_event", "population": "all", "event": {"table": "adverse_events"}}
    endpoint |= {"censored": {"table": "dispositions"}} | keys
    tables = {name: table(header, "") for name, header in COLUMNS.items()}
    issues = compute(STUDY | {"endpoints": {"it": endpoint}}, tables)[1]
    assert all((issue.path or "").startswith(f"endpoints.it.{place}") for issue in issues)
    assert any(said in issue.text for issue in issues), issues


EVERY: dict[str, Any] = {
    "proportion": {"responders": "responders", "intervals": ["clopper-pearson", "wilson", "wald"], **ARMS},
    "proportion_difference": {"responders": "responders", **ARMS},
    "group_change": {"measure": "MMT", "from": "base", "to": "end", **ARMS},
    "crossover": {key: value for key, value in CROSSOVER.items() if key != "kind"},
    "change_over_visits": {"measure": "MMT", "visits": ["base", "mid"], **ARMS},
    "time_to_event": {
        "event": {"table": "adverse_events"},
        "censored": {"table": "dispositions"},
        "at": "mid",
        **ARMS,
    },
    "event_rate": {"per": "year", "until": {"table": "dispositions"}, **ARMS},
}
CELLS = {
    "arm": ["ivig", "placebo"],
    "visit": VISITS,
    "measure": ["MMT", "grade"],
    "value": ["0", "0.0", "7", "7.5", "-1", "better", "", "1e9", "999999999999"],
    "date": ["2001-01-01", "2001-02-01", "2001", "soon", ""],
    "start": ["2001-01-01", "2001-01-05", ""],
    "onset": ["2001-01-03", "2001-01-01", "2000-01-01", "", "x"],
    "unit": ["score", "score", "score", "kg"],
    "sign": ["", "", "<"],
    "status": ["completed"],
    "serious": ["yes", "no"],
    "course": ["1", "2"],
}


def whatever(chance: random.Random) -> dict[str, Any]:
    """Tables whose cells are right and wrong at random; every subject has an arm."""
    found = {}
    people = [f"S{n}" for n in range(chance.randint(0, 9))]
    for name, header in COLUMNS.items():
        columns = header.split(",")
        some = people if name == "dispositions" else chance.choices(people, k=len(people) * 5) if people else []
        rows = [",".join([one, *(chance.choice(CELLS.get(column, [""])) for column in columns[1:])]) for one in some]
        found[name] = table(header, "\n".join(dict.fromkeys(rows)))
    return found


@pytest.mark.parametrize("kind", EVERY)
def test_whatever_stands_in_the_tables(kind: str) -> None:
    """An estimate or a reason, never a NaN, a warning on the screen or a traceback."""
    study = STUDY | {"endpoints": {"it": EVERY[kind] | {"kind": kind}}}
    for seed in range(60):
        results, _ = compute(study, whatever(random.Random(seed)))
        assert results, seed
        for result in results:
            assert result.estimate is not None or result.warnings, (seed, result)
            for number in (result.estimate, result.low, result.high, result.p):
                assert number is None or math.isfinite(float(number)), (seed, result)


def test_without_statsmodels_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsmodels", None)
    monkeypatch.setitem(sys.modules, "statsmodels.api", None)
    people = ["A,ivig,", "B,ivig,", "C,placebo,", "D,placebo,"]
    rows = [value(name, visit, number) for number, name in enumerate("ABCD") for visit in ("base", "end")]
    [model] = ask(
        {"kind": "change_over_visits", "population": "all", "measure": "MMT", "visits": ["base", "end"]},
        dispositions=people,
        assessments=rows,
    )
    changes = ask(EVERY["group_change"] | {"kind": "group_change"}, dispositions=people, assessments=rows)
    for found in (model, one(changes, "ancova")):
        assert found.estimate is None
        assert "pip install 'fhir-ivig[models]'" in found.warnings[0]
