"""Results on their way out: traced to each value, as CSV, JSON and FHIR, and faults told before there is a row."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from fhir.resources.measure import Measure as MeasureR5
from fhir.resources.measurereport import MeasureReport as MeasureReportR5
from fhir.resources.R4B.measure import Measure as MeasureR4
from fhir.resources.R4B.measurereport import MeasureReport as MeasureReportR4
from small_study import SAMPLE, STUDY, sample, tables

from fhir_ivig.answers import answer, check_endpoints, trace_endpoint, write_records
from fhir_ivig.cli import main
from fhir_ivig.cli.results import results_table
from fhir_ivig.endpoints.compute import compute
from fhir_ivig.endpoints.fingerprint import fingerprint
from fhir_ivig.endpoints.measure_report import to_fhir
from fhir_ivig.endpoints.result import Result as Record
from fhir_ivig.endpoints.trace import trace
from fhir_ivig.report.words import interval
from fhir_ivig.study.study import Study

CHANGE = {"kind": "paired_change", "population": "treated", "measure": "MMT", "from": "base", "to": "end"}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def copied(folder: Path, old: str = "", new: str = "", file: str = "study.yaml") -> Path:
    """The sample study with one text in a file replaced."""
    study = folder / "study"
    shutil.copytree(SAMPLE, study)
    text = (study / file).read_text("utf-8")
    assert old in text
    (study / file).write_text(text.replace(old, new, 1), "utf-8")
    return study


def test_trace_of_a_change() -> None:
    rows = (
        "A,base,2001-06-10,MMT,,60,score,100,\nA,base,2001-06-12,MMT,,62,score,100,\n"
        "A,end,2001-09-07,MMT,,70.0,score,100,\nB,base,2001-12-30,MMT,,50,score,100,\nC,end,2002-03-01,MMT,,5,score,,"
    )
    asked = STUDY | {"endpoints": {"it": CHANGE | {"missing": "locf", "population": "everyone"}}}
    asked["measures"] = {"MMT": STUDY["measures"]["MMT"] | {"several": "mean"}}
    behind = {"assessments": ["O/1", "O/2", "O/3/_history/4", "O/4", None]}
    used, issues = trace(asked, tables(assessments=rows), behind, {"assessments": [2, 3, 5, 6, 7]}, "it")
    assert issues == []
    found = [
        (u.subject, u.visit, u.value, u.number, u.row, u.resource, u.rule, u.imputed, u.baseline, u.used, u.why)
        for u in used
        if u.what == "MMT"
    ]
    two = "assessments.csv:2;assessments.csv:3"
    assert found == [
        ("A", "base", "60;62", "61", two, "O/1;O/2", "mean of 2", False, True, "yes", None),
        ("A", "end", "70.0", None, "assessments.csv:5", "O/3/_history/4", None, False, False, "yes", None),
        ("B", "base", "50", None, "assessments.csv:6", "O/4", None, False, True, "yes", None),
        ("B", "end", "50", None, "assessments.csv:6", "O/4", "locf from base", True, False, "yes", None),
        ("C", "base", None, None, None, None, None, False, False, "no", "no row at base"),
        ("C", "end", "5", None, "assessments.csv:7", None, None, False, False, "no", "no row at base"),
    ]


def test_trace_of_rows_that_are_no_readings() -> None:
    study, found = sample()
    used, _ = trace(study, found, None, None, "exposure")
    doses = [one for one in used if one.what == "infusions"]
    assert len(doses) == 74
    assert doses[0].row == "infusions.csv:2"
    assert "dose " in (doses[0].value or "")
    assert {one.used for one in used} == {"read"}


def test_trace_of_a_family_lists_its_statistics_and_what_their_endpoints_read() -> None:
    crossed = SAMPLE.parent / "after_miyasaka2012"
    used, issues = trace_endpoint(crossed, "confirmatory")
    assert issues == []
    family = [one for one in used if not one.subject]
    assert [one.what for one in family] == ["strength.treatment", "enzyme.treatment", "function.treatment"]
    results = {r.statistic: r for r in answer(crossed).results if r.endpoint == "confirmatory"}
    assert [one.value for one in family] == [str(results[one.what].estimate) for one in family]
    adjusted = "p adjusted for 3 tests, fixed sequence"
    assert [one.rule for one in family] == [f"{adjusted}: {results[one.what].p:.4g}" for one in family]
    assert {one.what for one in used if one.subject} == {"MMT", "CK", "ADL"}
    of_one, issues = trace_endpoint(crossed, "strength")
    assert issues == []
    assert {one.what for one in of_one} == {"MMT"}


def test_trace_of_a_family_that_is_none() -> None:
    for family in ("holm", {"method": "holm"}, {"method": "holm", "statistics": ["it.p", 3]}):
        asked = STUDY | {"endpoints": {"it": CHANGE}, "multiplicity": {"both": family}}
        used, issues = trace(asked, tables(), None, None, "both")
        assert {issue.path for issue in issues} <= {"multiplicity.both", "multiplicity.both.statistics"}
        assert issues
        assert not [one for one in used if not one.subject]


def test_what_was_pulled_is_traced_to_its_version(tmp_path: Path) -> None:
    assert run("push", SAMPLE, "--to", tmp_path / "box", "--journal", tmp_path / "journal").exit_code == 0
    held = tmp_path / "box" / "Observation.ndjson"
    lines = [json.loads(line) for line in held.read_text("utf-8").splitlines()]
    versions = {f"Observation/{one['id']}": f"Observation/{one['id']}/_history/{n}" for n, one in enumerate(lines)}
    said = [json.dumps(one | {"meta": {"versionId": str(n)}}) + "\n" for n, one in enumerate(lines)]
    held.write_text("".join(said), "utf-8")
    assert run("pull", SAMPLE, "--from", tmp_path / "box", "--out", tmp_path / "cohort").exit_code == 0
    used, _ = trace_endpoint(tmp_path / "cohort", "ck")
    assert len(used) == 16
    assert {one.resource for one in used} <= set(versions.values())
    assert run("endpoints", tmp_path / "cohort", "--fhir", tmp_path / "fhir").exit_code == 0
    every = (json.loads(line) for line in (tmp_path / "fhir/MeasureReport.ndjson").read_text().splitlines())
    (report,) = (one for one in every if one["measure"].endswith("/ck"))
    evaluated = {each["reference"] for each in report["evaluatedResource"]}
    assert evaluated == {one.resource for one in used}


def test_every_result_names_its_inputs() -> None:
    study, found = sample()
    results, _ = compute(study, found)
    again, _ = compute(study, {name: pa.concat_tables([t.slice(0, 5), t.slice(5)]) for name, t in found.items()})
    assert [r.inputs for r in again] == [r.inputs for r in results]
    by_name = {r.endpoint: r.inputs for r in results}
    assert [text.split()[0] for text in by_name["ck"]] == ["assessments", "dispositions"]
    assert all(re.fullmatch(r"[a-z_]+ sha256:[0-9a-f]{64}", text) for inputs in by_name.values() for text in inputs)
    cells = found["assessments"]["value"].to_pylist()
    for changed in (["1", *cells[1:]], [cells[1], cells[0], *cells[2:]], [None, *cells[1:]]):
        place = found["assessments"].schema.get_field_index("value")
        other = found["assessments"].set_column(place, "value", pa.array(changed, pa.string()))
        assert {r.endpoint: r.inputs for r in compute(study, found | {"assessments": other})[0]}["ck"] != by_name[
            "ck"
        ]


def test_a_fingerprint_tells_where_cells_end() -> None:
    texts = (["ab", "c"], ["a", "bc"], ["abc", ""], ["abc", None], [None, "abc"], ["abc"])
    prints = {fingerprint(pa.table({"x": pa.array(cells, pa.string())})) for cells in texts}
    assert len(prints | {fingerprint(pa.table({"y": pa.array(["ab", "c"], pa.string())}))}) == 7


@pytest.mark.parametrize(
    ("version", "measure", "report"), [("R4", MeasureR4, MeasureReportR4), ("R5", MeasureR5, MeasureReportR5)]
)
def test_fhir_is_valid(version: str, measure: Any, report: Any) -> None:
    study, found = sample()
    rows = found["assessments"].num_rows
    results, _ = compute(study, found, {"assessments": [f"Observation/{n}" for n in range(rows)]})
    for period in (("1998-01-01", "2001-04-04"), None):
        resources = list(to_fhir(results, study["base"], version, period))
        assert [r["resourceType"] for r in resources] == ["Measure", "MeasureReport"] * len(study["endpoints"])
        for one in resources:
            (measure if one["resourceType"] == "Measure" else report).model_validate_json(
                json.dumps(one, default=float)
            )
    ck = next(r for r in resources if r["resourceType"] == "MeasureReport" and r["measure"].endswith("/ck"))
    score = "measureScoreQuantity" if version == "R5" else "measureScore"
    groups = {group["code"]["text"]: group for group in ck["group"]}
    difference = groups["mean_difference, week 0 to week 12"]
    assert difference[score]["code"] == "U/L"
    assert [each["count"] for each in difference["population"]] == [8, 0]
    assert groups["mean_difference, week 0 to week 12, p, two-sided"][score]["value"] < 0.05
    assert len(ck["evaluatedResource"]) == 16
    assert "exact with ties" in ck["text"]["div"]


def test_fhir_of_what_cannot_be_told_and_of_hostile_words() -> None:
    study = STUDY | {"endpoints": {"<b>": CHANGE | {"label": "<script>", "population": "nobody"}}}
    results, _ = compute(study, tables())
    measure, report = to_fhir(results, "urn:oid:1.2", "R4", None)
    assert report["status"] == "error"
    assert not any("measureScore" in group for group in report["group"])
    assert "&lt;script&gt;" in report["text"]["div"]
    assert measure["url"] == report["measure"] == "urn:oid:1.2:endpoint:<b>"
    assert measure["name"] == "Endpoint__b_"
    MeasureReportR4.model_validate_json(json.dumps(report))


def test_no_cell_of_records_is_a_formula(tmp_path: Path) -> None:
    write_records([{"value": "=1+1", "low": -2.5, "p": None, "warnings": ["one", 'two, "2"']}], tmp_path / "r.csv")
    assert (tmp_path / "r.csv").read_text("utf-8") == 'value,low,p,warnings\n\'=1+1,-2.5,,"one; two, ""2"""\n'


