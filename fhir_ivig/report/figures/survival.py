"""Who is still without an event, by Kaplan and Meier: a curve an arm, a tick where somebody was last seen so."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from math import ceil

from fhir_ivig.endpoints.survival import Step, Time, kaplan_meier
from fhir_ivig.report import words
from fhir_ivig.report.figures import svg
from fhir_ivig.report.figures.axes import day_axis, spread, value_axis
from fhir_ivig.report.figures.figure import Figure, named, sample
from fhir_ivig.report.figures.palette import BANDS, MEANS
from fhir_ivig.report.figures.scale import Scale
from fhir_ivig.report.sheet import Sheet

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 680, 110, 566, 30, 270
NAMED = 6  # subjects of one day whom a mark names
MARKS = 200  # of an arm


@dataclass(frozen=True, slots=True)
class Ended:
    """How long a subject was followed and whether the event came, and the resource or row that says so."""

    time: Time
    source: str


@dataclass(frozen=True)
class Curve:
    """An arm: its subjects in the order of their times, and its events and median in words."""

    label: str
    ended: Mapping[str, Ended]
    said: str

    @cached_property
    def days(self) -> list[int]:
        """The last day of each subject, in order."""
        return [ended.time.days for ended in self.ended.values()]

    @cached_property
    def steps(self) -> list[Step]:
        """The estimate, from day 0 on."""
        start = Step(0, len(self.ended), 0, 1.0, None, None)
        return [start, *kaplan_meier([ended.time for ended in self.ended.values()])]

    @cached_property
    def ends(self) -> list[tuple[Time, dict[str, Ended]]]:
        """Who ended alike, on each day first those without the event."""
        return [(time, dict(some)) for time, some in groupby(self.ended.items(), lambda item: item[1].time)]

    def at(self, day: int) -> Step:
        """The estimate after that day."""
        return self.steps[bisect_right(self.steps, day, key=lambda step: step.day) - 1]

    def at_risk(self, day: int) -> int:
        """How many were followed to that day without the event before it."""
        return len(self.days) - bisect_left(self.days, day)


@dataclass(frozen=True, slots=True)
class Survival:
    """An endpoint: the curves of its arms, what day 0 is, the test between the arms in words."""

    endpoint: str
    label: str
    start: str
    curves: Sequence[Curve]
    test: str
    left_out: int = 0


def survival(found: Survival) -> Figure | None:
    """The figure, None where nobody's time is known."""
    days = [day for curve in found.curves for day in curve.days]
    if not days:
        return None
    across = Scale(0, max(1, *days), LEFT, RIGHT)
    up = Scale(0, 100, BOTTOM, TOP)
    drawn = [(MEANS[at], BANDS[at], curve) for at, curve in enumerate(found.curves[: len(MEANS)]) if curve.ended]
    pieces = [*value_axis(up, LEFT, RIGHT), *day_axis(across, TOP, BOTTOM, f"day from {found.start}")]
    for _, band, curve in drawn:
        pieces += _band(curve, band, across, up)
    for part, _, curve in drawn:
        pieces += _curve(curve, part, across, up)
    ends = {part: up(100 * curve.steps[-1].survival) for part, _, curve in drawn}
    labels = {part: curve.label for part, _, curve in drawn}
    for part, y in spread(ends, 15, TOP, BOTTOM).items() if len(found.curves) > 1 else ():
        said = svg.shortened(labels[part], WIDTH - RIGHT - 12, 12)
        pieces.append(svg.text((RIGHT + 8, y + 4), said, f"{part}-text", size=12))
    at_risk, height = _at_risk(drawn, across)
    said = " ".join(f"{curve.label}: {curve.said}." for curve in found.curves)
    title, name = found.label, named("survival", found.endpoint)
    label = svg.text((8, 16), "% without the event, band: 95 % interval", "soft", size=12)
    return Figure(
        name,
        title,
        svg.picture(name, title, f"{said} {found.test}".strip(), WIDTH, height, [*pieces, label, *at_risk]),
        _sheet(found),
        _note(found, said),
    )


def _corners(steps: Sequence[tuple[int, float]], last: int, across: Scale, up: Scale) -> list[svg.Point]:
    """The corners of a line of steps (day, share) that ends on the last day."""
    points: list[svg.Point] = []
    for day, share in steps:
        points += [(across(day), points[-1][1])] if points else []
        points.append((across(day), up(100 * share)))
    return [*points, (across(last), points[-1][1])]


