"""ADaM-shaped data sets beside a second, plain computation from the samples' CSV files, in fractions."""

from __future__ import annotations

import csv
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from datasets.read_back import READ
from datasets.shapes import BUNDLES, STUDIES, rows, sample, shape
from sample_study import copied

from fhir_ivig.datasets.analysis import began_after
from fhir_ivig.datasets.output import converted
from fhir_ivig.library import compute_endpoints
from fhir_ivig.study.study import Study
from fhir_ivig.sync.export import export
from fhir_ivig.sync.tabulate import tabulate

BASELINE = {"hara2003": "week 0", "after_miyasaka2012": "week 0", "after_proderm2022": "week 0"}
Row = dict[str, Any]


def written(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def analysed(made: dict[str, Any]) -> list[Row]:
    """The rows of values of all data sets."""
    return [
        row for name, one in made.items() if name not in ("ADSL", "ADAE") for row in one.dataset.table.to_pylist()
    ]


@pytest.mark.parametrize("name", STUDIES)
def test_values_baselines_and_changes(name: str) -> None:
    """Each value of the file is a row; its baseline, change and flags are computed anew."""
    folder = BUNDLES / name
    study = Study.load(folder / "study.yaml")
    labels = {one.label: measure for measure, one in study.measures.items()}
    units = {measure: one.unit for measure, one in study.measures.items()}
    values = [row for row in written(folder, "assessments") if row["value"]]
    numbers = {
        (row["subject"], row["measure"], row["visit"]): Fraction(row["value"])
        for row in values
        if units[row["measure"]] and not row["sign"]
    }
    days = {visit: one.day for visit, one in study.visits.items()}
    start = days[BASELINE[name]]
    found = {(row["SUBJID"], labels[row["PARAM"].partition(" (" + row["AVALU"])[0] if row["AVALU"] else row["PARAM"]],
              row["AVISIT"]): row for row in analysed(sample(name, "adam"))}  # fmt: skip
    assert len(values) == len(found) == len(analysed(sample(name, "adam")))
    for one in values:
        key = one["subject"], one["measure"], one["visit"]
        row, value, base = found[key], numbers.get(key), numbers.get((*key[:2], BASELINE[name]))
        assert row["AVAL"] == (one["value"] if value is not None else None)
        assert row["AVALC"] == (None if value is not None else one["sign"] + one["value"])
        assert row["ADT"] == one["date"][:10]
        assert row["ANRHI"] == (one["upper_limit"] or None) if "ANRHI" in row else True
        assert row["ANL01FL"] == ("Y" if not one["sign"] else None)
        assert row["ABLFL"] == ("Y" if one["visit"] == BASELINE[name] and not one["sign"] else None)
        assert (row["BASE"] and Fraction(row["BASE"])) == base
        later = days[one["visit"]] > start and value is not None and base is not None
        assert (row["CHG"] and Fraction(row["CHG"])) == (value - base if later else None)  # type: ignore[operator]
        percent = 100 * (value - base) / base if later and base else None  # type: ignore[operator]
        assert (row["PCHG"] is None) == (percent is None)
        if percent is not None:
            assert abs(Fraction(row["PCHG"]) - percent) <= abs(percent) * Fraction(1, 10**14)


def test_they_are_what_the_endpoints_say() -> None:
    """The means that the paper prints and the endpoints compute are those of the rows with the flags."""
    results, _ = compute_endpoints(BUNDLES / "hara2003")
    means = {(one.endpoint, one.statistic): one.estimate for one in results if one.subject is None}
    made = sample("hara2003", "adam")
    of_interest = {row["USUBJID"] for row in rows(made["ADSL"], ANALYSFL="Y")}
    assert len(of_interest) == 8
    for endpoint, dataset, code in (("ck", "ADLB", "CK"), ("mmt", "ADQS", "MMT"), ("fatigue", "ADQS", "FATIGUE")):
        at = [
            row
            for row in rows(made[dataset], PARAMCD=code, AVISIT="week 12", ANL01FL="Y")
            if row["USUBJID"] in of_interest
        ]
        assert len(at) == 8
        for column, statistic in (("BASE", "mean_from"), ("AVAL", "mean_to"), ("CHG", "mean_difference")):
            mean = sum(Fraction(row[column]) for row in at) / 8
            assert abs(Fraction(means[endpoint, statistic] or 0) - mean) < Fraction(1, 10**9), (endpoint, statistic)


def several(tmp_path: Path, rule: str, *more: str) -> list[Row]:
    """CK of HARA-01 where week 12 has further rows and the measure a rule for several."""
    folder = copied(tmp_path / "study")
    text = (folder / "study.yaml").read_text("utf-8")
    (folder / "study.yaml").write_text(text.replace("CK: {", f"CK: {{several: {rule}, "), "utf-8")
    with (folder / "assessments.csv").open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in more)
    made, issues = shape(folder, "adam")
    assert issues == []
    return rows(made["ADLB"], SUBJID="HARA-01", PARAMCD="CK")


