"""Results as a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from fhir_ivig.endpoints.result import Result

if TYPE_CHECKING:
    from fhir_ivig.endpoints.trace import Used

HEAD = ("endpoint", "population", "arm", "statistic", "n", "ours", "interval", "p", "published", "")


def results_table(results: Iterable[Result]) -> str:
    """One line a result, the arm where any has one; evidence on single persons is left to --json."""
    rows: list[Sequence[str]] = [HEAD]
    for result in results:
        if result.subject is not None:
            continue
        decimals = len(result.published.partition(".")[2]) if result.published else None
        mark = {True: "equal", False: "DIFFERS", None: ""}[result.agrees]
        rows.append(
            (
                result.endpoint,
                result.population,
                result.arm or "",
                result.statistic,
                "" if result.n is None else str(result.n),
                _rounded(result.estimate, decimals) + (f" {result.unit}" if result.unit else ""),
                "" if result.low is None else f"{_rounded(result.low, None)} to {_rounded(result.high, None)}",
                "" if result.p is None else "<0.0001" if result.p < 0.0001 else f"{result.p:.4f}",
                result.published or "",
                mark or (result.warnings[0] if result.estimate is None and result.warnings else ""),
            )
        )
    if not any(row[2] for row in rows[1:]):
        rows = [(*row[:2], *row[3:]) for row in rows]
    return _laid_out(rows)


def trace_table(found: Iterable[Used]) -> str:
    """One line a value read, the columns that say anything."""
    rows: list[Sequence[str]] = [("subject", "what", "visit", "value", "used", "row", "resource", "")]
    for one in found:
        value = f"{one.value or ''}{f' = {one.number}' if one.number else ''} {one.unit or ''}".strip()
        said = "; ".join(filter(None, ("baseline" if one.baseline else "", one.rule, one.why)))
        rows.append(
            (one.subject, one.what, one.visit or "", value, one.used, one.row or "", one.resource or "", said)
        )
    filled = [place for place in range(8) if place < 5 or any(row[place] for row in rows[1:])]
    return _laid_out([[row[place] for place in filled] for row in rows])


def _laid_out(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _rounded(number: Decimal | None, decimals: int | None) -> str:
    """A number rounded half up to so many decimals: those of the published figure, else two where it has more."""
    if number is None:
        return "not evaluable"
    places = decimals if decimals is not None else min(2, max(0, -int(number.as_tuple().exponent)))
    return str(number.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP))
