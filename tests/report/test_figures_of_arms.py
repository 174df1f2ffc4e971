"""The figures of a trial with arms: who is still without an event, and the differences between the arms."""

from __future__ import annotations

from decimal import Decimal
from xml.etree import ElementTree

import pytest
from many import SAMPLE

from fhir_ivig.endpoints.populations import Population
from fhir_ivig.endpoints.survival import Time
from fhir_ivig.endpoints.terms import Measure, Visit
from fhir_ivig.report.figures.figure import Figure
from fhir_ivig.report.figures.lines import lines
from fhir_ivig.report.figures.survival import Curve, Ended, Survival, survival
from fhir_ivig.report.page import Report
from fhir_ivig.report.series import Series, Value
from fhir_ivig.reporting import make_report

SVG = "{http://www.w3.org/2000/svg}"


def curve(label: str, **times: tuple[int, bool]) -> Curve:
    ended = {subject: Ended(Time(*time), f"row of {subject}") for subject, time in times.items()}
    return Curve(label, dict(sorted(ended.items(), key=lambda item: item[1].time)), "so many")


def drawn(*curves: Curve, test: str = "") -> Figure:
    found = survival(Survival("relapse", "Days to a relapse", "first infusion", curves, test))
    assert found is not None
    return found


def marks(figure: Figure, tag: str, part: str) -> list[str]:
    """What the marks of a part say when they are pointed at."""
    every = ElementTree.fromstring(figure.drawing).iter(SVG + tag)
    return [one.findtext(SVG + "title") or "" for one in every if one.get("class") == part]


IVIG = curve("IVIG", a=(10, True), b=(20, False), c=(30, True), d=(40, False))
PLACEBO = curve("Placebo", e=(20, True), f=(20, True))


def test_a_curve_falls_at_its_events_and_has_a_tick_where_somebody_was_last_seen() -> None:
    figure = drawn(IVIG, PLACEBO, test="Log-rank test: p = 0.05.")
    assert marks(figure, "circle", "mean-point") == [
        "IVIG, day 10: 4 at risk, 1 event, 75.0 % (12.8 to 96.1) without it after\na: row of a",
        "IVIG, day 30: 2 at risk, 1 event, 37.5 % (1.1 to 80.8) without it after\nc: row of c",
    ]
    assert [said.partition(":")[0] for said in marks(figure, "line", "left")] == ["IVIG, day 20", "IVIG, day 40"]
    assert marks(figure, "circle", "mean-2-point") == [
        "Placebo, day 20: 2 at risk, 2 events, 0.0 % without it after\ne: row of e\nf: row of f"
    ]
    (line,) = [
        one for one in ElementTree.fromstring(figure.drawing).iter(SVG + "polyline") if one.get("class") == "mean"
    ]
    assert line.get("points") == "110,30 224,30 224,90 452,90 452,180 566,180"
    assert "Log-rank test: p = 0.05." in figure.note


def test_the_values_of_a_curve_say_each_subject_and_the_estimate_after_it() -> None:
    values = drawn(IVIG, PLACEBO).values
    rows = [dict(zip(values.heads, row, strict=True)) for row in values.rows]
    found = [
        tuple(row[key] for key in ("Subject", "Day", "Event", "At risk", "Percent without after")) for row in rows
    ]
    assert found == [
        ("a", "10", "yes", "4", "75.0000"),
        ("b", "20", "no", "3", "75.0000"),
        ("c", "30", "yes", "2", "37.5000"),
        ("d", "40", "no", "1", "37.5000"),
        ("e", "20", "yes", "2", "0.0000"),
        ("f", "20", "yes", "2", "0.0000"),
    ]
    assert (rows[4]["Low"], rows[4]["Resource or row"]) == ("", "row of e")


def test_the_numbers_at_risk_stand_under_the_days_of_the_axis() -> None:
    texts = [one.text for one in ElementTree.fromstring(drawn(IVIG, PLACEBO).drawing).iter(SVG + "text")]
    after = texts[texts.index("At risk") :]
    assert after == ["At risk", "IVIG", "4", "4", "3", "2", "1", "Placebo", "2", "2", "2", "0", "0"]