def test_command_writes_files(tmp_path: Path) -> None:
    done = run("endpoints", SAMPLE, "--out", tmp_path / "r.csv", "--fhir", tmp_path / "fhir")
    assert done.exit_code == 0
    with (tmp_path / "r.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = answer(SAMPLE).results
    assert [(row["endpoint"], row["statistic"]) for row in rows] == [(r.endpoint, r.statistic) for r in found]
    assert rows[0]["estimate"] == "12.0"
    assert (tmp_path / "r.csv").stat().st_mode & 0o777 == 0o600
    assert len((tmp_path / "fhir" / "MeasureReport.ndjson").read_text().splitlines()) == 14
    assert run("endpoints", SAMPLE, "--out", tmp_path / "r.json", "--fhir", tmp_path / "fhir").exit_code == 0
    assert len(json.loads((tmp_path / "r.json").read_text("utf-8"))) == len(rows)
    assert run("endpoints", SAMPLE, "--out", tmp_path / "r.txt").exit_code == 3
    traced = run("endpoints", SAMPLE, "--trace", "ck")
    assert traced.stdout.splitlines()[1].split()[:4] == ["HARA-01", "CK", "week", "0"]
    as_json = json.loads(run("endpoints", SAMPLE, "--trace", "ck", "--json").stdout)
    assert len(as_json) == len(trace_endpoint(SAMPLE, "ck")[0]) == 16
    none = run("endpoints", SAMPLE, "--trace", "kc")
    assert none.exit_code == 1
    assert "no endpoint `kc`" in none.stderr
    assert run("endpoints", SAMPLE, "--trace", "ck", "--fhir", tmp_path / "x").exit_code == 2


def test_an_interval_without_an_upper_end_says_so() -> None:
    one = Record(statistic="median", estimate=Decimal(114), low=Decimal(90), unit="d")
    assert "114 d  from 90" in results_table([one])
    assert "114 d  90 to 120" in results_table([replace(one, high=Decimal(120))])
    assert interval(one) == "from 90"


def test_row_numbers_where_a_row_was_left_out(tmp_path: Path) -> None:
    study = copied(tmp_path, "HARA-01,screening,", "HARA-01,screaming,", "assessments.csv")
    used, issues = trace_endpoint(study, "ck")
    assert [issue.row for issue in issues] == [2]
    assert used[0].row == "assessments.csv:3"
    assert used[0].value == "2410"


FAULTS = [
    ("kind: responders", "kind: responder", "endpoints.improved.kind", "`responder` is no kind"),
    ("at: week 12", "at: week 13", "endpoints.improved.at", "no visit `week 13`"),
    ("dose_above: '50'", "dose_above: fifty", "endpoints.resistance.dose_above", "is not a number"),
    ("of: analysed", "of: analyzed", "populations.improved.of", "No population `analyzed`"),
    ("table: dispositions", "table: disposition", "populations.analysed", "there is no table disposition"),
    ("{analysed: 'yes'}", "{analyzed: 'yes'}", "populations.analysed", "no column analyzed"),
    ("[completed, stopped]", "[completed, stoped]", "populations.treated", "`stoped` never stands in column status"),
    (
        "visit: week 12, value",
        "visit: week 13, value",
        "populations.improved",
        "`week 13` never stands in column visit",
    ),
    ("measure: physician, visit", "measure: doctor, visit", "populations.improved", "`doctor` never stands"),
]


@pytest.mark.parametrize(("old", "new", "place", "text"), FAULTS, ids=[fault[2] + fault[1][:9] for fault in FAULTS])
def test_check_finds_faults_without_a_row(tmp_path: Path, old: str, new: str, place: str, text: str) -> None:
    study = copied(tmp_path, old, new)
    for table in study.glob("*.csv"):
        table.unlink()
    issues = check_endpoints(Study.load(study / "study.yaml"))
    assert any(issue.place == f"study.yaml ({place})" and text in issue.text for issue in issues), issues


def test_check_says_it(tmp_path: Path) -> None:
    assert check_endpoints(Study.load(SAMPLE / "study.yaml")) == []
    done = run("check", copied(tmp_path, "kind: responders", "kind: responder"))
    assert done.exit_code == 1
    assert "is no kind of endpoint" in done.stderr