MORE = ("HARA-01,week 12,1998-08-31,CK,,1000,U/L,190,,", "HARA-01,week 0,1998-06-01,CK,,1000.5,U/L,190,,")


def test_the_mean_of_several_is_a_row_of_its_own(tmp_path: Path) -> None:
    found = several(tmp_path, "mean", *MORE)
    means = [row for row in found if row["DTYPE"] == "AVERAGE"]
    [base, last] = means
    singles = [row for row in found if row["AVISIT"] in ("week 0", "week 12") and row not in means]
    assert len(singles) == 4
    assert {(row["ANL01FL"], row["ABLFL"], row["DTYPE"]) for row in singles} == {(None, None, None)}
    assert (base["AVISIT"], base["ABLFL"], base["ANL01FL"], base["CHG"]) == ("week 0", "Y", "Y", None)
    assert Fraction(base["AVAL"]) == (Fraction(2410) + Fraction("1000.5")) / 2
    values = [Fraction(row["AVAL"]) for row in singles if row["AVISIT"] == "week 12"]
    assert Fraction(last["AVAL"]) == sum(values) / 2
    assert Fraction(last["CHG"]) == Fraction(last["AVAL"]) - Fraction(base["AVAL"])
    assert {row["BASE"] for row in found} == {base["AVAL"]}
    assert last["ADT"] is None  # of several days


@pytest.mark.parametrize(
    ("rule", "day"), [("nearest", "1998-08-31"), ("first", "1998-08-31"), ("last", "1998-09-04")]
)
def test_one_of_several_stands_for_the_visit(tmp_path: Path, rule: str, day: str) -> None:
    found = [row for row in several(tmp_path, rule, *MORE) if row["AVISIT"] == "week 12"]
    assert [row["ADT"] for row in found if row["ANL01FL"] == "Y"] == [day]
    assert len(found) == 2
    assert all(row["CHG"] is not None for row in found)


def test_several_without_a_rule_are_an_issue_and_none_stands(tmp_path: Path) -> None:
    folder = copied(tmp_path / "study")
    with (folder / "assessments.csv").open("a", encoding="utf-8") as file:
        file.write(f"{MORE[0]}\n")
    made, issues = shape(folder, "adam")
    found = rows(made["ADLB"], SUBJID="HARA-01", AVISIT="week 12")
    assert [row["ANL01FL"] for row in found] == [None, None]
    assert {(issue.severity, issue.code) for issue in issues} == {("error", "duplicate")}


def test_without_a_baseline_that_is_said(tmp_path: Path) -> None:
    folder = copied(tmp_path / "study")
    text = (folder / "study.yaml").read_text("utf-8").replace("{visit: week 0, day: 0,", "{visit: week 0, day: -1,")
    (folder / "study.yaml").write_text(text, "utf-8")
    made, issues = shape(folder, "adam")
    assert [issue.path for issue in issues] == ["visits"]
    assert {row["BASE"] for row in analysed(made)} == {None}


@pytest.mark.parametrize(
    ("onset", "start", "emergent"),
    [
        ("1999-06-20", "1999-06-21", False),
        ("1999-06-21", "1999-06-21", True),
        ("1999-06-21", "1999-06-21T10:00:00+09:00", True),
        ("1999-06-21T09:59:00+09:00", "1999-06-21T10:00:00+09:00", False),
        ("1999-06-21T10:00:00+09:00", "1999-06-21T10:00:00+09:00", True),
        ("1999-06-21T02:00:00+01:00", "1999-06-21T10:00:00+09:00", True),
        ("2009-01-01", "1999-06-21", True),
        ("1999-06", "1999-06-21", None),
        ("1999-06", "1999-06-01", True),
        ("1999-05", "1999-06-21", False),
        ("1999", "1999-06-21", None),
        ("2000", "1999-06-21", True),
        ("soon", "1999-06-21", None),
    ],
)
def test_emergent_under_treatment(onset: str, start: str, emergent: bool | None) -> None:
    assert began_after(onset, start) is emergent


def test_an_onset_that_leaves_it_open_is_named(tmp_path: Path) -> None:
    folder = copied(tmp_path / "study")
    text = (folder / "adverse_events.csv").read_text("utf-8")
    (folder / "adverse_events.csv").write_text(text.replace(",1999-06-24,", ",1999-06,"), "utf-8")
    made, issues = shape(folder, "adam")
    assert rows(made["ADAE"], SUBJID="HARA-06")[0]["TRTEMFL"] is None
    assert rows(made["ADAE"], SUBJID="HARA-09")[0]["TRTEMFL"] == "Y"
    assert [(issue.severity, issue.row, issue.column) for issue in issues] == [("warning", 2, "onset")]


