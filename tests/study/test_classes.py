"""Every column says what becomes of it where a study is de-identified, and can have no class that fails it."""

from __future__ import annotations

from typing import Any

import pytest
from trial import MakeStudy

from fhir_ivig.issue import IssueError
from fhir_ivig.study.classes import class_of, fault
from fhir_ivig.study.dictionary import dictionary


def test_every_column_of_ours_has_a_class_that_fits() -> None:
    wrong = [
        (table.name, column.name, said)
        for table in dictionary().values()
        for column in table.columns.values()
        if column.deidentify is None or (said := fault(table, column))
    ]
    assert wrong == []


def column(make_study: MakeStudy, table: str = "subjects", **words: Any) -> tuple[str | None, str | None]:
    """The class of a column that a study adds, and what is wrong with it."""
    study = make_study(dictionary={table: {"columns": {"added": {"about": "Added", **words}}}})
    found = study.dictionary[table].columns["added"]
    return class_of(found), fault(study.dictionary[table], found)


@pytest.mark.parametrize(
    ("words", "wanted", "wrong"),
    [
        ({"type": "text"}, "remove", None),
        ({"type": "code", "private": "yes"}, "remove", None),
        ({"type": "code"}, None, "has no class"),
        ({"type": "decimal"}, None, "has no class"),
        ({"type": "date"}, None, "has no class"),
        ({"type": "text", "deidentify": "keep"}, "keep", None),
        ({"type": "date", "deidentify": "shift"}, "shift", None),
        ({"type": "code", "deidentify": "shift"}, "shift", "is for dates"),
        ({"type": "decimal", "deidentify": "hash"}, "hash", "is for texts"),
        ({"type": "code", "values": ["a"], "deidentify": "word"}, "word", "is for texts"),
        ({"type": "text", "deidentify": "result"}, "result", "needs the table's column `measure`"),
        ({"type": "text", "required": "yes"}, "remove", None),
        ({"type": "date", "required": "yes", "deidentify": "remove"}, "remove", "is required"),
    ],
)
def test_a_column_that_a_study_adds(
    make_study: MakeStudy, words: dict[str, Any], wanted: str | None, wrong: str | None
) -> None:
    found, said = column(make_study, **words)
    assert found == wanted
    assert (said is None) if wrong is None else said is not None and wrong in said


def test_a_table_without_subjects_cannot_shift(make_study: MakeStudy) -> None:
    lots = {"lot": {"type": "code", "about": "Lot"}, "made": {"type": "date", "about": "Day", "deidentify": "shift"}}
    study = make_study(dictionary={"lots": {"about": "Lots", "key": ["lot"], "columns": lots}})
    said = fault(study.dictionary["lots"], study.dictionary["lots"].columns["made"])
    assert said is not None
    assert "needs the table's column `subject`" in said


def test_a_study_gives_another_class(make_study: MakeStudy) -> None:
    study = make_study(deidentify={"columns": {"adverse_events": {"term": "keep"}}, "words": ["azathioprine"]})
    assert class_of(study.dictionary["adverse_events"].columns["term"]) == "keep"
    assert class_of(study.dictionary["dispositions"].columns["reason"]) == "remove"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"nothing": {"term": "keep"}}, "there is no table `nothing`"),
        ({"subjects": {"nothing": "keep"}}, "subjects has no such column"),
        ({"subjects": {"mrn": "encrypt"}}, "is not one of keep, word"),
        ({"subjects": {"subject": "remove"}}, "is part of the key"),
        ({"subjects": {"sex": "shift"}}, "is for dates"),
    ],
)
def test_a_wrong_class_is_said_with_the_study(make_study: MakeStudy, columns: Any, said: str) -> None:
    with pytest.raises(IssueError, match=said) as raised:
        make_study(deidentify={"columns": columns})
    assert [issue.row is not None for issue in raised.value.issues] == [True]
