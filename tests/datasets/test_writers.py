"""Data sets written and read back by others: every cell comes back equal, or an Issue names it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from datasets.read_back import LETTERS, READ, Cells, dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_ivig.datasets.dataset import Dataset
from fhir_ivig.datasets.output import KINDS, writer
from fhir_ivig.issue import Issue

SIGNS = "=+-@\t\r\n'\"#,;_x0041 é日\x00\x1f\ufffe\U0001f600"
FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "=", "-"]
LOOKALIKES = ["#N/A", "_x0041_", "-5", "007", "TRUE", "2003-05", "NULL", "'quoted'"]
LENGTHS = st.builds(
    lambda sign, count: sign * count, st.sampled_from("aé日 "), st.sampled_from([199, 200, 201, 32768])
)
TEXTS = st.text(max_size=12) | st.text(SIGNS, max_size=12) | st.sampled_from(FORMULAS + LOOKALIKES) | LENGTHS
NUMBERS = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?", fullmatch=True),
    st.sampled_from(
        ["612.60", "-0", "-0.0", "0.10", "1e400", "7.3e75", "1e-80", "0.1234567890123456", "9007199254740993"]
    ),
    st.text(max_size=5),
)
DATES = st.sampled_from(["2003", "2003-05", "1899-12-31"])
CELL = {"text": TEXTS, "integer": NUMBERS, "decimal": NUMBERS, "date": DATES}


def test_every_kind_is_read_back() -> None:
    assert set(READ) == set(KINDS)


def written(kind: str, made: Dataset) -> tuple[Cells, list[Issue]]:
    """What is read back, and the Issues of writing."""
    with TemporaryDirectory() as name:
        issues = writer(kind)([made], Path(name))
        return READ[kind](Path(name)), issues


@st.composite
def hostile(draw: st.DrawFn) -> Dataset:
    """A data set whose cells are anything; no cell is the empty text, as everywhere."""
    rows = draw(st.integers(1, 4))
    column = {name: st.none() | CELL[kind].filter(bool) for name, kind in LETTERS.items()}
    return dataset({name: [draw(cells) for _ in range(rows)] for name, cells in column.items()})


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(made=hostile())
def test_a_cell_comes_back_or_an_issue_names_it(kind: str, made: Dataset) -> None:
    read, issues = written(kind, made)
    told = {(issue.row, issue.column) for issue in issues}
    for name, texts in made.table.to_pydict().items():
        back = read[name] + [None] * (len(texts) - len(read[name]))  # empty rows at the end may be no rows there
        assert len(back) == len(texts)
        for place, (text, other) in enumerate(zip(texts, back, strict=True)):
            assert same(kind, name, text, other) or (place + 2, name) in told


def same(kind: str, name: str, text: str | None, read: str | None) -> bool:
    """Whether a cell came back: SAS has numbers, not their digits."""
    if kind == "xpt" and LETTERS[name] in ("integer", "decimal") and text is not None and read is not None:
        return Decimal(text) == Decimal(read)
    return text == read or (kind.startswith("dataset") and LETTERS[name] == "integer" and text == f"-{read}" == "-0")
