"""The sample study: its tables are sound, and give back every figure that the abstract prints.

Source of the figures: Hara et al. 2003, DOI 10.3109/s10165-003-0250-9 (PubMed 24387253). Nothing of the
package is used here: only csv, Decimal and the two YAML files that say what a table may hold.
"""

from __future__ import annotations

import csv
import io
import re
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "sample_bundles/hara2003"
STUDY = yaml.safe_load((SAMPLE / "study.yaml").read_text(encoding="utf-8"))
DICTIONARY = yaml.safe_load((ROOT / "fhir_ivig/study/dictionary.yaml").read_text(encoding="utf-8"))
TABLES = [name for name in DICTIONARY if name != "studies"]
GRADES = {"markedly-improved", "improved", "unchanged", "worse"}

Row = dict[str, str]


def load(table: str) -> list[Row]:
    text = (SAMPLE / f"{table}.csv").read_bytes().decode("utf-8")
    return list(csv.DictReader(io.StringIO(text, newline="")))


T = {table: load(table) for table in TABLES}
VISITS = {visit["visit"]: visit for visit in STUDY["visits"]}
MEASURES = STUDY["measures"]
START = {row["subject"]: date.fromisoformat(row["start"]) for row in T["courses"] if row["course"] == "1"}
SUBJECTS = {row["subject"]: row for row in T["subjects"]}
ANALYSED = [row["subject"] for row in T["dispositions"] if row["analysed"] == "yes"]
VALUES = {(row["subject"], row["visit"], row["measure"]): row for row in T["assessments"]}


def day(text: str) -> date:
    return date.fromisoformat(text[:10])


def number(subject: str, visit: str, measure: str) -> Decimal:
    row = VALUES[subject, visit, measure]
    assert not row["sign"]
    return Decimal(row["value"])


def mean(numbers: list[Decimal]) -> Decimal:
    return sum(numbers, Decimal(0)) / len(numbers)


def as_printed(value: Decimal, published: str) -> str:
    return str(value.quantize(Decimal(published), ROUND_HALF_UP))


def dose_on(subject: str, when: date) -> Decimal:
    """The one dose of prednisolone (mg/d) of that day."""
    [row] = [
        row
        for row in T["medications"]
        if row["subject"] == subject and day(row["start"]) <= when and (not row["end"] or when <= day(row["end"]))
    ]
    return Decimal(row["dose"])


def on_target(subject: str, visit: str) -> date:
    return START[subject] + timedelta(VISITS[visit]["day"])


def on_visit(subject: str, visit: str) -> date:
    return day(VALUES[subject, visit, "MMT"]["date"])


# --- the published figures ---


def test_treated_courses_and_second_courses() -> None:
    given = {(row["subject"], row["course"]) for row in T["infusions"] if row["status"] != "not-done"}
    assert len({subject for subject, _ in given}) == 12
    assert len(given) == len(T["courses"]) == 15
    assert sorted(course for _, course in given) == ["1"] * 12 + ["2"] * 3


def test_who_is_analysed() -> None:
    rows = [SUBJECTS[subject] for subject in ANALYSED]
    assert len(rows) == 8
    assert [sum(row["diagnosis"] == code for row in rows) for code in ("PM", "DM")] == [6, 2]
    assert [sum(row["sex"] == code for row in rows) for code in ("male", "female")] == [5, 3]


def test_ages_at_first_infusion() -> None:
    ages = []
    for subject in ANALYSED:
        born, first = date.fromisoformat(SUBJECTS[subject]["birth_date"]), START[subject]
        ages.append(first.year - born.year - ((first.month, first.day) < (born.month, born.day)))
    assert [min(ages), max(ages), sum(ages)] == [29, 67, 8 * 48]


