"""`init --from-redcap`: what is proposed is right, what is not known is left to a person, nothing is invented."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from fhir_ivig.cli import main
from fhir_ivig.redcap.dictionary import COLUMNS, read_dictionary
from fhir_ivig.redcap.export import read_export
from fhir_ivig.redcap.project import read_project
from fhir_ivig.study.study import Study
from fhir_ivig.study.tables import read_table
from fhir_ivig.study.writing import write_table
from sample_bundles.redcap import FOLDER
from sample_bundles.sources import SAMPLE

DECIDED = {  # what a person decides of the sample's proposal
    "# study: short-name": "study: hara2003",
    "# status: active": "status: completed",
    "# base: https://example.org/studies/short-name": "base: https://example.org/studies/hara2003",
    "# fhir_version": "fhir_version",
    "# parameters": "parameters",
    "# zone: ?": "zone: +09:00",
    "# - {visit: screening, day: ?}": "- {visit: screening, day: '-35'}",
}


def propose(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["init", *map(str, words)])


def decide(text: str, decided: dict[str, str]) -> str:
    for left, right in decided.items():
        assert left in text
        text = text.replace(left, right)
    return text


def test_the_sample_is_read_as_it_was_after_seven_decisions(tmp_path: Path) -> None:
    done = propose("--from-redcap", FOLDER, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    file = tmp_path / "study.yaml"
    text = file.read_text("utf-8")
    assert re.findall(r"(\w+): .*, an identifier$", text, re.MULTILINE) == ["birth_date", "mrn"]
    checked = CliRunner().invoke(main, ["check", str(tmp_path)])
    assert checked.exit_code == 3
    for name in ("study", "status", "base", "fhir_version"):
        assert f"`{name}` is missing" in checked.output
    file.write_text(decide(text, DECIDED), "utf-8")
    study = Study.load(file)
    assert set(study.tables) == set(Study.load(SAMPLE / "study.yaml").tables)
    for table in study.tables:
        rows = list(read_table(study, table))
        assert [issue for part in rows for issue in part.issues] == []
        write_table(tmp_path / table, (part.batch for part in rows), list(study.dictionary[table].columns))
        assert (tmp_path / table).read_bytes() == (SAMPLE / f"{table}.csv").read_bytes()


def labelled(folder: Path) -> None:
    """The sample's project, its export with labels in place of codes."""
    fields, project = read_dictionary(FOLDER / "dictionary.csv"), read_project(FOLDER / "project.json")
    export = read_export(FOLDER / "export.csv", fields)
    with (folder / "export.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(export.header))
        writer.writeheader()
        for row in export.rows:
            told = dict(row)
            for name, (field, code) in export.meant.items():
                ticks = {"1": "Checked", "0": "Unchecked"}
                told[name] = (ticks if code else field.choices).get(row[name], row[name])
            told["redcap_event_name"] = project.events[row["redcap_event_name"]]
            told["redcap_repeat_instrument"] = project.labels.get(row["redcap_repeat_instrument"], "")
            writer.writerow(told)
    for name in ("dictionary.csv", "project.json"):
        (folder / name).write_bytes((FOLDER / name).read_bytes())


def test_a_labelled_export_of_the_sample_gives_its_tables_too(tmp_path: Path) -> None:
    labelled(tmp_path)
    done = propose("--from-redcap", tmp_path, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    file = tmp_path / "out/study.yaml"
    decided = {left.replace("screening", "Screening"): right for left, right in DECIDED.items()}
    file.write_text(decide(file.read_text("utf-8"), decided).replace("visit: screening", "visit: Screening"), "utf-8")
    study = Study.load(file)
    for table in study.tables:
        rows = list(read_table(study, table))
        assert [issue for part in rows for issue in part.issues] == []
        write_table(tmp_path / table, (part.batch for part in rows), list(study.dictionary[table].columns))
        text = re.sub("(?m)^(HARA-..),(Screening|Week)", lambda one: one[0][:-len(one[2])] + one[2].lower(),
                      (tmp_path / table).read_text("utf-8"))  # fmt: skip
        assert text == (SAMPLE / f"{table}.csv").read_text("utf-8")


def test_a_study_that_is_there_is_left(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("mine", "utf-8")
    assert propose("--from-redcap", FOLDER, "--out", tmp_path).exit_code == 3
    assert (tmp_path / "study.yaml").read_text("utf-8") == "mine"


def proposed(folder: Path, fields: list[str], export: str = "", project: dict[str, Any] | None = None) -> Result:
    """`init` on fields (`name,form,kind,label,choices,note,validation`), perhaps an export and what the API tells."""
    names = list(COLUMNS)
    places = [0, 1, 3, 4, 5, 6, 7]
    with (folder / "dictionary.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for one in csv.reader(fields):
            row = [""] * len(names)
            for place, cell in zip(places, one, strict=False):
                row[place] = cell
            writer.writerow(row)
    words: list[str | Path] = ["--from-redcap", folder / "dictionary.csv", "--out", folder / "out"]
    if export:
        (folder / "records.csv").write_text(export, "utf-8")
        words += ["--export", folder / "records.csv"]
    if project:
        (folder / "project.json").write_text(json.dumps(project), "utf-8")
    return propose(*words)


def small(folder: Path, fields: list[str], export: str = "") -> str:
    """The study.yaml that is proposed, without an Issue."""
    done = proposed(folder, fields, export)
    assert done.exit_code == 0, done.output
    return (folder / "out/study.yaml").read_text("utf-8")


def active(text: str) -> list[str]:
    """The lines that are no comments, without theirs."""
    return [
        re.sub(r"\s+# (sure|likely).*", "", line).strip() for line in text.splitlines() if "# to decide" not in line
    ]


def test_what_two_fields_could_be_is_left_to_decide(tmp_path: Path) -> None:
    text = small(
        tmp_path,
        [
            "id,demographics,text,ID",
            'sex,demographics,radio,Sex,"1, F | 2, M | 3, Inter"',
            "dob,demographics,text,Born,,,date_ymd",
            "birthday,demographics,text,Birthday,,,date_ymd",
        ],
    )
    lines = active(text)
    assert {"subject: id", "sex: sex", "'1': female", "'2': male"} <= set(lines)
    assert not any("birth_date" in line or "dob" in line for line in lines)
    assert "# birth_date: ?" in text
    assert re.search(r"# '3': \?\s+# to decide: Inter: one of female, male, other, unknown", text)


def test_a_form_that_is_no_table_and_a_field_that_is_no_column(tmp_path: Path) -> None:
    text = small(
        tmp_path,
        ["id,demographics,text,ID", "shoe,demographics,text,Shoe size", "colour,questions,text,Favourite colour"],
    )
    assert re.search(r"# \?: shoe\s+# to decide: shoe, Shoe size", text)
    assert re.search(r"# \?: colour\s+# to decide", text)
    assert "the form questions: of which table is it?" in text
    assert not any("shoe" in line or "colour" in line for line in active(text))


def test_a_result_without_a_unit_is_left_to_decide(tmp_path: Path) -> None:
    text = small(
        tmp_path,
        [
            "id,demographics,text,ID",
            "visit_date,labs,text,Date,,,date_ymd",
            "ck,labs,text,CK,,,number",
            "weight,labs,text,Weight,,kg,number",
        ],
    )
    assert "# CK: {label: CK, unit: '?', better: lower}" in text
    assert not any("value: ck" in line for line in active(text))
    assert any("value: weight" in line for line in active(text))


def test_a_labelled_export_is_proposed_by_its_labels(tmp_path: Path) -> None:
    fields = [
        "id,demographics,text,ID",
        'sex,demographics,radio,Sex,"1, Woman | 2, Male"',
        "ae_term,adverse_event,text,Term",
        'ae_criteria,adverse_event,checkbox,Criteria,"1, Death | 2, Other"',
    ]
    header = "id,redcap_repeat_instrument,redcap_repeat_instance,sex,ae_term,ae_criteria___1,ae_criteria___2"
    text = small(tmp_path, fields, f"{header}\n1,,,Woman,,,\n1,adverse_event,1,,Headache,Checked,Unchecked\n")
    lines = active(text)
    assert {"Woman: female", "Male: male", "ticks: [Checked, Unchecked]", "death: ae_criteria___1"} <= set(lines)
    assert "event: redcap_repeat_instance" in lines
    assert re.search(r"# \?: ae_criteria___2\s+# to decide: Other", text)
    assert "where: {redcap_repeat_instrument: adverse_event}" in lines


def test_labels_as_headers_and_a_form_that_repeats_by_its_label(tmp_path: Path) -> None:
    fields = ["id,demographics,text,Record", "sex,demographics,radio,Sex,\"1, F | 2, M\"",
              "ae_term,adverse_events,text,Event", "races,demographics,checkbox,Race,\"1, A | 2, B\""]  # fmt: skip
    header = "Record,Repeat Instrument,Repeat Instance,Sex,Event,Race (choice=A),Race (choice=B),Complete?"
    text = small(tmp_path, fields, f"{header}\n1,,,F,,Checked,Unchecked,Complete\n1,Adverse Events,1,,Headache,,,\n")
    lines = active(text)
    assert {"subject: Record", "F: female", "event: Repeat Instance", "term: Event"} <= set(lines)
    assert re.search(r"where: {Repeat Instrument: Adverse Events}\s+# likely", text)
    assert "# ?: 'Race (choice=A), Race (choice=B)'" in text
    assert "ignore: ['Complete?']" in lines


def test_an_export_that_does_not_fit_is_told(tmp_path: Path) -> None:
    export = tmp_path / "export.csv"
    text = (FOLDER / "export.csv").read_text("utf-8").replace(",ck,", ",ck_value,")
    export.write_text(text, "utf-8")
    done = propose("--from-redcap", FOLDER / "dictionary.csv", "--export", export, "--out", tmp_path / "out")
    assert (done.exit_code, "column ck_value" in done.output) == (1, True), done.output


@pytest.mark.parametrize("missing", ["UNK, Unknown | -99, Not asked"])
def test_missing_data_codes_of_the_project(tmp_path: Path, missing: str) -> None:
    for name in ("dictionary.csv", "export.csv", "project.json"):
        text = (FOLDER / name).read_text("utf-8")
        (tmp_path / name).write_text(text.replace('codes": ""', f'codes": "{missing}"'), "utf-8")
    assert propose("--from-redcap", tmp_path, "--out", tmp_path / "out").exit_code == 0
    assert "missing: [UNK, '-99']" in active((tmp_path / "out/study.yaml").read_text("utf-8"))


CASES = yaml.safe_load(Path(__file__).with_name("proposals.yaml").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_small_project_is_proposed(tmp_path: Path, case: dict[str, Any]) -> None:
    done = proposed(tmp_path, case["fields"], "\n".join(case.get("export", [])), case.get("project"))
    text = (tmp_path / "out/study.yaml").read_text("utf-8")
    wanted = case.get("lines", [])
    assert [line for line in wanted if line not in active(text)] == [], text
    assert [said for said in case.get("left", []) if said not in done.stdout] == [], done.stdout
    assert [said for said in case.get("not", []) if said in "\n".join(active(text))] == [], text
    if "reads" in case:
        (tmp_path / "out/study.yaml").write_text(
            decide(text, {"# title": "title", **dict([*DECIDED.items()][:5])}), "utf-8"
        )
        parts = list(read_table(Study.load(tmp_path / "out/study.yaml"), "assessments"))
        assert [issue for part in parts for issue in part.issues] == []
        rows = [
            {name: cell for name, cell in row.items() if cell} for part in parts for row in part.batch.to_pylist()
        ]
        assert rows == case["reads"]
