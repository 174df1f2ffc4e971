"""Names of eight signs: what they become, and that no two are alike."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_ivig.datasets.sas_names import sas_names
from fhir_ivig.study.dictionary import dictionary


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["subject"], ["SUBJECT"]),
        (["planned_dose", "planned_dose_unit"], ["PLANDOSE", "PLADOSUN"]),
        (["scale_max"], ["SCALEMAX"]),
        (["seriousness_criteria"], ["SERICRIT"]),
        (["medications", "medication"], ["MEDICATI", "MEDICAT2"]),
        (["medications", "medicati"], ["MEDICAT2", "MEDICATI"]),
        (["a", "A", "á"], ["A", "A2", "_"]),
        (["1st_value"], ["_1STVALU"]),
        (["long_name_1", "long_name_2"], ["LONGNAM1", "LONGNAM2"]),
        (
            [f"overlong{sign}" for sign in "abcdefghijk"],
            ["OVERLONG", *(f"OVERLON{n}" for n in range(2, 10)), "OVERLO10", "OVERLO11"],
        ),
        (["USUBJID", "AESEQ", "_X1"], ["USUBJID", "AESEQ", "_X1"]),
    ],
)
def test_short_names(names: list[str], short: list[str]) -> None:
    assert sas_names(names) == dict(zip(names, short, strict=True))


@given(st.lists(st.one_of(st.text("ab_1", max_size=14), st.text(max_size=10)), max_size=30))
def test_names_are_right_and_no_two_alike(names: list[str]) -> None:
    found = sas_names(names)
    assert list(found) == list(dict.fromkeys(names))
    assert all(re.fullmatch(r"[A-Z_][A-Z0-9_]{0,7}", short) for short in found.values())
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize("table", dictionary())
def test_names_that_fit_stay_as_they_are(table: str) -> None:
    found = sas_names(dictionary()[table].columns)
    assert all(short == name.upper() for name, short in found.items() if len(name) <= 8)
