"""SDTM-shaped data sets of the samples: rows by hand, the laws of study days, what formats allow, files read back."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyreadstat
import pytest
import yaml
from datasets.read_back import READ
from datasets.shapes import BUNDLES, STUDIES, rows, sample, shape
from hypothesis import given
from hypothesis import strategies as st
from sample_study import copied

from fhir_ivig.datasets.dataset import Dataset
from fhir_ivig.datasets.declared import FORMS, Declared, declarations
from fhir_ivig.datasets.deriving import _FORMS
from fhir_ivig.datasets.output import KINDS, converted, write_own
from fhir_ivig.datasets.sas_names import sas_names
from fhir_ivig.datasets.subjects import planned_day, study_day
from fhir_ivig.issue import IssueError
from fhir_ivig.study.dictionary import dictionary
from fhir_ivig.study.study import Study
from fhir_ivig.study.tables import read_table
from fhir_ivig.sync.export import export
from fhir_ivig.sync.tabulate import tabulate
from fhir_ivig.yamltext import load, plain

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "sdtm.yaml").read_text("utf-8"))
BACK = (Path(__file__).parent / "sdtm_back.yaml").read_text("utf-8")
STANDARDS = ("sdtm", "adam")
ORIGINS = ("Assigned", "Collected", "Derived", "Predecessor", "Protocol")  # of Define-XML 2.1
COPIED = {("ADSL", "SITEID"): "Predecessor: DM.SITEID", ("ADLB", "SITEID"): "Predecessor: ADSL.SITEID"}
NUMERIC = ("integer", "decimal")
DECLARED = [(one.name, each) for standard in STANDARDS for one in declarations(standard) for each in one.variables]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['dataset']} {case['where']}")
def test_a_row_is(case: dict[str, Any]) -> None:
    found = rows(sample("hara2003", "sdtm")[case["dataset"]], **case["where"])[0]
    assert {name: found[name] for name in case["cells"]} == case["cells"]


def test_there_is_a_row_for_each() -> None:
    found = {name: one.dataset.table.num_rows for name, one in sample("hara2003", "sdtm").items()}
    assert found == {"DM": 12, "EX": 74, "CM": 68, "AE": 2, "DS": 12, "LB": 55, "VS": 20, "QS": 260}
    assert sum(found[name] for name in ("LB", "VS", "QS")) == 335  # every assessment stands in one of them


DAYS = st.dates(date(1900, 1, 1), date(2100, 1, 1))


@given(DAYS, st.integers(-5000, 5000))
def test_there_is_no_study_day_0(start: date, since: int) -> None:
    day = study_day((start + timedelta(since)).isoformat(), start)
    assert day != 0
    assert day == (since if since < 0 else since + 1) == planned_day(since)


@given(DAYS, DAYS)
def test_the_next_day_is_the_next_study_day(start: date, day: date) -> None:
    one, other = (study_day((day + timedelta(more)).isoformat(), start) for more in (0, 1))
    assert (one, other) == (-1, 1) or other == (one or 0) + 1


@pytest.mark.parametrize("text", [None, "1998", "1998-06", "soon", "9999-12-31"])
def test_what_is_not_known_to_the_day_has_no_study_day(text: str | None) -> None:
    assert study_day(text, date(1998, 6, 8)) is None
    assert study_day("1998-06-08", None) is None


def test_a_day_is_the_one_written() -> None:
    assert study_day("1998-06-08T23:30:00+09:00", date(1998, 6, 8)) == 1  # another day in Greenwich


def test_every_form_is_explained() -> None:
    assert set(FORMS) == set(_FORMS)


@pytest.mark.parametrize(
    ("name", "declared"), DECLARED, ids=[f"{name}.{one.variable.name}" for name, one in DECLARED]
)
def test_a_variable_fits_every_format(name: str, declared: Declared) -> None:
    variable = declared.variable
    assert list(sas_names([variable.name]).values()) == [variable.name]
    assert 0 < len(variable.label) <= 40
    assert variable.label.isascii()
    assert all(len(code) <= 200 and code.isascii() for code in variable.codes)
    assert variable.origin.partition(":")[0] in ORIGINS
    assert variable.origin == COPIED.get((name, variable.name), variable.origin)


def test_findings_are_called_as_in_the_standard() -> None:
    said = yaml.safe_load((Path(__file__).parent / "labels.yaml").read_text("utf-8"))
    everywhere = said.pop("all")
    for domain, own in said.items():
        [one] = [one for one in declarations("sdtm") if one.name == domain]
        wanted = {name.replace("--", domain): tuple(each) for name, each in {**everywhere, **own}.items()}
        found = {
            each.variable.name: (each.variable.label, "Num" if each.variable.kind in NUMERIC else "Char")
            for each in one.variables
        }
        assert {name: found[name] for name in wanted} == wanted
        assert found.keys() - wanted.keys() == {"STUDYID", "DOMAIN", "USUBJID"}


@pytest.mark.parametrize("standard", STANDARDS)
def test_every_word_of_the_dictionary_has_its_code(standard: str) -> None:
    for one in declarations(standard):
        table = dictionary().get(one.table)
        for declared in one.variables if table else ():
            words = table.columns[declared.given].values if declared.codes and declared.form == "column" else ()
            left = set(one.where.get(declared.given, words)) if words else set()
            assert left <= set(declared.codes), declared.variable.name


@pytest.mark.parametrize("standard", STANDARDS)
@pytest.mark.parametrize("name", STUDIES)
def test_names_labels_and_keys(name: str, standard: str) -> None:
    for one in sample(name, standard).values():
        found = one.dataset
        names = [variable.name for variable in found.variables]
        assert names == found.table.column_names
        assert len(set(names)) == len(names)
        keys = [tuple(row[key] for key in found.keys) for row in found.table.to_pylist()]
        assert len(set(keys)) == len(keys)
        assert None not in {cell for key in keys for cell in key}
        for variable in found.variables:
            cells = set(found.table.column(variable.name).to_pylist()) - {None}
            assert not variable.codes or cells <= set(variable.codes)


def same(made: Dataset, folder: Path, kind: str) -> None:
    """A file holds the data set."""
    read = READ[kind](folder, made.name)
    if kind == "xpt":
        about = pyreadstat.read_xport(folder / f"{made.name}.xpt", metadataonly=True)[1]
        assert (about.table_name, about.file_label) == (made.name, made.label)
        assert about.column_names_to_labels == {variable.name: variable.label for variable in made.variables}
    assert list(read) == made.table.column_names
    for variable in made.variables:
        cells, back = made.table.column(variable.name).to_pylist(), read[variable.name]
        if kind == "xpt" and variable.kind in NUMERIC:
            assert [cell and Decimal(cell) for cell in back] == [cell and Decimal(cell) for cell in cells]
        else:
            assert back == cells


@pytest.mark.parametrize("standard", STANDARDS)
@pytest.mark.parametrize(
    ("name", "kind"),
    [("hara2003", kind) for kind in KINDS]
    + [(name, kind) for name in STUDIES[1:] for kind in ("xpt", "dataset-json")],
)
def test_files_come_back(name: str, kind: str, standard: str, tmp_path: Path) -> None:
    written = write_own(Study.load(BUNDLES / name / "study.yaml"), tmp_path / "out", kind, standard)
    assert written.complete
    placebo = {"sdtm": 1, "adam": 2}[standard] if name == "after_proderm2022" else 0  # nothing counts from infusions
    assert written.log.counts.keys() <= {"information", "warning"}
    assert written.log.counts["warning"] == placebo
    for dataset, one in sample(name, standard).items():
        same(one.dataset, tmp_path / "out", kind)
        assert written.rows[dataset] == one.dataset.table.num_rows


@pytest.mark.parametrize(
    ("kind", "suffix"), [("xpt", ".xpt"), ("dataset-json", ".json"), ("dataset-ndjson", ".ndjson"), ("csv", ".csv")]
)
def test_a_declaration_reads_them_again(kind: str, suffix: str, tmp_path: Path) -> None:
    """All but what SDTM has no place for: the course that was suspected, and in SAS the zeros at a number's end."""
    sample_study = Study.load(BUNDLES / "hara2003/study.yaml")
    write_own(sample_study, tmp_path, kind, "sdtm")
    said = plain(load(BUNDLES / "hara2003/study.yaml"))
    tables = yaml.safe_load(BACK.replace("{}", suffix))
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(json.loads(json.dumps({**said, "tables": tables}))), "utf-8")
    study = Study.load(tmp_path / "study.yaml")
    for table in tables:
        ours, again = (rows_of(one, table) for one in (sample_study, study))
        assert again == [{**row, "course": None} if table == "adverse_events" else row for row in ours]


