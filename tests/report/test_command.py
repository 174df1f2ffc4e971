"""fhir-ivig report as it is called: files, exit codes, and what is said when something is not there."""

from __future__ import annotations

import csv
import json
import struct
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from many import SAMPLE, multiply

from fhir_ivig.cli import main
from fhir_ivig.report import render
from fhir_ivig.report.page import Report
from fhir_ivig.reporting import make_report


def call(*words: object) -> Result:
    return CliRunner().invoke(main, ["report", *map(str, words)])


def change(study: Path, **given: Any) -> None:
    """Set parts of a study file; None takes one out."""
    file = study / "study.yaml"
    known = {**yaml.load(file.read_text("utf-8"), yaml.BaseLoader), **given}
    file.write_text(yaml.safe_dump({key: value for key, value in known.items() if value is not None}), "utf-8")


def test_figures_are_written_with_their_values(tmp_path: Path, made: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "_png_writer", lambda: None)
    for _ in range(2):  # a folder of ours is replaced
        done = call(SAMPLE, "--out", tmp_path / "report.html", "--figures", tmp_path / "figures", "--json")
        assert done.exit_code == 0
    said = json.loads(done.stdout)
    assert said["figures"] == len(made.figures)
    assert [issue["text"] for issue in said["issues"]] == [render.NO_PNG]
    assert {file.name for file in (tmp_path / "figures").iterdir()} == {
        "manifest.json",
        *(f"{figure.name}.{ending}" for figure in made.figures for ending in ("svg", "csv")),
    }
    with (tmp_path / "figures/slopes-mmt.csv").open(encoding="utf-8", newline="") as file:
        changes = [float(row["Change"]) for row in csv.DictReader(file)]
    assert sum(changes) / len(changes) == 14
    assert (tmp_path / "report.html").stat().st_mode & 0o777 == 0o600


def test_a_figure_becomes_a_png_of_twice_its_size(tmp_path: Path, made: Report) -> None:
    draw = render._png_writer()
    if draw is None:
        pytest.skip("missing: cairosvg or chromium")
    flow = made.figures[0]
    (tmp_path / "flow.svg").write_text(flow.drawing, "utf-8")
    draw(tmp_path / "flow.svg", tmp_path / "flow.png")
    head = (tmp_path / "flow.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:])[0] == 2 * 680


@pytest.mark.parametrize("without", ["", "weasyprint"], ids=["weasyprint", "chromium"])
def test_pdf(made: Report, monkeypatch: pytest.MonkeyPatch, without: str) -> None:
    found = render.find_spec
    monkeypatch.setattr(render, "find_spec", lambda name: None if name == without else found(name))
    if not (render.find_spec("weasyprint") or render._browser()):
        pytest.skip("missing: weasyprint or chromium")
    pdf = render.to_pdf(made.html)
    assert pdf.startswith(b"%PDF-")
    assert len(pdf) > 50_000


def test_without_a_program_for_pdf_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "find_spec", lambda name: None)
    monkeypatch.setattr(render, "_browser", lambda: None)
    done = call(SAMPLE, "--out", tmp_path / "report.html", "--pdf", tmp_path / "report.pdf")
    assert done.exit_code == 3
    assert 'pip install "fhir-ivig[pdf]"' in done.stderr
    assert (tmp_path / "report.html").exists()
    assert not (tmp_path / "report.pdf").exists()


def test_what_was_pulled_is_traced_to_its_resources(tmp_path: Path) -> None:
    runner = CliRunner()
    for words in (["push", SAMPLE, "--to", tmp_path / "box"], ["pull", SAMPLE, "--from", tmp_path / "box"]):
        words += ["--out", tmp_path / "cohort"] if words[0] == "pull" else ["--journal", tmp_path / "journal"]
        assert runner.invoke(main, [*map(str, words)]).exit_code == 0
    made, issues = make_report(tmp_path / "cohort")
    assert issues == []
    assert "Pulled from" in made.html
    assert ", complete." in made.html
    traced = {row[-1].partition("/")[0] for figure in made.figures for row in figure.values.rows if len(row) > 3}
    assert {"Observation", "MedicationStatement", "MedicationAdministration", "AdverseEvent"} <= traced | {
        figure.values.rows[-1][-1].partition("/")[0] for figure in made.figures
    }
    manifest = tmp_path / "cohort/manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text("utf-8")), "complete": False}), "utf-8")
    assert call(tmp_path / "cohort", "--out", tmp_path / "report.html").exit_code == 3
    assert call(tmp_path / "cohort", "--out", tmp_path / "report.html", "--incomplete").exit_code == 0
    assert "Not complete." in (tmp_path / "report.html").read_text("utf-8")


