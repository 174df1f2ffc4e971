"""The Total Improvement Score: vectors worked out by hand, and a plain second implementation for everything else."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from small_study import table

from fhir_ivig.endpoints.compute import compute
from fhir_ivig.endpoints.result import Result

VECTORS = yaml.load((Path(__file__).parent / "improvement_scores.yaml").read_text("utf-8"), yaml.BaseLoader)
NAMES = {
    "physician": "PhGA",
    "patient": "PtGA",
    "strength": "MMT",
    "function": "HAQ",
    "enzyme": "CK",
    "extramuscular": "EM",
}
HEADER = "subject,visit,date,measure,sign,value,unit,upper_limit,scale_max,missing_reason"
SCALES = {"physician": "10", "patient": "10", "strength": "80", "function": "3", "extramuscular": "10"}
Values = dict[str, tuple[str, str, str]]


def study(scales: dict[str, str], **keys: Any) -> dict[str, Any]:
    measures: dict[str, Any] = {
        NAMES[item]: {"unit": "cm", "scale_max": most, "better": "higher" if item == "strength" else "lower"}
        for item, most in scales.items()
    }
    measures |= {"CK": {"unit": "U/L"}, "LDH": {"unit": "U/L"}}
    core_set = {item: NAMES[item] for item in SCALES} | {"enzymes": {"CK": "15", "LDH": "3"}}
    score = {"kind": "improvement_score", "population": "all", "from": "base", "to": "end"}
    return {
        "visits": [{"visit": "base"}, {"visit": "end"}],
        "measures": measures,
        "core_set": core_set,
        "populations": {"all": {"table": "subjects"}} | keys.pop("populations", {}),
        "endpoints": {"score": score | keys},
    }


def rows(subject: str, values: Values) -> str:
    lines = []
    for item, (before, after, end) in values.items():
        unit, limit = ("U/L", end) if item in ("enzyme", "LDH") else ("cm", "")
        name = NAMES.get(item, item)
        lines += [f"{subject},base,,{name},,{before},{unit},{limit},,", f"{subject},end,,{name},,{after},{unit},,,"]
    return "\n".join(lines)


def ask(study: dict[str, Any], said: Sequence[str] = (), **subjects: Values) -> list[Result]:
    found, issues = compute(
        study,
        {
            "subjects": table("subject", "\n".join(subjects)),
            "assessments": table(HEADER, "\n".join(rows(name, values) for name, values in subjects.items())),
        },
    )
    assert [issue.text for issue in issues] == list(said)
    return found


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
@pytest.mark.parametrize("criteria", ["adult", "juvenile"])
def test_vector(vector: dict[str, Any], criteria: str) -> None:
    values = vector["values"]
    scales = SCALES | {item: values[item][2] for item in SCALES if item in values}
    keys = {"optional": vector["optional"]} if "optional" in vector else {}
    found = ask(study(scales, criteria=criteria, **keys), vector.get("issues", ()), S=values)
    evidence = {r.statistic: r for r in found if r.subject == "S"}
    summary = {r.statistic: r for r in found if r.subject is None}
    if "reason" in vector:
        assert vector["reason"] in evidence["score"].warnings[0]
        assert (evidence["score"].estimate, summary["mean"].estimate, summary["major"].estimate) == (None,) * 3
        assert (summary["mean"].n, summary["mean"].missing) == (0, 1)
        return
    total = evidence.pop("score")
    assert total.estimate == Decimal(vector["total"])
    assert {name: r.estimate for name, r in evidence.items()} == {
        item: Decimal(given) for item, given in vector["points"].items()
    }
    grades = ["minimal", "moderate", "major"]
    reached = grades.index(vector[criteria]) + 1 if criteria in vector else 0
    assert [summary[grade].estimate for grade in grades] == [int(place < reached) for place in range(3)]
    assert [summary[f"{grade}_percent"].estimate for grade in grades] == [
        100 * (place < reached) for place in range(3)
    ]


# Points for more than so many percent of the range, the highest rung first.
LADDERS: dict[str, list[tuple[int, float]]] = {
    "physician": [(40, 20), (25, 17.5), (15, 15), (5, 7.5)],
    "patient": [(40, 10), (25, 7.5), (15, 5), (5, 2.5)],
    "strength": [(30, 32.5), (20, 27.5), (10, 20), (2, 10)],
    "function": [(40, 10), (15, 7.5), (5, 5)],
    "enzyme": [(25, 7.5), (15, 5), (5, 2.5)],
    "extramuscular": [(40, 20), (25, 15), (15, 12.5), (5, 7.5)],
}


def plain(item: str, before: int, after: int, whole: int) -> float:
    """The points of an item in whole numbers only; values and range in the same units."""
    gain = after - before if item == "strength" else before - after
    for above, reward in LADDERS[item]:
        if 100 * gain > above * whole:
            return reward
    return 0


def pairs(most: int) -> st.SearchStrategy[tuple[int, int]]:
    """Values in hundredths, of which many changes fall right on an edge."""
    free = st.tuples(st.integers(0, most), st.integers(0, most))
    edges = st.tuples(st.integers(0, most), st.sampled_from([2, 5, 10, 15, 20, 25, 30, 40]), st.sampled_from([-1, 1]))
    on_edge = edges.map(lambda one: (one[0], one[0] + one[2] * one[1] * most // 100))
    return free | on_edge.filter(lambda one: 0 <= one[1] <= most)


def hundredths(number: int) -> str:
    return f"{number // 100}.{number % 100:02}"


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.data())
def test_every_score_is_that_of_a_plain_second_implementation(data: st.DataObject) -> None:
    subjects: dict[str, Values] = {}
    wanted = {}
    for name in ("S1", "S2", "S3"):
        drawn = {item: data.draw(pairs(int(most) * 100)) for item, most in SCALES.items()}
        values = {item: (hundredths(a), hundredths(b), SCALES[item]) for item, (a, b) in drawn.items()}
        total = sum(plain(item, a, b, int(SCALES[item]) * 100) for item, (a, b) in drawn.items())
        limit, other = data.draw(st.integers(1, 400)), data.draw(st.integers(1, 400))
        ck, ldh = data.draw(pairs(limit * 1500)), data.draw(pairs(other * 300))
        values["enzyme"] = (hundredths(ck[0]), hundredths(ck[1]), str(limit))
        values["LDH"] = (hundredths(ldh[0]), hundredths(ldh[1]), str(other))
        if ldh[0] * limit > ck[0] * other:
            total += plain("enzyme", *ldh, other * 300)
        else:
            total += plain("enzyme", *ck, limit * 1500)
        subjects[name], wanted[name] = values, Decimal(total)
    found = ask(study(SCALES), **subjects)
    assert {r.subject: r.estimate for r in found if r.statistic == "score"} == wanted
    summary = {r.statistic: r.estimate for r in found if r.subject is None}
    assert summary["median"] == sorted(wanted.values())[1]
    assert [summary["minimal"], summary["moderate"], summary["major"]] == [
        sum(total >= least for total in wanted.values()) for least in (20, 40, 60)
    ]


BEST: Values = VECTORS[2]["values"]
NONE: Values = VECTORS[3]["values"]
LACKING: Values = {item: value for item, value in NONE.items() if item != "patient"}


def test_the_enzyme_is_the_most_abnormal_at_baseline_by_multiples_of_normal() -> None:
    values = NONE | {"enzyme": ("800", "500", "200"), "LDH": ("700", "200", "150")}
    found = {r.statistic: r for r in ask(study(SCALES), S=values) if r.subject}
    assert found["enzyme"].estimate == Decimal("7.5")  # LDH is at 4.7 times, CK at 4 times, though CK is greater
    assert found["enzyme"].method == "LDH 700 to 200, range 450: 111.1 % better"
    level = NONE | {"enzyme": ("800", "500", "200"), "LDH": ("600", "200", "150")}
    found = {r.statistic: r for r in ask(study(SCALES), S=level) if r.subject}
    assert found["enzyme"].method.startswith("CK 800 to 500, range 3000: 10 % better")
    alone = {r.statistic: r for r in ask(study(SCALES), S=NONE) if r.subject}
    assert alone["score"].warnings == ("CK taken for the most abnormal enzyme, without LDH: no row at base.",)


def test_arms_and_those_without_a_score() -> None:
    arms = {name: {"label": name.upper(), "table": "subjects", "where": {"subject": who}} for name, who in
            {"one": ["A", "B"], "two": ["C"], "most": ["A", "B", "C"]}.items()}  # fmt: skip
    asked = study(SCALES, populations=arms, arms=["one", "two"])
    found = {(r.arm, r.statistic): r for r in ask(asked, A=BEST, B=LACKING, C=NONE) if not r.subject}
    assert [found["ONE", name].estimate for name in ("mean", "minimal", "minimal_percent")] == [100, 1, 100]
    assert (found["ONE", "minimal"].n, found["ONE", "minimal"].missing) == (1, 1)
    assert found["ONE", "minimal"].warnings[-1] == "Left out, PtGA: no row at base: B."
    assert found["TWO", "minimal_percent"].estimate == 0
    assert (found["ONE - TWO", "difference_welch"].estimate, found["ONE - TWO", "rank_sum"].n) == (100, 2)
    assert found["ONE - TWO", "major_difference_wald"].estimate == 100
    counted = study(SCALES, populations=arms, arms=["one", "two"], not_evaluable="no-response")
    found = {(r.arm, r.statistic): r for r in ask(counted, A=BEST, B=LACKING, C=NONE) if not r.subject}
    assert [found["ONE", name].estimate for name in ("mean", "minimal", "minimal_percent")] == [100, 1, 50]
    assert found["ONE", "minimal"].warnings[-1] == "No response counted, PtGA: no row at base: B."
    for wrong, why in ((["one", "most"], "in two arms: A, B"), (["one"], "in no arm: C")):
        [result] = ask(study(SCALES, populations=arms, arms=wrong), A=BEST, B=LACKING, C=NONE)
        assert result.warnings == (f"Not evaluable: {why}.",)


@pytest.mark.parametrize(
    ("core_set", "said"),
    [
        (None, {}),
        ("six", {"core_set": "must be items"}),
        ({"enzymes": {"CK": "0", "AST": "3"}, "skin": "PhGA", "physician": "PGA", "function": "CK",
          "patient": "PtGA", "strength": "EM", "extramuscular": "MMT"},
         {"core_set.skin": "no item", "core_set.physician": "no measure `PGA`", "core_set.function": "scale_max",
          "core_set.strength": "better higher", "core_set.extramuscular": "better lower",
          "core_set.enzymes.CK": "`0`", "core_set.enzymes.AST": "no measure"}),
        ({"enzymes": {}},
         {"core_set.enzymes": "must be measures", **{f"core_set.{item}": "needs" for item in SCALES}}),
    ],
)  # fmt: skip
def test_a_core_set_that_is_none(core_set: Any, said: dict[str, str]) -> None:
    asked = study(SCALES) | {"core_set": core_set}
    results, issues = compute(asked, {"subjects": table("subject", "S"), "assessments": table(HEADER, "")})
    assert results == []
    *told, last = issues
    assert "needs the core set" in last.text
    assert {issue.path for issue in told} == said.keys()
    assert all(said[issue.path or ""] in issue.text for issue in told), told


def test_an_item_that_is_none() -> None:
    [result] = ask(study(SCALES, optional=["CK"]), S=BEST)
    assert result.warnings[0].startswith("Not evaluable: `CK` under optional is no item")
