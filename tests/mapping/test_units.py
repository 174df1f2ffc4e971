"""Units are converted exactly or not at all."""

from __future__ import annotations

from decimal import Decimal, DecimalException

import pytest

from fhir_ivig.mapping.units import factor, times

EXACT = [
    ("ukat/L", "U/L", "60"),  # 1 kat is 1 mol/s, 1 U is 1 umol/min
    ("nkat/L", "U/L", "0.06"),
    ("kU/L", "U/L", "1000"),
    ("U/mL", "U/L", "1000"),
    ("U/L", "U/L", "1"),
    ("U/L", "kU/L", "0.001"),
    ("g", "kg", "0.001"),
    ("mg/d", "g/d", "0.001"),
    ("mm", "cm", "0.1"),
    ("[lb_av]", "kg", "0.45359237"),  # by definition
    ("[in_i]", "cm", "2.54"),
    ("%", "1", "0.01"),
    ("[IU]/L", "[IU]/L", "1"),  # whatever it is, it is the same
    ("{score}", "{score}", "1"),
    ("no unit at all", "no unit at all", "1"),
]
REFUSED = {
    "not exact: a sixtieth": ("U/L", "ukat/L"),
    "not exact: a pound is no finite part of a kilogram": ("kg", "[lb_av]"),
    "arbitrary": ("[IU]/L", "U/L"),
    "arbitrary, in the other spelling": ("[iU]/L", "U/L"),
    "arbitrary, though the same in another spelling": ("[iU]/L", "[IU]/L"),
    "arbitrary in what is wanted": ("U/L", "[iU]/L"),
    "arbitrary with a prefix": ("k[IU]/L", "[IU]/L"),
    "arbitrary, of an antigen": ("[arb'U]/mL", "U/mL"),
    "a note in what is given": ("{score}", "1"),
    "a note in what is wanted": ("1", "{score}"),
    "a note beside a unit": ("mg{total}", "mg"),
    "an offset": ("Cel", "K"),
    "an offset the other way": ("K", "Cel"),
    "an offset on both sides": ("[degF]", "Cel"),
    "a logarithm": ("[pH]", "mol/L"),
    "another dimension": ("kg", "U/L"),
    "mass for amount": ("mg/dL", "mmol/L"),
    "no UCUM code": ("IU/L", "U/L"),
    "garbage": ("?!", "U/L"),
    "words": ("units per litre", "U/L"),
    "nothing": ("", "U/L"),
    "nothing wanted": ("U/L", ""),
    "a blank": (" ", "U/L"),
    "a blank round it": (" kU/L", "U/L"),
    "the case wrong": ("ku/l", "U/L"),
    "brackets not closed": ("((U/L", "U/L"),
    "code for a programmer": ("__import__('os')", "U/L"),
    "a division by zero": ("U/0", "U"),
    "a great exponent": ("m999999999", "cm999999999"),
    "too long": ("U/L" + ".1" * 100, "U/L"),
}


@pytest.mark.parametrize(("given", "wanted", "by"), EXACT)
def test_an_exact_factor(given: str, wanted: str, by: str) -> None:
    assert factor(given, wanted) == Decimal(by)


@pytest.mark.parametrize(("given", "wanted"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_exact_or_has_no_sense_is_refused(given: str, wanted: str) -> None:
    assert factor(given, wanted) is None


def test_a_value_times_a_factor_keeps_its_digits() -> None:
    assert times("612.60", Decimal(1)) == "612.60"
    assert times("1e3", Decimal(1)) == "1e3"
    assert times("10.21", factor("ukat/L", "U/L") or Decimal(0)) == "612.6"
    assert times("1.02", factor("kU/L", "U/L") or Decimal(0)) == "1020"
    assert times("0.500", Decimal("0.001")) == "0.000500"
    assert times("1e-3", Decimal(10)) == "0.010"


@pytest.mark.parametrize("text", ["1" * 201, "1e999999", "one"])
def test_a_value_that_cannot_be_multiplied_exactly_is_not(text: str) -> None:
    with pytest.raises(DecimalException):
        times(text, Decimal("1.1"))
