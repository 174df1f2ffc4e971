"""A patient's or study's text never becomes markup, a script, or a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from sample_study import edit

from fhir_ivig.report.figures import svg
from fhir_ivig.report.page import Report
from fhir_ivig.report.sheet import to_csv
from fhir_ivig.reporting import make_report

EVIL = "</script></svg></title>--><img src=x onerror=alert(1)>\"'&{{7*7}}"
FREE = {  # the text columns of each table; all others are codes, which the study's own check refuses
    "infusions": ("product", "lot"),
    "adverse_events": ("term",),
    "dispositions": ("reason",),
    "assessments": ("measure", "visit", "unit", "subject"),
    "subjects": ("subject",),
}


def poison(file: Path, columns: tuple[str, ...]) -> None:
    """Write something evil behind every filled cell of these columns."""
    edit(file, lambda rows: [{k: v + EVIL if k in columns and v else v for k, v in row.items()} for row in rows])


def hostile(value: Any) -> Any:
    """A study file whose names of measures and visits, labels, units and texts are evil."""
    given = {key: value[key] for key in value}
    given["title"] += EVIL
    given["visits"] = [{**visit, "visit": visit["visit"] + EVIL} for visit in value["visits"]]
    given["measures"] = {
        name + EVIL: {key: cell + EVIL if key in ("label", "unit") else cell for key, cell in measure.items()}
        for name, measure in value["measures"].items()
    }
    for part in ("populations", "endpoints"):
        given[part] = {
            name + EVIL: {**entry, **({"label": entry["label"] + EVIL} if "label" in entry else {})}
            for name, entry in value[part].items()
        }
    for entry in [*given["populations"].values(), *given["endpoints"].values()]:
        for key in ("population", "of", "responders", "measure", "weight", "from", "to", "at"):
            if key in entry:
                entry[key] += EVIL
        for key in {"measure", "visit"} & entry.get("where", {}).keys():
            entry["where"] = {**entry["where"], key: entry["where"][key] + EVIL}
    given["references"] = [{"text": EVIL, "doi": EVIL}]
    return given


@pytest.fixture
def evil(study: Path) -> Report:
    for table, columns in FREE.items():
        poison(study / f"{table}.csv", columns)
    for table in ("courses", "infusions", "medications", "adverse_events", "dispositions"):
        poison(study / f"{table}.csv", ("subject",))
    file = study / "study.yaml"
    file.write_text(
        yaml.safe_dump(hostile(yaml.load(file.read_text("utf-8"), yaml.BaseLoader)), width=10_000), "utf-8"
    )
    made, _ = make_report(study)
    return made


def test_no_text_becomes_markup(opened: Callable[..., Any], evil: Report) -> None:
    page = opened(evil.html)  # any alert, request or complaint of the browser fails the test
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 1
    assert page.locator("figure").count() == len(evil.figures) > 10
    assert EVIL in page.locator("h1").inner_text()
    assert EVIL in page.locator("#safety").inner_text()
    assert any(
        EVIL in tip for tip in page.locator("[data-tip]").evaluate_all("all => all.map(one => one.dataset.tip)")
    )


def test_every_figure_of_it_is_xml_and_has_a_name_fit_for_a_file(evil: Report) -> None:
    for figure in evil.figures:
        tree = ElementTree.fromstring(figure.drawing)
        assert {element.tag.rpartition("}")[2] for element in tree.iter()} <= {
            *("svg", "g", "title", "desc", "text", "rect", "circle", "line", "polyline", "polygon", "path"),
        }
        assert all(letter.isalnum() or letter in "-_" for letter in figure.name)


def test_what_xml_forbids_is_replaced() -> None:
    drawn = svg.text((0, 0), "a\x00b\x1b\ufffe\ud800")
    assert ElementTree.fromstring(drawn).text == "a\ufffdb\ufffd\ufffd\ufffd"


@pytest.mark.parametrize(
    "cell", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-1_0", "- 1", "＝1"]
)
def test_no_cell_is_a_formula(cell: str) -> None:
    [[found]] = list(csv.reader(io.StringIO(to_csv((), [(cell,)]), newline="")))[1:]
    assert found == f"'{cell}"


@pytest.mark.parametrize("cell", ["-2.50", "+2", "-1.5E-05", "1e5", "HARA-01", "", "12"])
def test_numbers_and_words_stay_as_they_are(cell: str) -> None:
    assert to_csv(("a", "b"), [("x", cell)]) == f"a,b\nx,{cell}\n"
