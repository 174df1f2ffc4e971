"""Units of measure: exact conversion between UCUM codes (https://ucum.org/ucum).

`ucumvert` reads UCUM codes and pint computes with Decimal. A factor is used only where it is exact, and arbitrary
units (`[iU]`, `[IU]`, `[arb'U]`, `{score}`) convert to nothing but themselves, as UCUM section 24 says.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, Inexact, InvalidOperation
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

UCUM = "http://unitsofmeasure.org"
_EXACT = Context(prec=200, Emin=-400, Emax=400, traps=[Inexact, InvalidOperation])
_LONGEST = 100  # no UCUM code is longer, and a parser should not be given what is
_TRUSTED = 20  # pint computes with 28 digits: a factor that needs them all was rounded
_ARBITRARY = re.compile(r"\[(iU|IU|arb'U|USP'U|GPL'U|MPL'U|APL'U|beth'U|anti'Xa'U|todd'U|dye'U|smgy'U|bdsk'U|ka'U)\]")


def times(text: str, factor: Decimal) -> str:
    """A decimal's text times an exact factor, without an exponent; the text itself when the factor is 1.

    DecimalException where that takes more than 200 digits. A factor adds no digits of its own (`1.02` times 1E+3 is
    `1020`, not `1020.00`), and takes none away.
    """
    if factor == 1:
        return text
    return format(_EXACT.multiply(Decimal(text), factor), "f")


@lru_cache(maxsize=4096)
def factor(given: str, wanted: str) -> Decimal | None:
    """What to multiply a value in `given` by to have it in `wanted`, without zeros at its end (60 is `6E+1`).

    None where that is not exact or has no sense.
    """
    if given == wanted:
        return Decimal(1)
    if len(given) > _LONGEST:
        return None
    if _ARBITRARY.search(given) or _ARBITRARY.search(wanted) or "{" in given or "{" in wanted:
        return None
    try:
        registry = _registry()
        unit, target = registry.from_ucum(given), registry.from_ucum(wanted)
        zero, one = (registry.Quantity(Decimal(count), unit.units).to(target.units).magnitude for count in (0, 1))
        if zero != 0:  # an offset, as between Cel and K: no factor
            return None
        exact = Fraction(one) * Fraction(unit.magnitude) / Fraction(target.magnitude)
        found = _EXACT.divide(Decimal(exact.numerator), Decimal(exact.denominator))
        return found.normalize() if len(found.as_tuple().digits) <= _TRUSTED else None
    except Exception:  # whatever the parser makes of a text that is no UCUM code
        return None


@cache
def _registry() -> Any:
    from ucumvert import PintUcumRegistry

    return PintUcumRegistry(non_int_type=Decimal)
