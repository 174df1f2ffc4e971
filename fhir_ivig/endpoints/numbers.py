"""Columns of exact numbers: whole multiples of a power of ten in an array, Decimals only where one is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any, overload

import pyarrow as pa
import pyarrow.compute as pc

LARGEST = 2**60  # of a whole number in 64 bits, so that two can be added or subtracted


class Numbers(Sequence[Decimal]):
    """Exact numbers. `whole` is a numpy array (of Python's integers where 64 bits do not hold them) and `exponent`
    the power of ten that it is of: equal numbers are equal there, sums and differences are exact."""

    def __init__(self, whole: Any, exponent: int) -> None:
        self.whole, self.exponent = whole, exponent

    @classmethod
    def of(cls, numbers: Iterable[Decimal]) -> Numbers:
        """These numbers; those that are `Numbers` already as they are."""
        import numpy as np

        if isinstance(numbers, Numbers):
            return numbers
        every = list(numbers)
        exponent = min((int(number.as_tuple().exponent) for number in every), default=0)
        whole = [int(number.scaleb(-exponent)) for number in every]
        return cls(np.array(whole, np.int64 if max(map(abs, whole), default=0) < LARGEST else object), exponent)

    @classmethod
    def read(cls, texts: pa.Array) -> Numbers:
        """The numbers in texts that are all decimal numbers as written (quantities.DECIMAL)."""
        import numpy as np

        digits = pc.replace_substring(texts, ".", "")
        point = pc.find_substring(texts, ".").to_numpy(zero_copy_only=False)
        length = pc.utf8_length(texts).to_numpy(zero_copy_only=False)
        decimals = np.where(point < 0, 0, length - point - 1)
        most = int(decimals.max(initial=0))
        if len(texts) and int((length - (point >= 0) - decimals).max()) + most > 17:
            return cls.of(map(Decimal, texts.to_pylist()))
        powers = 10 ** np.arange(most + 1, dtype=np.int64)
        return cls(digits.cast(pa.int64()).to_numpy() * powers[most - decimals], -most)

    def __len__(self) -> int:
        return len(self.whole)

    @overload
    def __getitem__(self, place: int) -> Decimal: ...

    @overload
    def __getitem__(self, place: slice) -> Numbers: ...

    def __getitem__(self, place: int | slice) -> Decimal | Numbers:
        if isinstance(place, slice):
            return Numbers(self.whole[place], self.exponent)
        return Decimal(int(self.whole[place])).scaleb(self.exponent)

    def __iter__(self) -> Iterator[Decimal]:
        return (Decimal(number).scaleb(self.exponent) for number in self.whole.tolist())

    def at(self, places: Any) -> Numbers:
        """Those at these places (an array)."""
        return Numbers(self.whole[places], self.exponent)

    def minus(self, other: Numbers) -> Numbers:
        """The differences, each of these less the other's at its place."""
        exponent = min(self.exponent, other.exponent)
        return Numbers(self._scaled(exponent) - other._scaled(exponent), exponent)

    def _scaled(self, exponent: int) -> Any:
        power = 10 ** (self.exponent - exponent)
        small = self.whole.dtype != object and (not len(self) or int(abs(self.whole).max()) * power < LARGEST)
        return self.whole * power if small else self.whole.astype(object) * power

    @property
    def alike(self) -> bool:
        """Whether no two differ."""
        return not len(self) or bool((self.whole == self.whole[0]).all())

    def mean(self) -> Decimal | None:
        """From the exact sum (28 digits where it does not end); None of none."""
        if not len(self):
            return None
        plain = self.whole.dtype != object and int(abs(self.whole).max()) * len(self) < 2**63
        total = int(self.whole.sum()) if plain else sum(self.whole.tolist())
        numerator, denominator = Decimal(total).scaleb(self.exponent).as_integer_ratio()
        return Decimal(numerator) / (denominator * len(self))

    @cached_property
    def floats(self) -> Any:
        """As an array of floats, each the nearest to its number."""
        import numpy as np

        if self.whole.dtype != object and -22 <= self.exponent <= 0 and np.abs(self.whole).max(initial=0) < 2**53:
            return self.whole / float(10**-self.exponent)  # both are exact, so the quotient is the nearest float
        return np.array([float(number) for number in self])
