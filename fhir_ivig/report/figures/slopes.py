"""Two visits side by side: a line a subject from the earlier to the later value, and the means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from statistics import mean

from fhir_ivig.endpoints.definition import Measure, Visit
from fhir_ivig.report import words
from fhir_ivig.report.figures import svg
from fhir_ivig.report.figures.axes import spread, value_axis
from fhir_ivig.report.figures.figure import LINES, Figure, named, sample, thinned
from fhir_ivig.report.figures.scale import around
from fhir_ivig.report.sheet import Sheet

WIDTH, HEIGHT = 340, 300
AXIS, LEFT, RIGHT, TOP, BOTTOM = 48, 104, 246, 30, 258
NAMED = 5  # subjects who got worse that have room for a name


@dataclass(frozen=True, slots=True)
class Pair:
    """One subject's value before and after, and the resources or rows that they came from."""

    before: Decimal
    after: Decimal
    sources: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Pairs:
    """What an endpoint compares: a measure at two visits, with the pairs by subject."""

    endpoint: str
    label: str
    population: str
    measure: Measure
    visits: tuple[Visit, Visit]
    pairs: Mapping[str, Pair]
    log: bool = False


def direction(pair: Pair, better: str | None) -> str:
    """`better`, `worse` or `same`; without a better direction, lower counts as `worse` in drawing only."""
    change = pair.after - pair.before
    if not change:
        return "same"
    return "better" if (change > 0) == (better != "lower") else "worse"


def slopes(found: Pairs) -> Figure | None:
    """The figure, None where no subject has both values."""
    if not found.pairs:
        return None
    amounts = [float(amount) for pair in found.pairs.values() for amount in (pair.before, pair.after)]
    up = around(
        amounts,
        BOTTOM,
        TOP,
        log=found.log and min(amounts) > 0,
        zero=2 * min(amounts) < max(amounts) and found.measure.scale_max is not None,
    )
    unit = words.unit(found.measure.unit)
    shown = sample(sorted(found.pairs), LINES)
    pieces = value_axis(up, AXIS, WIDTH - 46)
    for x, visit in zip((LEFT, RIGHT), found.visits, strict=True):
        pieces.append(svg.line((x, TOP), (x, BOTTOM), "axis"))
        pieces.append(svg.text((x, BOTTOM + 19), visit.name, "text", "middle", 12))
    for subject in shown:
        pair = found.pairs[subject]
        ends = [(LEFT, up(float(pair.before))), (RIGHT, up(float(pair.after)))]
        drawn = svg.polyline(ends, direction(pair, found.measure.better))
        for at, amount, visit, source in zip(
            ends, (pair.before, pair.after), found.visits, pair.sources, strict=True
        ):
            drawn += svg.dot(at, "point", f"{subject}, {visit.name}: {amount} {unit}\n{source}")
        pieces.append(svg.group(drawn))
    worse = {
        subject: up(float(found.pairs[subject].after))
        for subject in shown
        if found.measure.better and direction(found.pairs[subject], found.measure.better) == "worse"
    }
    for subject, y in spread(worse, 12, TOP, BOTTOM).items() if len(worse) <= NAMED else ():
        pieces.append(svg.text((RIGHT + 10, y + 4), svg.shortened(subject, 84, 11), "event-text", size=11))
    means = [mean(pair.before for pair in found.pairs.values()), mean(pair.after for pair in found.pairs.values())]
    pieces.append(svg.polyline([(LEFT, up(float(means[0]))), (RIGHT, up(float(means[1])))], "mean"))
    for x, amount, visit in zip((LEFT, RIGHT), means, found.visits, strict=True):
        at = (x, up(float(amount)))
        pieces.append(svg.dot(at, "mean-point", f"Mean at {visit.name}: {words.short(amount)} {unit}", 5))
        aside, anchor = (x - 10, "end") if x == LEFT else (x + 10, "start")
        pieces.append(svg.text((aside, at[1] - 4), words.short(amount), "mean-text", anchor))
    label = f"{unit or found.measure.label}{', logarithmic scale' if up.log else ''}"
    pieces.append(svg.text((8, 14), svg.shortened(label, WIDTH - 16, 12), "soft", size=12))
    name = named("slopes", found.endpoint)
    return Figure(
        name,
        f"{found.label}: {found.visits[0].name} to {found.visits[1].name}",
        svg.picture(name, label, _said(found, means, unit), WIDTH, HEIGHT, pieces),
        _sheet(found),
        _note(found, len(shown)),
    )


def _note(found: Pairs, shown: int) -> str:
    said = f"{found.population}, n = {len(found.pairs):,}. Bold line: mean. {_tally(found)}"
    return f"{said} {thinned(shown, len(found.pairs))}".strip()


def _tally(found: Pairs) -> str:
    counts = {"better": 0, "same": 0, "worse": 0}
    for pair in found.pairs.values():
        counts[direction(pair, found.measure.better)] += 1
    known = found.measure.better is not None
    names = (
        ("Better (solid)", "same (dotted)", "worse (dashed)") if known else ("Up (solid)", "same", "down (dashed)")
    )
    return ", ".join(f"{name} {count:,}" for name, count in zip(names, counts.values(), strict=True)) + "."


def _said(found: Pairs, means: list[Decimal], unit: str) -> str:
    first, second = found.visits
    return (
        f"{len(found.pairs):,} subjects with both values. Mean {words.short(means[0])} {unit} at {first.name}, "
        f"{words.short(means[1])} {unit} at {second.name}. {_tally(found)}"
    )


def _sheet(found: Pairs) -> Sheet:
    rows = [
        (subject, str(pair.before), str(pair.after), str(pair.after - pair.before), *pair.sources)
        for subject, pair in sorted(found.pairs.items())
    ]
    first, second = (visit.name for visit in found.visits)
    heads = ("Subject", first, second, "Change", f"Behind {first}", f"Behind {second}")
    return Sheet(f"{found.label}: {first} to {second}", heads, rows, numbers=(1, 2, 3))
