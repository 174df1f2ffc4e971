"""The flow of subjects: a box a population, and beside it who of those above is not in it, with the reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_ivig.report.figures import svg
from fhir_ivig.report.figures.figure import Figure
from fhir_ivig.report.sheet import Sheet

WIDTH, BOX, HIGH, ASIDE, ROW, TOP = 680, 240, 58, 372, 118, 6
REASONS = 4  # printed beside a box; all are in the figure's table


@dataclass(frozen=True, slots=True)
class Step:
    """A population: its label and size, subjects or courses, the step above it (None: the first), and who of that
    one is not in this: reason -> who."""

    label: str
    size: int
    by: str
    above: int | None
    without: dict[str, list[str]]


def flow(steps: Sequence[Step]) -> Figure | None:
    """The figure, None where there is no population."""
    if not steps:
        return None
    depth: list[int] = []
    for step in steps:
        depth.append(0 if step.above is None else depth[step.above] + 1)
    levels = [[place for place, at in enumerate(depth) if at == level] for level in range(max(depth) + 1)]
    centre: dict[int, tuple[float, float]] = {}
    pieces, back = [], []
    for level, places in enumerate(levels):
        y = TOP + level * ROW
        width = BOX if len(places) == 1 else min(BOX, WIDTH / len(places) - 14)
        for rank, place in enumerate(places):
            x = 20 + BOX / 2 if len(places) == 1 else (rank + 0.5) * WIDTH / len(places)
            centre[place] = (x, y)
            step = steps[place]
            pieces += _box(step, x, y, width)
            if step.above is not None:
                above = centre[step.above]
                middle = y - (ROW - HIGH) / 2
                back.append(
                    svg.polyline([(above[0], above[1] + HIGH), (above[0], middle), (x, middle), (x, y)], "left")
                )
                back.append(svg.polygon([(x - 5, y - 8), (x + 5, y - 8), (x, y)], "end"))
                if step.without and len(places) == 1:
                    back.append(svg.line((x, middle), (WIDTH - ASIDE - 12, middle), "axis"))
                    pieces += _aside(step, middle)
    said = " ".join(
        f"{step.label}: {step.size:,}." + (f" Not in it: {_reasons(step)}." if step.without else "") for step in steps
    )
    height = TOP + ROW * len(levels) - (ROW - HIGH) + 6
    return Figure(
        "flow",
        "Flow of subjects",
        svg.picture("flow", "Flow of subjects", said, WIDTH, height, [*back, *pieces]),
        _sheet(steps),
    )


def _box(step: Step, x: float, y: float, width: float) -> list[str]:
    label = svg.wrapped(step.label, width - 16, lines=2)
    first = y + (17 if len(label) > 1 else 24)
    pieces = [svg.rectangle(x - width / 2, y, width, HIGH, "box", f"{step.label}: {step.size:,}", 4)]
    pieces += [svg.text((x, first + 16 * row), said, "strong", "middle") for row, said in enumerate(label)]
    return [*pieces, svg.text((x, first + 16 * len(label) + 1), _size(step), "text", "middle")]


def _size(step: Step) -> str:
    return f"n = {step.size:,}" + (" courses" if step.by == "course" else "")


def _aside(step: Step, middle: float) -> list[str]:
    named = sorted(step.without.items(), key=lambda found: (-len(found[1]), found[0]))
    shown = [f"{len(subjects):,}  {reason}" for reason, subjects in named[:REASONS]]
    if len(named) > REASONS:
        shown[-1] = f"{sum(len(subjects) for _, subjects in named[REASONS - 1 :]):,}  for other reasons"
    total = sum(map(len, step.without.values()))
    height = 24 + 15 * len(shown)
    x, y = WIDTH - ASIDE - 12, middle - height / 2
    tip = f"Not in {step.label}: {_reasons(step)}"
    pieces = [svg.rectangle(x, y, ASIDE, height, "aside", tip, 4)]
    pieces.append(svg.text((x + 10, y + 16), f"Not in it: {total:,}", "strong", size=12))
    for place, said in enumerate(shown):
        pieces.append(
            svg.text((x + 10, y + 31 + 15 * place), svg.shortened(said, ASIDE - 16, 11.5), "text", size=11.5)
        )
    return pieces


def _reasons(step: Step) -> str:
    return "; ".join(f"{len(subjects):,} {reason}" for reason, subjects in sorted(step.without.items()))


def _sheet(steps: Sequence[Step]) -> Sheet:
    rows = []
    for step in steps:
        rows.append((step.label, f"{step.size}", "", "", ""))
        for reason, subjects in sorted(step.without.items()):
            listed = ", ".join(subjects[:50]) + (f" and {len(subjects) - 50} more" if len(subjects) > 50 else "")
            rows.append((step.label, "", f"{len(subjects)}", reason, listed))
    return Sheet("Flow of subjects", ("Population", "n", "Not in it", "Reason", "Who"), rows, numbers=(1, 2))