def test_flags_of_the_subjects_are_the_populations() -> None:
    made = sample("hara2003", "adam")
    analysed = {row["subject"] for row in written(BUNDLES / "hara2003", "dispositions") if row["analysed"] == "yes"}
    assert {row["SUBJID"] for row in rows(made["ADSL"], ANALYSFL="Y")} == analysed
    given = {row["subject"] for row in written(BUNDLES / "hara2003", "infusions") if row["status"] != "not-done"}
    assert {row["SUBJID"] for row in rows(made["ADSL"], SAFFL="Y")} == given
    notes = {variable.name: variable.note for variable in made["ADSL"].dataset.variables}
    assert notes["ANALYSFL"] == "Sponsor-defined: Analysed for efficacy, by study.yaml."


def test_arms_are_the_treatments() -> None:
    made = sample("after_proderm2022", "adam")
    arms = {row["subject"]: row["arm"] or None for row in written(BUNDLES / "after_proderm2022", "dispositions")}
    assert {row["SUBJID"]: row["TRT01P"] for row in made["ADSL"].dataset.table.to_pylist()} == arms
    assert {row["SUBJID"]: row["TRTP"] for row in analysed(made)}.items() <= arms.items()


def test_a_row_leads_to_its_resource(tmp_path: Path) -> None:
    study, out = Study.load(BUNDLES / "hara2003/study.yaml"), tmp_path / "out"
    export(study, tmp_path / "fhir")
    tabulate([tmp_path / "fhir"], study, out, convert=converted(study, "xpt", "adam"))
    lines = (tmp_path / "fhir/Observation.ndjson").read_text("utf-8").splitlines()
    known = {f"Observation/{one['id']}": one for one in map(json.loads, lines)}
    read = READ["xpt"](out, "ADLB")
    assert len(read["SRCRES"]) == 53
    for reference, value, moment in zip(read["SRCRES"], read["AVAL"], read["ADT"], strict=True):
        found = known[reference or ""]
        assert value is None or Fraction(value) == Fraction(str(found["valueQuantity"]["value"]))
        assert found["effectiveDateTime"].startswith(moment)
    assert (out / "resources/ADLB.csv").read_text().split("\n")[1:-1] == read["SRCRES"]


def test_parts_whose_rows_have_the_same_numbers(tmp_path: Path) -> None:
    """A second file of assessments has CK of HARA-01 at week 12 again, in a row of the same number."""
    folder = copied(tmp_path / "study")
    text = (folder / "study.yaml").read_text("utf-8").replace("CK: {", "CK: {several: last, ")
    text = text.replace("  assessments: {}\n", "  assessments: [{}, {file: more.csv}]\n")
    (folder / "study.yaml").write_text(text, "utf-8")
    header, *lines = (folder / "assessments.csv").read_text("utf-8").splitlines()
    place = next(at for at, line in enumerate(lines) if line.startswith("HARA-01,week 12") and ",CK," in line)
    filling = [f"HARA-02,,1990-01-{day:02},weight,,50,kg,,," for day in range(1, place + 1)]
    (folder / "more.csv").write_text("\n".join([header, *filling, MORE[0]]) + "\n", "utf-8")
    made, _ = shape(folder, "adam")
    found = rows(made["ADLB"], SUBJID="HARA-01", AVISIT="week 12")
    assert {row["ADT"]: row["ANL01FL"] for row in found} == {"1998-09-04": "Y", "1998-08-31": None}


@pytest.mark.parametrize("standard", ["sdtm", "adam"])
def test_wide_tables_give_the_same(standard: str) -> None:
    wide, _ = shape(BUNDLES / "hara2003_wide", standard)
    tall = sample("hara2003", standard)
    assert list(wide) == list(tall)
    for name, one in wide.items():
        study = [variable for variable in one.dataset.table.column_names if variable not in ("STUDYID", "USUBJID")]
        assert one.dataset.table.select(study).equals(tall[name].dataset.table.select(study)), name


def test_who_got_placebo_is_told_to_be_without_what_counts_from_infusions() -> None:
    made, issues = shape(BUNDLES / "after_proderm2022", "adam")
    placebo = rows(made["ADSL"], TRT01P="placebo")
    assert {(row["SAFFL"], row["AGE"], row["PLACEBFL"]) for row in placebo} == {("N", None, "Y")}
    assert [issue.text.partition(":")[0] for issue in issues if issue.severity == "warning"] == [
        "48 subjects without a day of a course or infusion, the first D003",
        "48 subjects given no infusion, the first D003",
    ]
