"""A medication over time: a lane a subject, its dose as an area, infusions of immunoglobulin as marks under it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import quantiles

from fhir_ivig.report import words
from fhir_ivig.report.figures import svg
from fhir_ivig.report.figures.axes import day_axis
from fhir_ivig.report.figures.figure import LANES, Figure, named, sample, thinned
from fhir_ivig.report.figures.scale import Scale, tick_text
from fhir_ivig.report.sheet import Sheet

WIDTH, LEFT, RIGHT, TOP, LANE = 680, 92, 630, 34, 42
STEPS, FEWEST = 120, 10  # days looked at for everybody, and the fewest subjects of a day that are summed up
WHOLE = 64  # height of the panel for everybody
ROOM = 27  # of a lane, for the area of its dose


@dataclass(frozen=True, slots=True)
class Span:
    """A dose from its first to its last day, and the resource or row behind it."""

    first: int
    last: int
    amount: Decimal
    source: str
    ongoing: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """An infusion: its day, what it was, and the resource or row behind it."""

    day: int
    said: str
    source: str


@dataclass(frozen=True, slots=True)
class Course:
    """A medication in one population: the doses of each subject, and the infusions."""

    medication: str
    unit: str
    population: str
    doses: Mapping[str, Sequence[Span]]
    infusions: Mapping[str, Sequence[Given]]
    left_out: int = 0


def doses(course: Course) -> Figure | None:
    """The figure, None where there is no dose."""
    if not course.doses:
        return None
    subjects = sorted(course.doses)
    shown = sample(subjects, LANES)
    spans = [span for subject in shown for span in course.doses[subject]]
    days = [day for span in spans for day in (span.first, span.last)]
    days += [given.day for subject in shown for given in course.infusions.get(subject, ())]
    top = TOP if len(shown) == len(subjects) else TOP + WHOLE + 14
    bottom = top + LANE * len(shown)
    across = Scale(min(days), max(max(days), min(days) + 1), LEFT, RIGHT)
    greatest = max(float(span.amount) for every in course.doses.values() for span in every) or 1.0
    unit = words.unit(course.unit)
    pieces = day_axis(across, TOP, bottom)
    for place, subject in enumerate(shown):
        base = top + LANE * place + 4 + ROOM
        pieces.append(svg.text((LEFT - 10, base - 3), svg.shortened(subject, LEFT - 12, 12), "text", "end", 12))
        pieces += [_span(span, subject, across, base, greatest, unit) for span in course.doses[subject]]
        pieces.append(svg.line((LEFT, base), (RIGHT, base), "grid"))
        pieces += [
            svg.rectangle(
                across(given.day) - 1.2, base + 2, 2.4, 7, "infusion", f"{subject}, {given.said}\n{given.source}"
            )
            for given in course.infusions.get(subject, ())
        ]
    if len(shown) < len(subjects):
        pieces += _whole(course, across, greatest) + _height(TOP, WHOLE, greatest)
    pieces += _height(top + 4, ROOM, greatest)
    label = f"{course.medication.capitalize()} ({unit}), infusions as marks under each lane"
    pieces.append(svg.text((8, 16), label, "soft", size=12))
    said = (
        f"{words.counted(len(subjects), 'lane')}, one a subject. The greatest dose is {tick_text(greatest)} {unit}. "
        f"Infusions are marked below each dose; day 0 is the first of them."
    )
    name = named("doses", course.medication)
    out = f"{words.counted(course.left_out, 'subject')} without usable doses or first infusion not drawn."
    note = [f"{course.population}.", "Every lane has the same scale.", thinned(len(shown), len(subjects))]
    if len(shown) < len(subjects):
        note.append("Above them: median and middle 50 % of all subjects with a dose on record that day.")
    note += [out] if course.left_out else []
    return Figure(
        name,
        f"{course.medication.capitalize()} over time",
        svg.picture(name, label, said, WIDTH, bottom + 44, pieces),
        _sheet(course),
        " ".join(filter(None, note)),
    )


def _span(span: Span, subject: str, across: Scale, base: float, greatest: float, unit: str) -> str:
    height = ROOM * float(span.amount) / greatest
    left, right = across(span.first), across(span.last + 1) if span.last < across.high else across(span.last)
    until = "goes on" if span.ongoing else f"to {span.last}"
    said = f"{subject}, day {span.first} {until}: {span.amount} {unit}\n{span.source}"
    return svg.rectangle(left, base - height, max(right - left, 1), height, "dose", said)


def _whole(course: Course, across: Scale, greatest: float) -> list[str]:
    """Median and quartiles of the doses of everybody, day by day: what stands for those who have no lane."""
    found = []
    for step in range(STEPS + 1):
        day = across.low + (across.high - across.low) * step / STEPS
        amounts = [float(s.amount) for spans in course.doses.values() for s in spans if s.first <= day < s.last + 1]
        if len(amounts) >= FEWEST:
            found.append((across(day), *quantiles(amounts, n=4, method="inclusive")))
    base = TOP + WHOLE

    def up(amount: float) -> float:
        return base - WHOLE * amount / greatest

    outline = [(x, up(low)) for x, low, _, _ in found] + [(x, up(high)) for x, _, _, high in reversed(found)]
    middle = [(x, up(median)) for x, _, median, _ in found]
    label = svg.text((LEFT - 10, base - 3), "everybody", "mean-text", "end", 12)
    return [
        svg.polygon(outline, "inner-band"),
        svg.polyline(middle, "mean"),
        svg.line((LEFT, base), (RIGHT, base), "grid"),
        label,
    ]


def _height(top: float, room: float, greatest: float) -> list[str]:
    """How much a height is, at the right of a lane."""
    return [
        svg.line((RIGHT + 8, top), (RIGHT + 8, top + room), "axis"),
        svg.text((RIGHT + 13, top + 9), tick_text(greatest), "soft", size=11),
        svg.text((RIGHT + 13, top + room), "0", "soft", size=11),
    ]


def _sheet(course: Course) -> Sheet:
    rows = [
        (
            subject,
            course.medication,
            str(span.first),
            "" if span.ongoing else str(span.last),
            str(span.amount),
            span.source,
        )
        for subject, spans in sorted(course.doses.items())
        for span in spans
    ]
    rows += [
        (subject, "infusion", str(given.day), str(given.day), given.said.rpartition(": ")[2], given.source)
        for subject, found in sorted(course.infusions.items())
        if subject in course.doses
        for given in found
    ]
    heads = ("Subject", "What", "First day", "Last day", "Dose", "Resource or row")
    return Sheet(f"{course.medication.capitalize()} over time", heads, rows, numbers=(2, 3))