@pytest.mark.parametrize(
    ("measure", "before", "after", "exact"),
    [
        ("MMT", "67.0", "81.0", True),
        ("ADL", "27.1", "39.1", False),
        ("CK", "1287.4", "612.6", True),
        ("fatigue", "5.5", "1.3", True),
    ],
)
def test_means_before_and_at_week_12(measure: str, before: str, after: str, exact: bool) -> None:
    for visit, published in (("week 0", before), ("week 12", after)):
        found = mean([number(subject, visit, measure) for subject in ANALYSED])
        assert as_printed(found, published) == published
        assert found == Decimal(published) or not exact


def test_seven_of_eight_improved_and_their_prednisolone_fell_by_47_1() -> None:
    improved = [
        subject
        for subject in ANALYSED
        if VALUES[subject, "week 12", "physician"]["value"] in ("improved", "markedly-improved")
    ]
    assert Decimal(len(improved)) / len(ANALYSED) == Decimal("0.875")
    # the same whether a visit means its target day or the day of its assessments
    for when in (on_target, on_visit):
        falls = [dose_on(s, when(s, "week 0")) - dose_on(s, when(s, "week 12")) for s in improved]
        assert as_printed(mean(falls), "47.1") == "47.1"


def test_adverse_events() -> None:
    events = T["adverse_events"]
    assert sorted(row["term"] for row in events) == [
        "Blood urea nitrogen increased",
        "Myocardial infarction, asymptomatic",
    ]
    with_event = {(row["subject"], row["course"]) for row in events}
    assert as_printed(Decimal(100 * len(with_event)) / len(T["courses"]), "13") == "13"
    for row in events:
        assert bool(row["seriousness_criteria"]) == (row["serious"] == "yes")


def test_all_were_steroid_resistant() -> None:
    """No gain in strength on more than 50 mg/d for more than 4 weeks before the first infusion."""
    for subject, first in START.items():
        screened = day(VALUES[subject, "screening", "MMT"]["date"])
        baseline = day(VALUES[subject, "week 0", "MMT"]["date"])
        assert (baseline - screened).days > 28
        assert all(dose_on(subject, screened + timedelta(n)) > 50 for n in range((first - screened).days + 1))
        assert number(subject, "week 0", "MMT") <= number(subject, "screening", "MMT")


def test_dose_by_body_weight() -> None:
    for course in T["courses"]:
        subject, first = course["subject"], day(course["start"])
        days = [r for r in T["infusions"] if (r["subject"], r["course"]) == (subject, course["course"])]
        assert [(row["day"], day(row["start"])) for row in days] == [
            (str(n + 1), first + timedelta(n)) for n in range(5)
        ]
        for row in days:
            if row["status"] == "completed":
                per_kg = Decimal(row["dose"]) / number(subject, "week 0", "weight")
                assert abs(per_kg - Decimal("0.4")) < Decimal("0.02"), row
    unusual = [row for row in T["infusions"] if row["status"] != "completed"]
    assert [(row["status"], bool(row["dose"])) for row in unusual] == [("stopped", True), ("not-done", False)]


# --- the tables are sound ---

PATTERNS = {
    "text": r"(?s)\S(.*\S)?",
    "code": r"\S( ?\S+)*",
    "codes": r"[^\s;]+(;[^\s;]+)*",
    "date": r"\d{4}(-\d\d(-\d\d)?)?",
    "dateTime": r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d))?)?)?",
    "decimal": r"-?(0|[1-9]\d*)(\.\d+)?",
    "integer": r"0|[1-9]\d*",
    "boolean": r"yes|no",
}


@pytest.mark.parametrize("table", TABLES)
def test_every_cell_is_what_the_dictionary_allows(table: str) -> None:
    wanted: dict[str, Any] = DICTIONARY[table]
    for row in T[table]:
        for column, rule in wanted["columns"].items():
            cell = row[column]
            if not cell:
                assert column not in wanted["key"], (row, column)
                assert not rule.get("required"), (row, column)
                continue
            assert re.fullmatch(PATTERNS[rule["type"]], cell), (row, column)
            words = cell.split(";") if rule["type"] == "codes" else [cell]
            assert set(words) <= set(rule.get("values", words)), (row, column)
            if re.match(r"\d{4}-\d\d-\d\d", cell) and rule["type"] in ("date", "dateTime"):
                day(cell)


