"""Tables back into the shape of their files: cases, and the two laws."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from fhir_ivig.datasets.refilling import write_like
from fhir_ivig.issue import Issue
from fhir_ivig.study.study import Study
from fhir_ivig.study.tables import read_table
from fhir_ivig.study.writing import read_written
from fhir_ivig.sync.refill import write_sources

CASES = yaml.safe_load((Path(__file__).parent / "returning.yaml").read_text("utf-8"))
BASE = {
    "study": "try",
    "title": "A trial for trying",
    "status": "active",
    "base": "https://example.org/try",
    "fhir_version": "R4",
    "visits": [{"visit": "week 0", "day": "0"}, {"visit": "week 4", "day": "28"}],
    "measures": {
        "CK": {"label": "Creatine kinase", "unit": "U/L"},
        "MMT": {"label": "Manual muscle test", "unit": "score", "scale_max": "100"},
        "physician": {"label": "Physician's assessment"},
    },
}


def study_of(folder: Path, tables: dict[str, Any]) -> Study:
    folder.mkdir(exist_ok=True)
    said = json.loads(json.dumps({**BASE, "tables": tables}))  # without aliases
    (folder / "study.yaml").write_text(yaml.safe_dump(said, sort_keys=False))
    return Study.load(folder / "study.yaml")


def full(study: Study, table: str, rows: pa.Table) -> pa.Table:
    """With all columns of the dictionary."""
    empty = pa.nulls(len(rows), pa.string())
    return pa.table(
        {name: rows[name] if name in rows.column_names else empty for name in study.dictionary[table].columns}
    )


def read(study: Study) -> tuple[dict[str, pa.Table], list[Issue]]:
    tables, issues = {}, []
    for name in study.tables:
        blocks = list(read_table(study, name))
        issues += [issue for block in blocks for issue in block.issues]
        schema = pa.schema([(column, pa.string()) for column in study.dictionary[name].columns])
        tables[name] = pa.Table.from_batches([block.batch for block in blocks], schema)
    return tables, issues


def rows(table: pa.Table) -> list[tuple[str, ...]]:
    return sorted(tuple(cell or "" for cell in row.values()) for row in table.to_pylist())


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case: dict[str, Any], tmp_path: Path) -> None:
    study = study_of(tmp_path / "study", case["tables"])
    for name, text in case.get("header", {}).items():
        (study.folder / name).write_text(text)
    tables = {}
    for name, text in case["given"].items():
        (tmp_path / "table.csv").write_text(text)
        tables[name] = full(study, name, read_written(tmp_path / "table.csv"))
    (tmp_path / "out").mkdir()
    issues = list(write_sources(study, tables, tmp_path / "out", write_like))
    for name, text in case.get("files", {}).items():
        assert (tmp_path / "out" / name).read_text() == text
    wanted = case.get("issues", [])
    assert len(issues) == len(wanted), issues
    for issue, each in zip(issues, wanted, strict=True):
        place = (each.get("severity", "error"), each["code"], each["file"], each.get("row"), each.get("column"))
        assert (issue.severity, issue.code, issue.file, issue.row, issue.column) == place, issues
        assert each["has"] in issue.text


def test_a_workbook_keeps_the_names_and_order_of_its_sheets(tmp_path: Path) -> None:
    book = Workbook()
    book.active.title = "Legend"
    for title, lines in (("State", [["subject", "status"]]), ("Who", [["The trial"], ["subject"]])):
        sheet = book.create_sheet(title)
        for line in lines:
            sheet.append(line)
    parts = {"subjects": {"sheet": "Who", "header": 2}, "dispositions": {"sheet": "State"}}
    study = study_of(tmp_path / "study", {name: {"file": "a.xlsm", **part} for name, part in parts.items()})
    book.save(study.folder / "a.xlsm")
    cells = {"subjects": {"subject": ["S1"]}, "dispositions": {"subject": ["S1"], "status": ["on-study"]}}
    tables = {name: full(study, name, pa.table(columns)) for name, columns in cells.items()}
    (tmp_path / "out").mkdir()
    issues = list(write_sources(study, tables, tmp_path / "out", write_like))
    assert {issue.severity for issue in issues} == {"warning"}
    assert [(issue.file, issue.text.partition(":")[0].partition(".")[0]) for issue in issues] == [
        ("a.xlsm", "It is written without its macros"),
        ("[a.xlsm]Who", "What stands above the header is not in it"),
        ("a.xlsm", "Sheets that no table is read from are not in it"),
    ]
    assert issues[2].text.endswith("Legend.")
    assert load_workbook(tmp_path / "out" / "a.xlsm").sheetnames == ["State", "Who"]


DAYS = st.dates().filter(lambda day: day.year > 1900).map(lambda day: day.isoformat())
DATES = st.one_of(DAYS, DAYS.map(lambda day: f"{day}T08:05:00+09:00"), st.just("2003-05"), st.just("2003"))
NUMBERS = st.decimals(0, 100, places=2).map(str) | st.integers(0, 100).map(str)
WORDS = st.text("abc ,;\"'\n.ä", min_size=1, max_size=6).filter(lambda text: text.strip())


@st.composite
def assessments(draw: st.DrawFn) -> pa.Table:
    """Any right rows, in the order of subject, visit and measure."""
    found = []
    for subject, visit, measure in product(("S1", "S 2", "S3"), ("week 0", "week 4"), BASE["measures"]):
        if not draw(st.booleans()):
            continue
        unit = {"CK": "U/L", "MMT": "score"}.get(measure)
        row = {"subject": subject, "visit": visit, "date": draw(DATES), "measure": measure}
        if draw(st.integers(0, 4)):
            scale = "100" if measure == "MMT" else None
            row |= {"value": draw(NUMBERS if unit else WORDS), "unit": unit, "scale_max": scale}
            row["sign"] = draw(st.sampled_from([None, "<", ">="]))
        else:
            row["missing_reason"] = draw(st.sampled_from(["not-performed", "unknown"]))
        found.append(row)
    names = (
        "subject",
        "visit",
        "date",
        "measure",
        "sign",
        "value",
        "unit",
        "upper_limit",
        "scale_max",
        "missing_reason",
    )
    return pa.table({name: pa.array([row.get(name) for row in found], pa.string()) for name in names})


WRITTEN = st.fixed_dictionaries(
    {},
    optional={
        "delimiter": st.sampled_from([";", "tab", "|"]),
        "decimal": st.sampled_from([",", "."]),
        "date_order": st.sampled_from(["DMY", "D.M.YYYY", "MM/DD/YYYY hh:mm", "YYYY-MM-DDThh:mm:ss"]),
        "zone": st.sampled_from(["+09:00", "Z"]),
        "encoding": st.sampled_from(["utf-16", "latin-1"]),
        "codes": st.just({"visit": {"v0": "week 0", "v4": "week 4"}, "sign": {"lt": "<"}}),
        "file": st.sampled_from(["a.csv", "a.parquet", "a.xlsx"]),
    },
)


def wide(how: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a subject, all cells beside each other."""
    leaves = [
        {
            "columns": {name: f"{visit} {measure} {name}" for name in ("date", "sign", "value", "missing_reason")},
            "constants": {
                "visit": visit,
                "measure": measure,
                **({"unit": said["unit"]} if "unit" in said else {}),
            },
        }
        for visit in ("week 0", "week 4")
        for measure, said in BASE["measures"].items()
    ]
    return [{**how, "columns": {"subject": "no"}, "rows": leaves}]


