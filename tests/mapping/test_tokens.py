"""Cells to JSON: nothing rounded, everything escaped, whatever JSON's own reader makes of it is the cell."""

from __future__ import annotations

import json
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_ivig.mapping.template import Constant, Group, Hole
from fhir_ivig.mapping.tokens import Cells, Tokens, escaped, repeated, scaled, tokens, unscaled

ODD = [
    '"',
    "\\",
    '\\"',
    "a\tb",
    "line\nbreak",
    "cr\r\n",
    "\x00",
    "\x1f",
    "\x7f",
    "\u2028",
    "\\u0041",
    "か",
    "😀",
    "{}",
    "",
]


def json_of(found: Tokens) -> list[str | None]:
    """The tokens as they stand in the JSON."""
    return [None if text is None else f"{found.quote}{text}{found.quote}" for text in found.text.to_pylist()]


def bad(found: Tokens) -> list[bool | None]:
    return [] if found.bad is None else found.bad.to_pylist()


def both(hole: Hole, column: list[str | None]) -> Tokens:
    """The tokens of a column, the same whether its distinct cells are looked at or all."""
    cells = pa.array(column, pa.string())
    plain, few = (tokens(hole, each, {}) for each in (Cells(cells), Cells(cells, cells.dictionary_encode())))
    assert (json_of(plain), bad(plain), plain.said) == (json_of(few), bad(few), few.said)
    return plain


def hole(kind: str, **more: object) -> Hole:
    return Hole(("cell",), kind, "Type.element", 1, **more)  # type: ignore[arg-type]


# cell, factor, what is written; None where it would not come back as it is written
SCALED = [
    ("0.4", "1000", "400.0"),
    ("0.40", "1000", "400.00"),
    ("400", "1000", "400000"),
    ("612.60", "0.001", "0.61260"),
    ("0", "1000", "0"),
    ("-1.5", "2", "-3.0"),
    ("1", "0.5", "0.5"),
    ("1" * 150, "10", "1" * 150 + "0"),
    ("1" * 250, "10", None),
    ("1e3", "10", None),
    ("+1", "10", None),
    ("01", "10", None),
    (".5", "10", None),
    ("5.", "10", None),
    (" 1", "10", None),
    ("1_0", "10", None),
    ("\u0661", "10", None),
    ("NaN", "10", None),
    ("Infinity", "10", None),
    ("sNaN", "10", None),
    ("1,5", "10", None),
    ("", "10", None),
    ("one", "10", None),
]


@pytest.mark.parametrize(("cell", "factor", "written"), SCALED)
def test_a_cell_times_a_factor(cell: str, factor: str, written: str | None) -> None:
    assert scaled(cell, Decimal(factor)) == written
    if written:
        assert unscaled(written, Decimal(factor)) == cell


@pytest.mark.parametrize(("text", "factor"), [("1", "3"), ("10", "7"), ("sNaN", "2"), ("one", "2")])
def test_what_cannot_be_divided_exactly_is_not(text: str, factor: str) -> None:
    assert unscaled(text, Decimal(factor)) is None


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9),
    st.sampled_from([Decimal(factor) for factor in ("1000", "0.001", "60", "3", "0.7", "12.5")]),
)
def test_scaling_is_exact_or_refused(number: Decimal, factor: Decimal) -> None:
    cell = format(number, "f")
    written = scaled(cell, factor)
    if written is not None:
        assert Decimal(written) == number * factor
        assert unscaled(written, factor) == cell


def test_scaled_cells_in_a_column() -> None:
    found = both(hole("decimal", factor=Decimal(1000)), ["0.40", None, "x", "1e3"])
    assert json_of(found) == ["400.00", None, None, None]
    assert bad(found) == [False, False, True, True]
    assert found.code == "value"


def test_text_is_escaped() -> None:
    found = escaped(pa.array([*ODD, None]))
    assert [None if text is None else json.loads(f'"{text}"') for text in found.to_pylist()] == [*ODD, None]
    plain = pa.array(["a", "b", None])
    assert escaped(plain) is plain


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]))))
def test_any_text_is_escaped(texts: list[str | None]) -> None:
    found = escaped(pa.array(texts, pa.string())).to_pylist()
    assert [None if text is None else json.loads(f'"{text}"') for text in found] == texts


def test_text_in_a_column() -> None:
    found = both(hole("string"), ['say "a"', None, "x\x01y", " ", "tab\t"])
    assert json_of(found)[:2] == ['"say \\"a\\""', None]
    assert bad(found) == [False, None, True, True, False]


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("decimal", ["612.60", "-0.5", "1e3", "0"], ["1,5", "+1", ".5", "01", "NaN", "", " 1"]),
        ("integer", ["-2147483647", "0", "7"], ["2147483648", "1.0", "1e2", "-"]),
        ("positiveInt", ["1", "2147483647"], ["0", "-1"]),
        ("boolean", ["true", "false"], ["yes", "True", "1"]),
        ("date", ["2003", "2003-05", "2004-02-29"], ["2003-02-29", "2003-13", "17.5.2003", "0000"]),
        ("dateTime", ["2003-05", "2003-05-17T09:30:00+09:00"], ["2003-05-17T09:30", "2003-05-17T24:00:00Z"]),
        ("code", ["a b", "a-b"], [" a", "a  b", ""]),
    ],
)
def test_cells_are_written_as_they_are_or_marked(kind: str, right: list[str], wrong: list[str]) -> None:
    found = both(hole(kind), [*right, None])
    quote = "" if kind in ("decimal", "integer", "positiveInt", "boolean") else '"'
    assert json_of(found) == [*(f"{quote}{cell}{quote}" for cell in right), None]
    assert not any(bad(found))
    for cell in wrong:
        assert bad(both(hole(kind), [right[0], cell])) == [False, True], cell


def test_a_required_value_set() -> None:
    found = both(hole("code", codes=frozenset({"male", "female"})), ["male", "man", None])
    assert (json_of(found), bad(found)) == (['"male"', None, None], [False, True, False])
    assert (found.code, found.said) == ("code-invalid", "one of female, male")


def concept(code: str) -> Group:
    return Group("Coding", {"code": Constant(code, "code", "Type.element.code", 1)}, "Type.element", 1)


MAPPED = {"death": (concept("C48275"), concept("other")), "important": (concept("C82521"),)}


def test_a_code_map_writes_the_first_of_each_list() -> None:
    found = both(hole("Coding", via="criteria", entries=MAPPED), ["death", "important", "deaths", None])
    assert json_of(found) == ['{"code":"C48275"}', '{"code":"C82521"}', None, None]
    assert bad(found) == [False, False, True, False]
    assert found.said == "one of death, important"


def test_several_words_in_a_cell() -> None:
    each = hole("Coding", via="criteria", entries=MAPPED, repeat=True)
    column = pa.array(["death;important", "death", None, "death;", "deaths;important", "important;death"])
    found = repeated(each, column, lambda words: tokens(each, Cells(words), {}).text)
    assert json_of(found) == [
        '{"code":"C48275"},{"code":"C82521"}',
        '{"code":"C48275"}',
        *(None, None, None),
        '{"code":"C82521"},{"code":"C48275"}',
    ]
    assert bad(found) == [False, False, False, True, True, False]
    assert found.said == "words separated by ;, each one of death, important"
    assert bad(repeated(each, column[:2], lambda words: tokens(each, Cells(words), {}).text)) == []