@pytest.mark.parametrize("table", TABLES)
def test_rows_are_in_order_of_their_unique_key(table: str) -> None:
    key = DICTIONARY[table]["key"]
    orders = {"visit": list(VISITS), "measure": list(MEASURES)}

    def place(row: Row) -> list[int | str]:
        return [
            orders[column].index(row[column])
            if column in orders
            else int(row[column])
            if column in ("course", "day", "event")
            else row[column]
            for column in key
        ]

    places = [place(row) for row in T[table]]
    assert all(before < after for before, after in pairwise(places))


@pytest.mark.parametrize("table", TABLES)
def test_canonical_form(table: str) -> None:
    """Written again by the rules (all columns, comma, LF, quotes only where needed) it is the same file."""
    columns = list(DICTIONARY[table]["columns"])

    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if re.search(r'[",\r\n]', text) else text

    rows = [columns, *([row[column] for column in columns] for row in T[table])]
    written = "".join(",".join(map(cell, row)) + "\n" for row in rows)
    assert written.encode("utf-8") == (SAMPLE / f"{table}.csv").read_bytes()


def test_references_between_tables() -> None:
    for table in TABLES:
        assert {row["subject"] for row in T[table]} <= SUBJECTS.keys()
    courses = {(row["subject"], row["course"]) for row in T["courses"]}
    for table in ("infusions", "adverse_events"):
        assert {(row["subject"], row["course"]) for row in T[table]} <= courses
    assert [row["subject"] for row in T["dispositions"]] == list(SUBJECTS) == [f"HARA-{n:02}" for n in range(1, 13)]
    assert all((row["analysed"] == "yes") == (not row["reason"]) for row in T["dispositions"])


def test_assessments_fit_their_visit_and_measure() -> None:
    for row in T["assessments"]:
        measure = MEASURES[row["measure"]]
        low, high = VISITS[row["visit"]]["window"]
        assert low <= (day(row["date"]) - START[row["subject"]]).days <= high, row
        assert bool(row["value"]) != bool(row["missing_reason"]), row
        if not row["value"]:
            assert not any(row[column] for column in ("sign", "unit", "upper_limit", "scale_max")), row
        elif row["measure"] == "physician":
            assert row["value"] in GRADES, row
            assert not row["unit"], row
        else:
            assert row["unit"] == measure["unit"], row
            assert row["scale_max"] == measure.get("scale_max", ""), row
            assert 0 <= Decimal(row["value"]) <= Decimal(row["scale_max"] or "100000"), row
        assert bool(row["upper_limit"]) == (row["measure"] == "CK" and bool(row["value"])), row


def test_prednisolone_is_without_gap_or_overlap() -> None:
    for before, after in pairwise(T["medications"]):
        if before["subject"] == after["subject"]:
            assert day(before["end"]) + timedelta(1) == day(after["start"])


def test_the_awkward_cases_are_there() -> None:
    """The rows that make a round trip hard; without them the sample would prove less."""
    cells = T["assessments"]
    assert any(row["sign"] == "<" and row["subject"] not in ANALYSED for row in cells)
    assert any(re.search(r"\.\d*0$", row["value"]) for row in cells if row["measure"] == "CK")
    assert {len(row["birth_date"]) for row in T["subjects"]} == {4, 7, 10}
    assert sum(bool(row["mrn"]) for row in T["subjects"]) == 10
    assert len({row["site"] for row in T["subjects"]}) == 3
    assert {len(row["start"]) for row in T["infusions"]} == {10, 25}
    assert any("2000-02-29" in row["start"] for row in T["infusions"])
    assert {row["missing_reason"] for row in cells} >= {"not-performed", "error", "asked-declined"}