def test_a_fourth_arm_is_not_drawn_and_that_is_said() -> None:
    figure = drawn(*(curve(label, **{label.lower(): (9, True)}) for label in ("A", "B", "C", "D")))
    assert "Not drawn: D." in figure.note
    assert [row[0] for row in figure.values.rows] == ["A", "B", "C", "D"]


def test_a_fourth_arms_mean_is_not_drawn_and_that_is_said() -> None:
    arms = [Population(name, f"Arm {name}", frozenset({name})) for name in "ABCD"]
    visits = [Visit("week 0", 0), Visit("week 4", 28)]
    values = {
        name: [Value(name, each.name, each.day or 0, False, Decimal(9), None, "") for each in visits]
        for name in "ABCD"
    }
    figure = lines(Series(Measure("VAS", "Global", "mm", "lower", None), arms, visits, {}, values))
    assert figure is not None
    assert "Dotted line: mean, Arm C. Means not drawn: Arm D." in figure.note
    assert {row[0] for row in figure.values.rows} == set("ABCD")


def test_nobody_whose_time_is_known_is_no_figure() -> None:
    assert survival(Survival("relapse", "Days to a relapse", "first infusion", [curve("IVIG")], "")) is None


def test_many_of_one_day_are_one_mark_that_says_so() -> None:
    figure = drawn(curve("IVIG", **{f"s{number}": (5, True) for number in range(1000)}))
    (said,) = marks(figure, "circle", "mean-point")
    assert said.startswith("IVIG, day 5: 1,000 at risk, 1,000 events, 0.0 % without it after")
    assert said.endswith("and 994 more")


def test_of_thousands_of_days_only_some_are_marked_and_that_is_said() -> None:
    figure = drawn(curve("IVIG", **{f"s{day:04}": (day, day % 2 == 0) for day in range(1, 5001)}))
    shown = len(marks(figure, "circle", "mean-point")) + len(marks(figure, "line", "left"))
    assert shown == 200
    assert "At most 200 dots and ticks of an arm are drawn" in figure.note
    assert len(figure.values.rows) == 5000
    assert len(figure.drawing) < 400_000
    assert "At most" not in drawn(IVIG, PLACEBO).note


def test_the_trials_curve_is_the_endpoint_that_the_table_has(trial: Report) -> None:
    (figure,) = (figure for figure in trial.figures if figure.name.startswith("survival"))
    happened = [row[0] for row in figure.values.rows if row[3] == "yes"]
    assert (happened.count("IVIG"), happened.count("Placebo"), len(figure.values.rows)) == (10, 5, 95)
    assert "IVIG: 10 of 47 had the event, median 114 days (from 114). Placebo: 5 of 48" in figure.note


def values(report: Report) -> dict[tuple[str, str], tuple[str, ...]]:
    (figure,) = (figure for figure in report.figures if figure.name == "differences")
    return {(row[0], row[1]): row[2:] for row in figure.values.rows}


def test_differences_between_arms_stand_on_the_axis_of_their_unit(trial: Report) -> None:
    found = values(trial)
    said = "IVIG \N{MINUS SIGN} Placebo"
    response = "Response at week 16, no confirmed deterioration before (primary), week 16"
    assert found[(response, said)] == ("percentage points", "95", "34.9734", "15.4540", "50.9895")
    assert found[("MMT-8, week 0 to week 16", said)][0] == "points"
    assert len([line for _, line in found if line == f"{said}, major"]) == 1  # of three intervals the first


@pytest.mark.filterwarnings("error")
def test_the_better_direction_is_that_of_the_measure() -> None:
    crossed, _ = make_report(SAMPLE.parent / "after_miyasaka2012")
    (figure,) = (figure for figure in crossed.figures if figure.name == "differences")
    texts = [one.text or "" for one in ElementTree.fromstring(figure.drawing).iter(SVG + "text")]
    enzyme = texts.index("Creatine kinase, week 0 to week 16")
    assert "better \N{RIGHTWARDS ARROW}" in texts[:enzyme]
    assert texts[enzyme:].count("\N{LEFTWARDS ARROW} better") == 1
    assert values(crossed)[("Creatine kinase, week 0 to week 16", "effect of treatment")][0] == "U/L"
