"""From a value to a place in a figure, and the round values that an axis is labelled with."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log10


@dataclass(frozen=True, slots=True)
class Scale:
    """The values `low` to `high` on the places `start` to `end`; logarithmic if `log` (then above 0)."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = (log10(number) if self.log else number for number in (self.low, self.high, value))
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, wanted: int = 5) -> list[float]:
        """Round values within the scale: about so many, or 1, 2, 5 times powers of ten on a logarithmic one."""
        if self.log:
            powers = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
            every = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
            inside = [tick for tick in every if self.low <= tick <= self.high]
            return inside if len(inside) <= 2 * wanted else [tick for tick in inside if log10(tick) % 1 == 0]
        step = _step((self.high - self.low) / max(1, wanted))
        first = ceil(self.low / step - 1e-9)
        return [number * step for number in range(first, floor(self.high / step + 1e-9) + 1)]


def around(values: list[float], start: float, end: float, *, log: bool = False, zero: bool = False) -> Scale:
    """A scale with room for all values that ends on round ones; from 0 if `zero`."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if log:
        return Scale(10 ** (log10(low) - 0.08), 10 ** (log10(high) + 0.08), start, end, log=True)
    low = min(low, 0.0) if zero else low
    high = high if high > low else low + 1
    step = _step((high - low) / 5)
    return Scale(floor(low / step) * step, ceil(high / step) * step, start, end)


def tick_text(value: float) -> str:
    """A round value without an exponent: 0.5, 200, 10,000."""
    return f"{value:,.10g}".replace("-", "\N{MINUS SIGN}")


def _step(rough: float) -> float:
    power = 10.0 ** floor(log10(rough)) if rough > 0 else 1.0
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