def rows_of(study: Study, table: str) -> list[dict[str, str | None]]:
    """The rows of a table that is without a flaw, in an order of their own; numbers without zeros at their ends."""
    parts = list(read_table(study, table))
    assert [issue for part in parts for issue in part.issues] == []
    found = [row for part in parts for row in part.batch.to_pylist()]
    for row in found if table == "medications" else ():
        row["dose"] = str(Decimal(row["dose"]).normalize())
    for row in found if table == "adverse_events" else ():
        row["seriousness_criteria"] = row["seriousness_criteria"] and sorted(row["seriousness_criteria"].split(";"))
    return sorted(found, key=str)


@pytest.mark.parametrize("standard", STANDARDS)
def test_from_fhir_they_are_the_same_with_their_resources(standard: str, tmp_path: Path) -> None:
    study = Study.load(BUNDLES / "hara2003/study.yaml")
    export(study, tmp_path / "fhir")
    out = tmp_path / "out"
    found = tabulate([tmp_path / "fhir"], study, out, convert=converted(study, "dataset-json", standard))
    assert found.complete
    for name, one in sample("hara2003", standard).items():
        read = READ["dataset-json"](out, name)
        for variable in read.keys() - {"SRCRES"}:
            cells = one.dataset.table.column(variable).to_pylist()
            assert sorted(map(str, read[variable])) == sorted(map(str, cells))
        behind = (out / f"resources/{name}.csv").read_text().split("\n")[1:-1]
        assert len(behind) == one.dataset.table.num_rows
    kinds = {"LB": "Observation/", "EX": "MedicationAdministration/", "AE": "AdverseEvent/"}
    for name, kind in kinds.items() if standard == "sdtm" else ():
        assert all(line.startswith(kind) for line in (out / f"resources/{name}.csv").read_text().split("\n")[1:-1])
    assert {path.suffix for path in out.iterdir()} == {".json", ".html", ".ndjson", ""}


