"""Results as a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from fhir_ivig.endpoints.result import Result
from fhir_ivig.report.words import probability

if TYPE_CHECKING:
    from fhir_ivig.endpoints.trace import Used

HEAD = ("endpoint", "population", "arm", "statistic", "time point", "n", "ours", "interval", "p", "published", "")


def results_table(results: Iterable[Result]) -> str:
    """One line a result; evidence on single persons is left to --json.

    The arm stands where any has one, the time point where the lines of an endpoint could not be told apart without.
    """
    shown = [result for result in results if result.subject is None]
    times: dict[tuple[str, str, str | None, str], set[str | None]] = {}
    for result in shown:
        times.setdefault(_line(result), set()).add(result.time_point)
    timed = {line[0] for line, every in times.items() if len(every) > 1}
    rows: list[Sequence[str]] = [HEAD]
    for result in shown:
        decimals = len(result.published.partition(".")[2]) if result.published else None
        mark = {True: "equal", False: "DIFFERS", None: ""}[result.agrees]
        rows.append(
            (
                result.endpoint,
                result.population,
                result.arm or "",
                result.statistic,
                (result.time_point or "") if result.endpoint in timed else "",
                "" if result.n is None else str(result.n),
                _rounded(result.estimate, decimals)
                + (f" {result.unit}" if result.unit and result.estimate is not None else ""),
                _interval(result),
                probability(result.p),
                result.published or "",
                mark or (result.warnings[0] if result.estimate is None and result.warnings else ""),
            )
        )
    filled = [place for place in range(len(HEAD)) if place not in (2, 4) or any(row[place] for row in rows[1:])]
    return _laid_out([[row[place] for place in filled] for row in rows])


def _line(result: Result) -> tuple[str, str, str | None, str]:
    return result.endpoint, result.population, result.arm, result.statistic


def _interval(result: Result) -> str:
    """The interval, empty where there is none; one without an upper end says so."""
    if result.low is None:
        return ""
    low = _rounded(result.low, None)
    return f"from {low}" if result.high is None else f"{low} to {_rounded(result.high, None)}"


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