def _band(curve: Curve, part: str, across: Scale, up: Scale) -> Iterator[str]:
    """The interval, as far as there is one."""
    steps = curve.steps[1:]
    known = [(step.day, step.low, step.high) for step in steps if step.low is not None and step.high is not None]
    if known:
        last = curve.days[-1] if len(known) == len(steps) else steps[-1].day
        below = _corners([(day, low) for day, low, _ in known], last, across, up)
        above = _corners([(day, high) for day, _, high in known], last, across, up)
        yield svg.polygon([*below, *reversed(above)], part)


def _curve(curve: Curve, part: str, across: Scale, up: Scale) -> Iterator[str]:
    """The line, a dot at each event and a tick at each end without one, many of one day being one mark."""
    yield svg.polyline(
        _corners([(step.day, step.survival) for step in curve.steps], curve.days[-1], across, up), part
    )
    for time, ended in sample(curve.ends, MARKS):
        now = curve.at(time.days)
        x, y = across(time.days), up(100 * now.survival)
        share = f"{100 * now.survival:.1f} %"
        between = f" ({100 * now.low:.1f} to {100 * now.high:.1f})" if now.low is not None and now.high else ""
        if time.event:
            said = f"{now.at_risk:,} at risk, {words.counted(now.events, 'event')}, {share}{between} without it after"
            yield svg.dot((x, y), f"{part}-point", _tip(curve, time, said, ended), 4)
        else:
            said = f"{len(ended):,} last seen without the event; {share}{between} without it"
            yield svg.line((x, y - 6), (x, y + 6), "left", _tip(curve, time, said, ended))


def _tip(curve: Curve, time: Time, said: str, ended: Mapping[str, Ended]) -> str:
    who = [f"{subject}: {one.source}" for subject, one in list(ended.items())[:NAMED]]
    more = [f"and {len(ended) - NAMED:,} more"] if len(ended) > NAMED else []
    return "\n".join([f"{curve.label}, day {time.days}: {said}", *who, *more])


def _at_risk(drawn: Sequence[tuple[str, str, Curve]], across: Scale) -> tuple[list[str], float]:
    """Under each day of the axis how many of an arm were still followed and without the event, and the height."""
    y = BOTTOM + 62
    pieces = [svg.text((8, y), "At risk", "soft", size=12)]
    for part, _, curve in drawn:
        y += 18
        pieces.append(svg.text((8, y), svg.shortened(curve.label, LEFT - 34, 12), f"{part}-text", size=12))
        for day in across.ticks(6):
            pieces.append(svg.text((across(day), y), f"{curve.at_risk(ceil(day)):,}", "text", "middle", 12))
    return pieces, y + 12


def _note(found: Survival, said: str) -> str:
    styles = ("Solid line", "Dashed line", "Dotted line")
    lines = [f"{style}: {curve.label}." for style, curve in zip(styles, found.curves, strict=False)]
    undrawn = ", ".join(curve.label for curve in found.curves[len(MEANS) :])
    marks = max(len(curve.ends) for curve in found.curves)
    few = f"At most {MARKS} dots and ticks of an arm are drawn, evenly spaced; all are in the data." * (marks > MARKS)
    out = f"{words.counted(found.left_out, 'subject')} whose time is not known left out." if found.left_out else ""
    return " ".join(
        filter(
            None,
            [
                said,
                found.test,
                *(lines if len(found.curves) > 1 else ()),
                "Dots: events. Ticks: last seen without one.",
                few,
                out,
                f"Not drawn: {undrawn}." if undrawn else "",
            ],
        )
    )


def _sheet(found: Survival) -> Sheet:
    """A row a subject, with the estimate after that day."""
    rows = []
    for curve in found.curves:
        for subject, ended in curve.ended.items():
            day, now = ended.time.days, curve.at(ended.time.days)
            what = "yes" if ended.time.event else "no"
            shares = ("" if share is None else f"{100 * share:.4f}" for share in (now.survival, now.low, now.high))
            rows.append((curve.label, subject, f"{day}", what, f"{curve.at_risk(day)}", *shares, ended.source))
    heads = ("Arm", "Subject", "Day", "Event", "At risk", "Percent without after", "Low", "High", "Resource or row")
    return Sheet(found.label, heads, rows, numbers=(2, 4, 5, 6, 7))