def altered(tmp_path: Path, old: str, new: str) -> Path:
    """The Hara sample with something else in its study.yaml."""
    folder = copied(tmp_path / "study")
    text = (folder / "study.yaml").read_text("utf-8")
    assert old in text
    (folder / "study.yaml").write_text(text.replace(old, new), "utf-8")
    return folder


def test_a_study_says_where_a_measure_stands(tmp_path: Path) -> None:
    old = "MMT: {label: Manual muscle test total,"
    made, _ = shape(altered(tmp_path, old, f"{old} sdtm: {{domain: MK, testcd: MMTTOT}},"), "sdtm")
    assert {row["MKTESTCD"] for row in made["MK"].dataset.table.to_pylist()} == {"MMTTOT"}
    assert "MMT" not in made["QS"].dataset.table.column("QSTESTCD").to_pylist()


def test_two_measures_have_not_one_short_name(tmp_path: Path) -> None:
    folder = altered(tmp_path, "pain: {", "pain: {sdtm: {testcd: VAS}, ")
    text = (folder / "study.yaml").read_text("utf-8").replace("fatigue: {l", "fatigue: {sdtm: {testcd: VAS}, l", 1)
    (folder / "study.yaml").write_text(text, "utf-8")
    with pytest.raises(IssueError, match="another measure has the testcd `VAS`"):
        Study.load(folder / "study.yaml")


@pytest.mark.parametrize(
    "wrong", ["{domain: AE}", "{testcd: mmt}", "{testcd: ABCDEFGHI}", "{testcd: 1A}", "{code: X}"]
)
def test_what_sdtm_does_not_have_is_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(IssueError, match="sdtm"):
        Study.load(altered(tmp_path, "pain: {", f"pain: {{sdtm: {wrong}, ") / "study.yaml")


def test_what_is_too_long_for_sas_is_named(tmp_path: Path) -> None:
    long = "Muscle pain on a visual analogue scale of ten centimetres"
    folder = altered(tmp_path, "Muscle pain (VAS)", long)
    written = write_own(Study.load(folder / "study.yaml"), tmp_path / "out", "xpt", "sdtm")
    assert {(issue.column, issue.severity) for issue in written.log.first if issue.file == "QS.xpt"} == {
        ("QSTEST", "warning")
    }


def test_sponsor_defined_codes_are_said_to_be() -> None:
    made = sample("hara2003", "sdtm")
    notes = {variable.name: variable.note for one in made.values() for variable in one.dataset.variables}
    assert "Sponsor-defined" in notes["AEREL"]
    assert "Sponsor-defined" in notes["DSDECOD"]
    assert notes["QSTESTCD"] == "Sponsor-defined: MMT, ADL, FATIGUE, PAIN, PHYSICIA."
    assert notes["LBTESTCD"] == "CDISC submission values."
    assert notes["AEOUT"] == "Words of CDISC OUT."


def test_a_table_without_subjects_and_one_that_is_not_there(tmp_path: Path) -> None:
    log = (
        "  visit_log: {about: A log, key: [entry], columns: {entry: {type: code, about: Entry, deidentify: keep}}}\n"
    )
    folder = altered(tmp_path, "\ntables: ", f"\ndictionary:\n{log}\ntables: ")
    text = (folder / "study.yaml").read_text("utf-8").replace("  medications: {}\n", "  visit_log: {}\n")
    (folder / "study.yaml").write_text(text, "utf-8")
    (folder / "visit_log.csv").write_text("entry\n1\n", "utf-8")
    made, issues = shape(folder, "sdtm")
    assert list(made) == ["DM", "EX", "AE", "DS", "LB", "VS", "QS"]
    assert "Without the table medications there is no CM." in [issue.text for issue in issues]
    assert {issue.severity for issue in issues} == {"information"}
