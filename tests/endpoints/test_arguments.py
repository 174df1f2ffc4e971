"""The contract between the study file and a kind: what each type of a parameter lets through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Literal

import pytest
from small_study import STUDY, tables

from fhir_ivig.cli.results import results_table
from fhir_ivig.endpoints import compute as module
from fhir_ivig.endpoints.compute import compute
from fhir_ivig.endpoints.definition import Measure, Population, Visit
from fhir_ivig.endpoints.result import Result, as_dict, to_frame
from fhir_ivig.endpoints.tables import Tables
from fhir_ivig.issue import Issue


def contract(
    tables: Tables,
    arms: tuple[Population, ...],
    measures: tuple[Measure, ...] = (),
    visits: tuple[Visit, ...] = (),
    words: tuple[str, ...] = (),
    side: Literal["two-sided", "greater"] = "two-sided",
    least: Decimal | None = None,
    rule: Mapping[str, Any] | None = None,
) -> Iterator[Result | Issue]:
    """A kind with every type of parameter."""
    if rule and "any" not in rule:
        yield Issue("error", "required", "A rule needs `any`.", path="rule")
    said = " ".join([*(m.name for m in measures), *(v.name for v in visits), *words, side, str(least)])
    for arm in arms:
        size = Decimal(len(arm.subjects))
        yield Result(statistic="n", arm=arm.label, time_point="end", n=1, estimate=size, method=said)


def ask(monkeypatch: pytest.MonkeyPatch, **keys: Any) -> tuple[list[Result], list[tuple[str, str]]]:
    monkeypatch.setitem(module.KINDS, "contract", contract)
    results, issues = compute(STUDY | {"endpoints": {"it": {"kind": "contract", **keys}}}, tables())
    return results, [(issue.place, issue.text) for issue in issues]


def test_what_may_stand_there(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = {"n, Treated": "2", "n, everyone, end": "4"}
    results, issues = ask(
        monkeypatch, arms=["treated", "everyone"], measures="MMT", visits=["base", "end"], words=["a", "b"],
        side="greater", least="0.5", rule={"any": [{"deep": "x"}]}, published=printed,
    )  # fmt: skip
    assert issues == []
    assert [(r.arm, r.estimate, r.method) for r in results] == [
        ("Treated", 2, "MMT base end a b greater 0.5"),
        ("everyone", 3, "MMT base end a b greater 0.5"),
    ]
    assert [(r.published, r.agrees) for r in results] == [("2", True), ("4", False)]
    assert [row["arm"] for row in map(as_dict, results)] == list(to_frame(results)["arm"]) == ["Treated", "everyone"]
    assert results_table(results).splitlines()[0].split()[:4] == ["endpoint", "population", "arm", "statistic"]
    assert "arm" not in results_table([Result(statistic="n")]).splitlines()[0].split()


def test_lines_that_only_the_time_point_tells_apart() -> None:
    def row(endpoint: str, statistic: str, time_point: str | None) -> Result:
        return Result(endpoint=endpoint, population="all", statistic=statistic, time_point=time_point, unit="score")

    alone = [row("one", "change", "week 4"), row("one", "effect", "week 0 to week 8")]
    assert "week" not in results_table(alone)
    lines = results_table([*alone, row("two", "change", "week 4"), row("two", "change", "week 8")]).splitlines()
    assert "statistic  time point  n" in lines[0]
    assert ["week" in line for line in lines[1:]] == [False, False, True, True]
    assert [line.split()[3:5] for line in lines[3:]] == [["week", "4"], ["week", "8"]]
    assert all(line.endswith("not evaluable") for line in lines[1:])  # without a unit


@pytest.mark.parametrize(
    ("keys", "place", "text"),
    [
        ({"arms": ["treated", "them"]}, "arms", "no population `them`"),
        ({"arms": ["treated", "treated"]}, "arms", "twice"),
        ({"arms": []}, "arms", "must be a word"),
        ({"arms": {"a": "b"}}, "arms", "must be a word"),
        ({"measures": ["MMT", "MTM"]}, "measures", "no measure `MTM`"),
        ({"visits": ["base", "bse"]}, "visits", "no visit `bse`"),
        ({"words": ["a", ["b"]]}, "words", "must be a word"),
        ({"side": "less"}, "side", "`less` is none of two-sided, greater"),
        ({"least": "-1"}, "least", "`-1` is not a number"),
        ({"least": ["1", "2"]}, "least", "must be a word"),
        ({"rule": "any"}, "rule", "must be keys"),
        ({"rule": {"all": "x"}}, "rule", "needs `any`"),
    ],
)
def test_what_may_not(monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any], place: str, text: str) -> None:
    _, issues = ask(monkeypatch, **{"arms": "treated", **keys})
    assert [place for place, _ in issues] == [f"study.yaml (endpoints.it.{place})"]
    assert text in issues[0][1]


def changed(**keys: Any) -> list[str]:
    """What is said of an endpoint of kind `paired_change` with these keys."""
    endpoint = {
        "kind": "paired_change",
        "population": "everyone",
        "measure": "MMT",
        "from": "base",
        "to": "end",
        **keys,
    }
    return [str(issue) for issue in compute(STUDY | {"endpoints": {"it": endpoint}}, tables())[1]]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"from": "end", "to": "base"}, "`base` does not come after `end`"),
        ({"to": "base"}, "`base` does not come after `base`"),
        ({"misssing": "locf"}, "it has population, measure, from, to, kind, label, missing, published."),
    ],
)
def test_a_change_goes_from_a_visit_to_a_later_one(keys: dict[str, Any], said: str) -> None:
    assert changed() == []
    assert [said in text for text in changed(**keys)] == [True]


def test_an_arm_that_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    results, issues = ask(monkeypatch, arms=["treated", "lost"], published={"n, Treated": "2"})
    assert issues == []
    assert [(r.statistic, r.estimate, r.warnings) for r in results] == [
        ("n", None, ("Not evaluable: population lost: there is no table registrations.",))
    ]
