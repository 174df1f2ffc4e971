"""How much of a background medication was spared over time, and how soon its dose came down to a target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from fhir_ivig.endpoints.definition import Population, Visit
from fhir_ivig.endpoints.inference import paired_t, proportion
from fhir_ivig.endpoints.medications import Dose, assumed, in_force, treated
from fhir_ivig.endpoints.quantities import average
from fhir_ivig.endpoints.result import NotEvaluableError, Result, left_out, named
from fhir_ivig.endpoints.tables import Row, Tables, references
from fhir_ivig.issue import Issue


@dataclass(frozen=True, slots=True)
class _Spell:
    """The doses of one subject on each day from one visit to another, the day of the second not included in them."""

    daily: list[Decimal]
    last: Decimal  # on the day of the second visit
    stopped: bool  # no dose on record at some time after an earlier one ended
    rows: list[Row]

    @property
    def area(self) -> Decimal:
        """The sum of the daily doses."""
        return sum(self.daily, Decimal(0))

    def reached(self, target: Decimal) -> int | None:
        """Days until the dose was at or below the target and stayed so to the end, None where that was never."""
        every = [*self.daily, self.last]
        above = [day for day, dose in enumerate(every) if dose > target]
        after = above[-1] + 1 if above else 0
        return after if after < len(every) else None


def steroid_sparing(
    tables: Tables,
    population: Population,
    medication: str,
    unit: str,
    from_: Visit,
    to: Visit,
    target: Decimal | None = None,
) -> Iterator[Result | Issue]:
    """Over the days from the target day of one visit to that of another, counted from the first infusion given:
    `mean_area` (sum of the daily doses), `mean_daily_dose`; with t intervals `mean_spared` (what the dose at `from`,
    kept up, would have given, minus the area), `mean_reduction` (dose at `from` minus that at `to`) and
    `mean_percent_reduction`; with a `target` `target_reached`, `percent` and `median_days_to_target`. Then each
    subject's `area`, `reduction` and `days_to_target`.

    The target is reached on the first day from which the dose stays at or below it up to `to`. A dose of 0 after the
    medication ended is an assumption, named in a warning; a day whose dose is not known leaves the subject out.
    """
    if from_.day is None or to.day is None or from_.day >= to.day:
        raise NotEvaluableError(f"{from_.name} and {to.name} need target days, the second after the first")
    found = treated(tables, population, medication, unit)
    yield from found.issues
    reasons, spells = found.reasons, dict[str, _Spell]()
    for subject, start in found.starts.items():
        spell = _spell(found.doses[subject], start, from_.day, to.day)
        if isinstance(spell, _Spell):
            spells[subject] = spell
        else:
            reasons[subject] = spell
    said = left_out(reasons) + assumed([subject for subject, spell in spells.items() if spell.stopped])
    span = f"{from_.name} to {to.name}"
    sources = references(row for spell in spells.values() for row in spell.rows)
    for result in [*_means(spells, unit), *(_target(list(spells.values()), target) if target is not None else ())]:
        yield replace(
            result,
            time_point=span,
            n=len(spells),
            missing=len(reasons),
            warnings=result.warnings + said,
            resources=sources,
        )
    for subject, spell in spells.items():
        days = None if target is None else spell.reached(target)
        for statistic, estimate, in_unit in (
            ("area", spell.area, _area_unit(unit)),
            ("reduction", spell.daily[0] - spell.last, unit),
            ("days_to_target", None if days is None else Decimal(days), "d"),
        ):
            if statistic == "days_to_target" and target is None:
                continue
            yield Result(
                statistic=statistic, subject=subject, time_point=span, n=1, estimate=estimate,
                unit=in_unit, warnings=() if estimate is not None else ("Not reached.",),
                resources=references(spell.rows),
            )  # fmt: skip


def _area_unit(unit: str) -> str:
    return unit.removesuffix("/d") if unit.endswith("/d") else f"{unit}.d"


def _spell(every: list[Dose], start: date, from_: int, to: int) -> _Spell | str:
    """The doses of each day, or why one is not known."""
    amounts: list[Decimal] = []
    stopped = False
    for day in range(from_, to + 1):
        amount, why = in_force(every, start + timedelta(day))
        if amount is None:
            return f"on a day of it {why}"
        amounts.append(amount)
        stopped = stopped or bool(why)
    return _Spell(amounts[:-1], amounts[-1], stopped, [dose.row for dose in every])


def _means(spells: dict[str, _Spell], unit: str) -> Iterator[Result]:
    every = list(spells.values())
    none = () if every else ("Not evaluable: no subject has a dose on every day.",)
    areas = [spell.area for spell in every]
    daily = [spell.area / len(spell.daily) for spell in every]
    for statistic, numbers, in_unit in (("mean_area", areas, _area_unit(unit)), ("mean_daily_dose", daily, unit)):
        yield Result(statistic=statistic, estimate=average(numbers), unit=in_unit, method="mean", warnings=none)
    spared = [spell.daily[0] * len(spell.daily) - spell.area for spell in every]
    yield replace(paired_t(spared, "mean_spared"), unit=_area_unit(unit))
    yield replace(paired_t([spell.daily[0] - spell.last for spell in every], "mean_reduction"), unit=unit)
    percents = [100 * (spell.daily[0] - spell.last) / spell.daily[0] for spell in every if spell.daily[0]]
    result = replace(paired_t(percents, "mean_percent_reduction"), unit="%")
    if without := sorted(subject for subject, spell in spells.items() if not spell.daily[0]):
        said = f"Not in the percent, the dose was 0 to begin with: {named(without)}."
        result = replace(result, warnings=(*result.warnings, said))
    yield result


def _target(spells: Sequence[_Spell], target: Decimal) -> Iterator[Result]:
    days = sorted(day for spell in spells if (day := spell.reached(target)) is not None)
    method = f"dose at or below {target} and so to the end"
    none = () if spells else ("Not evaluable: no subject has a dose on every day.",)
    count = Decimal(len(days)) if spells else None
    yield Result(statistic="target_reached", estimate=count, unit="subjects", method=method, warnings=none)
    yield proportion(len(days), len(spells))
    # everybody is followed to the end, so that the median is that of Kaplan and Meier
    middle = (len(spells) + 1) // 2
    if spells and len(days) >= middle:
        yield Result(
            statistic="median_days_to_target",
            estimate=Decimal(days[middle - 1]),
            unit="d",
            method=f"{method}; day by which half had reached it",
        )
    else:
        said = ("Not evaluable: fewer than half reached it.",) if spells else none
        yield Result(statistic="median_days_to_target", unit="d", method=method, warnings=said)
