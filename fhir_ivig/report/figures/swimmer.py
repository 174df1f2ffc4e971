"""Who was followed how long: a lane a subject, with courses of immunoglobulin, adverse events and how it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fhir_ivig.report import words
from fhir_ivig.report.figures import svg
from fhir_ivig.report.figures.axes import day_axis
from fhir_ivig.report.figures.figure import LANES, Figure, sample, thinned
from fhir_ivig.report.figures.scale import Scale
from fhir_ivig.report.sheet import Sheet

WIDTH, LEFT, RIGHT, TOP, LANE = 680, 92, 650, 44, 24
LEAVERS = ("withdrawn", "ineligible")


@dataclass(frozen=True, slots=True)
class Happening:
    """Something on a subject's lane: `what` is course, event, serious or end; days from the first infusion."""

    what: str
    first: int
    last: int
    said: str
    source: str


@dataclass(frozen=True, slots=True)
class Lane:
    """A subject and what happened, in the order of days."""

    subject: str
    happenings: Sequence[Happening]


def swimmer(lanes: Sequence[Lane], left_out: int = 0) -> Figure | None:
    """The figure, None where there is no lane; `left_out` subjects have no first infusion known to the day."""
    if not lanes:
        return None
    shown = sample(lanes, LANES)
    days = [day for lane in shown for it in lane.happenings for day in (it.first, it.last)]
    across = Scale(min([0, *days]), max([1, *days]), LEFT, RIGHT)
    bottom = TOP + LANE * len(shown)
    pieces = day_axis(across, TOP, bottom) + _key()
    for place, lane in enumerate(shown):
        pieces += _lane(lane, TOP + LANE * place + LANE / 2, across)
    counts = Counter(it.what for lane in lanes for it in lane.happenings)
    said = (
        f"{words.counted(len(lanes), 'subject')}, {words.counted(counts['course'], 'course')}, "
        f"{words.counted(counts['event'] + counts['serious'], 'adverse event')}, {counts['serious']:,} serious."
    )
    note = [said, "A bar runs from the first infusion to the last day on record.", thinned(len(shown), len(lanes))]
    if left_out:
        note.append(f"{words.counted(left_out, 'subject')} without a first infusion known to the day not drawn.")
    return Figure(
        "swimmer",
        "Courses and events",
        svg.picture("swimmer", "Courses and events", said, WIDTH, bottom + 44, pieces),
        _sheet(lanes),
        " ".join(filter(None, note)),
    )


def _lane(lane: Lane, y: float, across: Scale) -> list[str]:
    last = max(it.last for it in lane.happenings)
    pieces = [svg.text((LEFT - 10, y + 4), svg.shortened(lane.subject, LEFT - 12, 12), "text", "end", 12)]
    pieces.append(svg.rectangle(across(0), y - 5, across(last) - across(0), 10, "follow"))
    marks = {
        "event": (svg.triangle, "event"),
        "serious": (svg.triangle, "serious"),
        "end": (svg.dot, "end"),
        "left": (_cross, "left"),
    }
    for it in sorted(lane.happenings, key=lambda it: it.what != "course"):
        tip = f"{lane.subject}, {it.said}\n{it.source}"
        if it.what == "course":
            width = max(across(it.last + 1) - across(it.first), 4)
            pieces.append(svg.rectangle(across(it.first), y - 8, width, 16, "infusion", tip, 1.5))
        else:
            draw, part = marks[it.what]
            pieces.append(draw((across(it.first), y), part, tip))
    return pieces


def _cross(at: svg.Point, part: str, tip: str = "") -> str:
    x, y = at
    path = f"M{x - 4:.1f} {y - 4:.1f}l8 8M{x - 4:.1f} {y + 4:.1f}l8 -8"
    return svg.element("path", part, "", tip, d=path)


def _key() -> list[str]:
    x, pieces = 10.0, []
    entries: list[tuple[str, Callable[[svg.Point], str]]] = [
        ("course of IVIG", lambda at: svg.rectangle(at[0] - 3, at[1] - 7, 7, 14, "infusion", "", 1.5)),
        ("adverse event", lambda at: svg.triangle(at, "event")),
        ("serious", lambda at: svg.triangle(at, "serious")),
        ("end of follow-up", lambda at: svg.dot(at, "end")),
        ("left the study", lambda at: _cross(at, "left")),
    ]
    for label, draw in entries:
        pieces += [draw((x, 16)), svg.text((x + 12, 20), label, "soft", size=12)]
        x += 34 + svg.width_of(label, 12)
    return pieces


def _sheet(lanes: Sequence[Lane]) -> Sheet:
    rows = [
        (lane.subject, it.what, str(it.first), str(it.last), it.said, it.source)
        for lane in lanes
        for it in lane.happenings
    ]
    heads = ("Subject", "What", "First day", "Last day", "In words", "Resource or row")
    return Sheet("Courses and events", heads, rows, numbers=(2, 3))