TABLES = ("subjects", "courses", "infusions", "assessments", "medications", "adverse_events", "dispositions")


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_a_table_that_is_not_there_is_no_traceback(study: Path, tmp_path: Path, table: str, how: str) -> None:
    if how == "absent":
        change(study, tables={name: {} for name in TABLES if name != table})
    else:
        head = (study / f"{table}.csv").read_text("utf-8").partition("\n")[0]
        (study / f"{table}.csv").write_text(head + "\n", "utf-8")
    done = call(study, "--out", tmp_path / "report.html")
    assert done.exit_code in (0, 1), done.stderr
    assert "fault of fhir-ivig" not in done.stderr
    assert "NaN" not in (tmp_path / "report.html").read_text("utf-8")


def test_a_file_that_is_not_there_is_said_and_the_rest_reported(study: Path, tmp_path: Path) -> None:
    (study / "medications.csv").unlink()
    done = call(study, "--out", tmp_path / "report.html")
    assert done.exit_code == 1
    assert "medications.csv: There is no such file" in done.stderr
    assert "Creatine kinase" in (tmp_path / "report.html").read_text("utf-8")


def test_an_upper_limit_of_normal_of_zero_is_not_drawn(study: Path, tmp_path: Path) -> None:
    file = study / "assessments.csv"
    file.write_text(file.read_text("utf-8").replace(",U/L,190,", ",U/L,0,"), "utf-8")
    done = call(study, "--out", tmp_path / "report.html")
    assert (done.exit_code, "figures" in done.stderr + done.output) == (0, True)


def test_a_day_at_the_end_of_the_calendar_is_no_traceback(study: Path, tmp_path: Path) -> None:
    file = study / "infusions.csv"
    file.write_text(file.read_text("utf-8").replace("1998-06-08T", "9999-12-31T"), "utf-8")
    done = call(study, "--out", tmp_path / "report.html")
    assert done.exit_code == 1
    assert "`9999-12-31T09:45:00+09:00` is not a date" in done.stderr


@pytest.mark.parametrize("part", ["endpoints", "populations", "measures", "visits", "references"])
def test_a_study_without_a_part_is_no_traceback(study: Path, tmp_path: Path, part: str) -> None:
    change(study, **{part: None})
    done = call(study, "--out", tmp_path / "report.html")
    assert "fault of fhir-ivig" not in done.stderr


@pytest.mark.parametrize("subjects", [1, 2])
def test_one_or_two_subjects_are_no_traceback(tmp_path: Path, subjects: int) -> None:
    multiply(SAMPLE, tmp_path / "few", subjects)
    done = call(tmp_path / "few", "--out", tmp_path / "report.html")
    assert done.exit_code == 1  # the paper counts dermatomyositis, and these subjects have none
    assert "fault of fhir-ivig" not in done.stderr


def test_ten_thousand_subjects(tmp_path: Path, opened: Any) -> None:
    multiply(SAMPLE, tmp_path / "many", 10_000)
    made, _ = make_report(tmp_path / "many")
    assert len(made.html.encode()) < 10_000_000
    assert "40 of 6,667 subjects" in made.html
    assert "30 of 10,000 subjects" in made.html
    [swimmer] = [figure for figure in made.figures if figure.name == "swimmer"]
    assert len(swimmer.values.rows) > 20_000
    page = opened(made.html)
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    assert page.evaluate("scrollY") > 1000
