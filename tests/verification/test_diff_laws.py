"""Whatever the tables: a study is equal to its copy, and one cell that is changed is the one that is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from seeding import SAMPLE, copied, read, write

import fhir_ivig
from fhir_ivig.study.dictionary import Column
from fhir_ivig.study.study import Study
from fhir_ivig.verification.difference import total

STUDY = Study.load(SAMPLE / "study.yaml")
# Of each type two right cells, so that one of them is another than what stands there.
OTHERS = {
    "text": ("another text", "a text"),
    "code": ("another", "one"),
    "codes": ("death", "disability"),
    "date": ("1931-02-03", "1932-04-05"),
    "dateTime": ("1981-02-03", "1981-02-03T04:05:06+07:00"),
    "decimal": ("7.25", "8.5"),
    "integer": ("77", "78"),
    "boolean": ("yes", "no"),
}


def other(column: Column, cell: str, empty: bool) -> str:
    """Another cell than the one that is there."""
    if empty and cell and column.name != "scale_max":  # where it is empty it is the measure's
        return ""
    choices = column.values or (OTHERS["decimal"] if column.name == "value" else OTHERS[column.type])
    return next(choice for choice in choices if choice != cell)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The study, and a record that is changed again and again."""
    folder = tmp_path_factory.mktemp("laws")
    return copied(folder / "study"), copied(folder / "record")


def test_a_study_is_equal_to_its_copy(folders: tuple[Path, Path]) -> None:
    study, copy = folders
    found = fhir_ivig.diff_study(Study.load(study / "study.yaml"), copy)
    assert found.differences == found.issues == []
    assert total(found.agreement).percent == "100.0"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=st.data())
def test_the_one_cell_that_is_changed_is_found(folders: tuple[Path, Path], choice: st.DataObject) -> None:
    study, record = folders
    name = choice.draw(st.sampled_from(sorted(STUDY.tables)))
    table, file = STUDY.dictionary[name], record / f"{name}.csv"
    rows = read(file)
    row = choice.draw(st.integers(0, len(rows) - 1))
    column = choice.draw(st.sampled_from([one for one in table.columns.values() if one.name not in table.key]))
    before = rows[row][column.name]
    after = other(column, before, choice.draw(st.booleans()))
    rows[row][column.name] = after
    write(file, rows, rows[0])
    try:
        for ours, theirs, cells in ((study, record, (before, after)), (record, study, (after, before))):
            found = fhir_ivig.diff_study(Study.load(ours / "study.yaml"), theirs)
            [one] = found.differences
            assert (one.table, one.column, one.study_row, one.record_row) == (name, column.name, row + 2, row + 2)
            assert [value and value.split(" ")[0] for value in (one.study, one.record)] == [
                cell.split(" ")[0] or None for cell in cells
            ]
            assert one.certain
            assert not found.equal
            sums = total(found.agreement)
            assert 1 <= sums.cells - sums.equal <= 5  # with a unit go the quantities that are in it
    finally:
        shutil.copy(SAMPLE / f"{name}.csv", file)
