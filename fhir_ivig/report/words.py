"""Numbers and names as a reader of a journal expects them."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from fhir_ivig.endpoints.result import Result
from fhir_ivig.issue import many

GROUPED = 10_000
MINUS = "\N{MINUS SIGN}"
# Units that a unit code of UCUM stands for, where a reader would not know the code.
UNITS = {"a": "years", "d": "days", "score": "points", "mg/d": "mg/day", "g/kg/d": "g/kg/day", "rank sum": ""}
STATISTICS = {
    "n": "Number",
    "age_min": "Youngest",
    "age_max": "Oldest",
    "age_mean": "Mean age",
    "mean_from": "Mean before",
    "mean_to": "Mean after",
    "mean_difference": "Mean change",
    "mean_reduction": "Mean reduction",
    "wilcoxon": "Wilcoxon signed-rank",
    "median_from": "Median before",
    "median_to": "Median after",
    "median_difference": "Median change",
    "hodges_lehmann": "Hodges\N{EN DASH}Lehmann estimate",
    "percent": "Percent",
    "percent_clopper_pearson": "Percent (Clopper\N{EN DASH}Pearson)",
    "percent_wilson": "Percent (Wilson)",
    "percent_wald": "Percent (Wald)",
    "difference_newcombe": "Difference (Newcombe)",
    "difference_miettinen_nurminen": "Difference (Miettinen\N{EN DASH}Nurminen)",
    "difference_wald": "Difference (Wald)",
    "second": "Second courses",
    "courses_with_event": "Courses with an event",
    "fisher": "Fisher's exact test",
    "barnard": "Barnard's test",
    "log_rank": "Log-rank test",
    "rank_sum": "Wilcoxon rank-sum",
    "ancova": "Difference, adjusted for the value before",
    "difference_t": "Difference (Student's t)",
    "difference_welch": "Difference (Welch's t)",
    "carry_over": "Carry-over",
    "PM": "Polymyositis",
    "DM": "Dermatomyositis",
    "female": "Women",
    "male": "Men",
}
GRADES = ("minimal", "moderate", "major")
ENDS = {"min": "Least", "max": "Greatest"}
COUNTED = {"subjects", "courses", "infusions", "events", "visits", "days", "positive differences"}


def statistic(name: str) -> str:
    """A statistic's name in words: `within_tolerance` becomes `Within tolerance`, `min_dose` becomes `Least dose`."""
    if name in STATISTICS:
        return STATISTICS[name]
    first, _, rest = name.partition("_")
    if first in GRADES:
        return f"{first.capitalize()} response{f': {statistic(rest)}' if rest else ''}"
    if first in ENDS:
        return f"{ENDS[first]} {rest.replace('_', ' ')}".strip()
    words = name.replace("_", " ").strip()
    if words.endswith(" -"):
        words = f"{words[:-2]}: not stated"
    return words[:1].upper() + words[1:]


def unit(code: str | None, one: bool = False) -> str:
    """A unit as it is read out; of `one` that is counted, `1 course`."""
    said = UNITS.get(code or "", code or "")
    return said.removesuffix("s") if one and said in COUNTED else said


def number(value: Decimal, places: int) -> str:
    """A number rounded half up to so many decimals, with a true minus sign, and commas from 10,000 on."""
    rounded = value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    if not rounded:
        return str(abs(rounded))
    return (f"{rounded:,}" if abs(rounded) >= GROUPED else str(rounded)).replace("-", MINUS)


def places(*values: Decimal | None) -> int:
    """Decimals that give the greatest of the values three digits, at most two; none where all are whole."""
    known = [value for value in values if value is not None]
    if not any(value % 1 for value in known):
        return 0
    return min(2, max(0, 2 - max(abs(value) for value in known).adjusted()))


def short(value: Decimal) -> str:
    """A number with at most three digits and two decimals, for figures."""
    return number(value, places(value))


def estimate(result: Result) -> str:
    """The estimate to the decimals of the published figure, else to three digits where it is not whole."""
    if result.estimate is None:
        return "not evaluable"
    if result.published is not None:
        return number(result.estimate, len(result.published.partition(".")[2]))
    return number(result.estimate, _places(result))


def interval(result: Result) -> str:
    """The interval, empty where there is none; one without an upper end says so."""
    if result.low is None:
        return ""
    if result.high is None:
        return f"from {number(result.low, _places(result))}"
    return f"{number(result.low, _places(result))} to {number(result.high, _places(result))}"


def probability(p: float | None) -> str:
    """A p-value to four decimals."""
    return "" if p is None else "<0.0001" if p < 0.0001 else f"{p:.4f}"


def _places(result: Result) -> int:
    return places(*(value for value in (result.estimate, result.low, result.high) if value is not None))


def counted(count: int, one: str, several: str = "") -> str:
    """`1 subject`, `12 subjects`, `10,000 subjects`."""
    return many(count, one, several, ",")
