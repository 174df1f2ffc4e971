"""The report's page: what is on it, and that no text of a study or patient becomes markup."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from fhir_ivig.issue import failed
from fhir_ivig.report import words
from fhir_ivig.reporting import make_report

SAMPLE = Path(__file__).parents[2] / "sample_bundles/hara2003"


def test_sample_has_each_published_figure_beside_ours() -> None:
    made, issues = make_report(SAMPLE)
    assert issues == []
    assert made.html.count('<td><span class="mark equal">equal</span></td>') == 24
    assert made.html.count('<td><span class="mark differs">') == 0
    assert "doi:10.3109/s10165-003-0250-9" in made.html


def test_sample_has_every_figure() -> None:
    made, _ = make_report(SAMPLE)
    measures = ["CK", "MMT", "ADL", "fatigue", "pain"]
    assert sorted(figure.name for figure in made.figures) == sorted(
        [
            "flow",
            "forest",
            "percents",
            "responders-improved",
            "swimmer",
            "doses-prednisolone",
            "lines-weight",
            *(f"lines-{measure}" for measure in measures),
            *(f"slopes-{measure.lower()}" for measure in measures),
        ]
    )
    for figure in made.figures:
        assert ElementTree.fromstring(figure.drawing).findtext("{http://www.w3.org/2000/svg}desc")
        assert figure.values.rows
        assert all(len(row) == len(figure.values.heads) for row in figure.values.rows)


@pytest.mark.parametrize("name", ["after_miyasaka2012", "after_proderm2022"])
def test_other_studies_have_a_report_without_a_word_of_python(name: str) -> None:
    made, issues = make_report(SAMPLE.parent / name)
    assert not failed(issues)
    assert "not drawn" not in "".join(figure.note for figure in made.figures if figure.name.startswith("lines"))
    named = {figure.name for figure in made.figures}
    assert {"flow", "swimmer", "lines-CK", "lines-MMT", "differences"} <= named
    assert 'class="mark differs"' not in made.html.replace('<span class="mark differs">differs</span> it is', "")


def test_the_reasons_that_the_sample_gives_have_room_in_the_flow() -> None:
    made, _ = make_report(SAMPLE)
    [flow] = [figure for figure in made.figures if figure.name == "flow"]
    assert "1  Moved to another hospital, no visit after week 4<" in flow.drawing


def test_a_change_has_one_interval_on_the_page() -> None:
    """What is drawn in standard deviations is the effect size of the table, turned so that better is positive."""
    made, _ = make_report(SAMPLE)
    [forest] = [figure for figure in made.figures if figure.name == "forest"]
    drawn = {row[0]: [f"{float(cell):.2f}" for cell in row[2:5]] for row in forest.values.rows}
    assert drawn["Manual muscle test total"] == ["1.84", "0.65", "2.99"]
    assert drawn["Creatine kinase"] == ["1.09", "0.17", "1.95"]
    for shown in ("0.65 to 2.99", "−1.95 to −0.17"):
        assert f">{shown}<" in made.html


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("median_from", "Median before"),
        ("minimal_difference_wald", "Minimal response: Difference (Wald)"),
        ("moderate", "Moderate response"),
        ("min_dose", "Least dose"),
        ("max", "Greatest"),
        ("causality -", "Causality: not stated"),
        ("within_tolerance", "Within tolerance"),
    ],
)
def test_a_statistic_is_named_in_words(name: str, said: str) -> None:
    assert words.statistic(name) == said


@pytest.mark.parametrize(
    ("code", "one", "said"),
    [("courses", True, "course"), ("courses", False, "courses"), ("a", True, "years"), ("mg/d", True, "mg/day")],
)
def test_a_unit_is_read_out(code: str, one: bool, said: str) -> None:
    assert words.unit(code, one) == said