def parts(how: dict[str, Any]) -> list[dict[str, Any]]:
    """A file for each measure, without it, the unit of physician's words included."""
    where = how.get("file", "a.csv").partition(".")[2]
    return [
        {**how, "file": f"{measure}.{where}", "constants": {"measure": measure}, "columns": {"value": measure}}
        for measure in BASE["measures"]
    ]


def long(how: dict[str, Any]) -> list[dict[str, Any]]:
    """As the table is, with other names."""
    return [{**how, "columns": {"date": "Taken", "sign": "<>"}}]


LAWS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@LAWS
@given(assessments(), WRITTEN, st.sampled_from([wide, parts, long]))
def test_what_is_written_is_read_again(table: pa.Table, how: dict[str, Any], layout: Any) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        study = study_of(folder / "study", {"assessments": layout(how)})
        (folder / "out").mkdir()
        said = write_sources(study, {"assessments": table}, folder / "out", write_like)
        assert {issue.code for issue in said} <= {"security"}  # of texts that a spreadsheet would run
        again, issues = read(study_of(folder / "out", {"assessments": layout(how)}))
        assert [issue for issue in issues if issue.severity != "information"] == []
        assert rows(again["assessments"]) == rows(table)


CELLS = ("date", "sign", "value", "missing_reason")
DAY = st.sampled_from(["7.5.2003", "17.12.2003", "2003-05", "31.12.1999"])
VALUE = st.tuples(DAY, st.sampled_from(["", "kleiner"]), st.sampled_from(["612,60", "0", "99,5"]), st.just(""))
NONE = st.tuples(DAY, st.just(""), st.just(""), st.just("unknown"))
VISIT = st.one_of(VALUE, NONE, st.just(("", "", "", "")))


@LAWS
@given(st.lists(st.tuples(VISIT, VISIT).filter(lambda visits: any(map(any, visits))), min_size=1, max_size=5))
def test_what_is_read_is_written_again(found: list[tuple[tuple[str, ...], ...]]) -> None:
    how = {"file": "a.csv", "delimiter": ";", "decimal": ",", "date_order": "D.M.YYYY"}
    visits = [
        {"columns": {name: f"{visit} {name}" for name in CELLS}, "constants": {"visit": f"week {visit}"}}
        for visit in "04"
    ]
    part = {
        **how,
        "columns": {"subject": "no"},
        "constants": {"measure": "CK", "unit": "U/L"},
        "codes": {"sign": {"kleiner": "<"}},
        "rows": visits,
    }
    names = ["no", *(f"{visit} {name}" for visit in "04" for name in CELLS)]
    with TemporaryDirectory() as name:
        folder = Path(name)
        study = study_of(folder / "study", {"assessments": part})
        lines = [names, *([f"S{no}", *(cell for visit in row for cell in visit)] for no, row in enumerate(found))]
        (study.folder / "a.csv").write_text("".join(f"{';'.join(line)}\n" for line in lines))
        tables, issues = read(study)
        assert issues == []
        (folder / "out").mkdir()
        assert list(write_sources(study, tables, folder / "out", write_like)) == []
        assert (folder / "out" / "a.csv").read_text() == (study.folder / "a.csv").read_text()
