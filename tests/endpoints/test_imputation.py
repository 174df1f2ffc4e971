"""Multiple imputation: drawn the same every time, pooled by Rubin's rules, and told subject by subject."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from small_study import STUDY, table, tables

from fhir_ivig.endpoints.compute import compute
from fhir_ivig.endpoints.imputation import pool
from fhir_ivig.endpoints.result import Result

HEADER = "subject,visit,date,measure,sign,value,unit,scale_max,missing_reason"
VISITS = [{"visit": "base", "day": "0"}, {"visit": "mid", "day": "42"}, {"visit": "end", "day": "84"}]
CHANGE = {"kind": "paired_change", "population": "everyone", "measure": "MMT", "from": "base", "to": "end"}
DRAWN = {"rule": "multiple_imputation", "seed": "20030517", "imputations": "20"}


def cohort(size: int, gaps: int, seed: int = 1) -> str:
    """Values that rise by 10 on the average; the first `gaps` subjects have none at the end."""
    chance = random.Random(seed)
    rows = []
    for number in range(size):
        start = chance.randint(30, 60)
        for visit, gain in (("base", 0), ("mid", 5), ("end", 10)):
            if visit != "end" or number >= gaps:
                rows.append(
                    f"S{number:03d},{visit},2001-01-01,MMT,,{start + gain + chance.randint(-3, 3)},score,100,"
                )
    return "\n".join(rows)


def ask(size: int, gaps: int, endpoint: dict[str, Any] | None = None, **more: Any) -> dict[str, Result]:
    found = tables(**more) | {
        "assessments": table(HEADER, cohort(size, gaps)),
        "subjects": table("subject,diagnosis", "\n".join(f"S{n:03d},{'PM' if n % 2 else 'DM'}" for n in range(size))),
    }
    study = STUDY | {"visits": VISITS, "endpoints": {"it": (endpoint or CHANGE) | {"missing": DRAWN}}}
    study["populations"] = {
        "everyone": {"table": "subjects"},
        **{word: {"table": "subjects", "where": {"diagnosis": word}} for word in ("PM", "DM")},
    }
    results, issues = compute(study, found)
    assert issues == []
    return {f"{r.statistic} {r.arm or ''}".strip(): r for r in results}


def test_it_draws_the_same_every_time_and_says_whom() -> None:
    found = ask(30, 4)
    assert found == ask(30, 4)
    assert list(found) == ["mean_from", "mean_to", "mean_difference"]
    change = found["mean_difference"]
    assert (change.n, change.missing) == (30, 0)
    said = "Drawn by multiple imputation, 4 values of MMT: S000 at end, S001 at end, S002 at end, S003 at end."
    assert said in change.warnings
    assert "20 imputations" in change.method
    assert "seed 20030517" in change.method
    assert change.low is not None
    assert change.high is not None
    assert 8 < float(change.low) < float(change.estimate or 0) < float(change.high) < 12


def test_nothing_missing_is_the_complete_analysis() -> None:
    found = ask(30, 0)["mean_difference"]
    plain = compute(
        STUDY | {"visits": VISITS, "endpoints": {"it": CHANGE}},
        tables()
        | {
            "assessments": table(HEADER, cohort(30, 0)),
            "subjects": table("subject", "\n".join(f"S{n:03d}" for n in range(30))),
        },
    )[0]
    complete = next(r for r in plain if r.statistic == "mean_difference")
    for one, two in ((found.estimate, complete.estimate), (found.low, complete.low), (found.high, complete.high)):
        assert one is not None
        assert float(one) == pytest.approx(float(two or 0))
    assert found.p == pytest.approx(complete.p)
    assert found.warnings == ()


def test_arms_draw_each_for_itself() -> None:
    found = ask(60, 8, CHANGE | {"kind": "group_change", "arms": ["PM", "DM"]})
    assert list(found) == ["mean_change PM", "mean_change DM", "difference_welch PM - DM"]
    changes = [float(found[name].estimate or 0) for name in list(found)[:2]]
    assert float(found["difference_welch PM - DM"].estimate or 0) == pytest.approx(changes[0] - changes[1])
    assert found["difference_welch PM - DM"].n == 60


def test_too_few_to_draw_from() -> None:
    found = ask(12, 4)
    assert list(found) == ["paired_change"]
    assert "8 values of MMT at end are too few to draw from" in found["paired_change"].warnings[0]


def test_the_dead_and_the_unknown_are_not_drawn() -> None:
    dead = {"adverse_events": "S001,1,1,"}
    fatal = table("subject,event,onset,outcome", "S001,1,2001-02-01,fatal")
    found = tables(**dead) | {
        "assessments": table(HEADER, cohort(30, 4)),
        "subjects": table("subject", "\n".join(f"S{n:03d}" for n in range(31))),
        "courses": table("subject,course,start", "S001,1,2001-01-01"),
        "adverse_events": fatal,
    }
    results, _ = compute(STUDY | {"visits": VISITS, "endpoints": {"it": CHANGE | {"missing": DRAWN}}}, found)
    change = results[-1]
    assert (change.n, change.missing) == (29, 2)
    assert {"Left out, died before end: S001.", "Left out, no value from base to end: S030."} <= set(change.warnings)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(0.1, 9)), min_size=2, max_size=20), st.integers(3, 60))
def test_rubins_rules(sets: list[tuple[float, float]], freedom: int) -> None:
    # plainly, as van Buuren, Flexible Imputation of Missing Data (2018), 2.3 and 9.3.4, writes them
    m = len(sets)
    q = sum(q for q, _ in sets) / m
    u = sum(u for _, u in sets) / m
    b = sum((each - q) ** 2 for each, _ in sets) / (m - 1)
    t = u + b + b / m
    found = pool([q for q, _ in sets], [u for _, u in sets], freedom)
    assert found.estimate == pytest.approx(q)
    assert found.variance == pytest.approx(t)
    share = (b + b / m) / t
    if share > 1e-6:
        old = (m - 1) / share**2
        observed = (freedom + 1) / (freedom + 3) * freedom * (1 - share)
        assert found.freedom == pytest.approx(old * observed / (old + observed), rel=1e-6)
    assert found.freedom <= freedom * (1 + 1e-9)
    assert stats.t.ppf(0.975, found.freedom) >= stats.t.ppf(0.975, freedom) - 1e-9
