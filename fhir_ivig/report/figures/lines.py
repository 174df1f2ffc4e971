"""A measure over time: a line a subject, the visits' windows, and the mean of those seen at each visit."""

from __future__ import annotations

from statistics import mean, quantiles

from fhir_ivig.report import words
from fhir_ivig.report.figures import svg
from fhir_ivig.report.figures.axes import frame, spread
from fhir_ivig.report.figures.figure import LINES, Figure, named, sample, thinned
from fhir_ivig.report.figures.palette import BANDS, MEANS
from fhir_ivig.report.figures.scale import Scale, around
from fhir_ivig.report.series import Series, Value
from fhir_ivig.report.sheet import Sheet

WIDTH, HEIGHT = 560, 350
LEFT, RIGHT, TOP, BOTTOM = 58, 478, 26, 272
NAMED = 14  # subjects whose lines have room for a name


def lines(series: Series) -> Figure | None:
    """The figure, None where there is no value. CK and whatever else has upper limits is on a logarithmic scale."""
    every = [value for found in series.values.values() for value in found]
    if not every:
        return None
    limits = sorted({value.limit for value in every if value.limit is not None})
    log = series.log
    amounts = [float(value.amount) for value in every] + ([float(limit) for limit in limits] if log else [])
    up = around(
        amounts,
        BOTTOM,
        TOP,
        log=log,
        zero=not log and 2 * min(amounts) < max(amounts) and series.measure.scale_max is not None,
    )
    ends = [value.day for value in every] + [visit.day or 0 for visit in series.visits]
    for visit in series.visits:
        ends += series.windows.get(visit.name, ())
    across = Scale(min(ends), max(ends), LEFT, RIGHT)
    shown = sample(list(series.values), LINES)
    pieces = frame(series, across, up, BOTTOM)
    if log and limits:
        pieces += _limit(float(limits[0]), float(limits[-1]), up, words.unit(series.measure.unit))
    if len(shown) < len(series.values):
        pieces += _bands(series, across, up)
    pieces += [_subject(series.values[subject], across, up, series) for subject in shown]
    if len(series.values) <= NAMED:
        pieces += _names(series, up)
    pieces += _means(series, across, up)
    label = f"{series.measure.label}{f' ({words.unit(series.measure.unit)})' if series.measure.unit else ''}"
    pieces.append(svg.text((8, 14), label + (", logarithmic scale" if log else ""), "soft", size=12))
    return Figure(
        named("lines", series.measure.name),
        f"{series.measure.label} over time",
        svg.picture(named("lines", series.measure.name), label, _said(series), WIDTH, HEIGHT, pieces),
        _sheet(series, every),
        _note(series, len(shown), log),
    )


def _limit(low: float, high: float, up: Scale, unit: str) -> list[str]:
    said = f"upper limit of normal {low:g}{f' to {high:g}' if high > low else ''} {unit}".strip()
    return [
        svg.rectangle(LEFT, up(high), RIGHT - LEFT, up(low) - up(high), "limit", said),
        svg.line((LEFT, up(high)), (RIGHT, up(high)), "limit-line", said),
        svg.text((LEFT + 6, up(low) + 14), said, "limit-text", size=11),
    ]


def _bands(series: Series, across: Scale, up: Scale) -> list[str]:
    """Where 80 % and 50 % of the subjects lie, of several arms where 50 % of each do: what stands for the undrawn."""
    wanted = [(part, 4, group) for part, group in zip(BANDS, series.groups, strict=False)]
    if len(series.groups) == 1:
        wanted = [("band", 10, series.groups[0]), *wanted]
    pieces = []
    for part, share, group in wanted:
        cuts = []
        for visit in series.visits:
            amounts = [float(amount) for amount in series.at(visit, group)]
            if len(amounts) > 1:
                found = quantiles(amounts, n=share, method="inclusive")
                cuts.append((across(visit.day or 0), found[0], found[-1]))
        outline = [(x, up(bottom)) for x, bottom, _ in cuts] + [(x, up(top)) for x, _, top in reversed(cuts)]
        pieces.append(svg.polygon(outline, part))
    return pieces


def _subject(values: list[Value], across: Scale, up: Scale, series: Series) -> str:
    at = [(across(value.day), up(float(value.amount))) for value in values]
    radius = 3.5 if len(series.values) <= NAMED else 2.2
    dots = [svg.dot(place, "point", tip(value, series), radius) for place, value in zip(at, values, strict=True)]
    return svg.group(svg.polyline(at, "subject") + "".join(dots))


def tip(value: Value, series: Series) -> str:
    """What a value says of itself when it is pointed at."""
    unit = words.unit(series.measure.unit)
    return f"{value.subject}, {value.visit} (day {value.day}): {value.amount} {unit}\n{value.source}"


def _names(series: Series, up: Scale) -> list[str]:
    last = {subject: up(float(values[-1].amount)) for subject, values in series.values.items()}
    return [
        svg.text((RIGHT + 8, y + 4), svg.shortened(subject, WIDTH - RIGHT - 10, 11), "soft", size=11)
        for subject, y in spread(last, 12.5, TOP, BOTTOM).items()
    ]


def _means(series: Series, across: Scale, up: Scale) -> list[str]:
    pieces, ends = [], dict[str, float]()
    for part, group in zip(MEANS, series.groups, strict=False):
        known = [(visit, found) for visit in series.visits if (found := series.at(visit, group))]
        at = [(across(visit.day or 0), up(float(mean(found)))) for visit, found in known]
        pieces.append(svg.polyline(at, part))
        ends |= {part: at[-1][1]} if at else {}
        for place, (visit, found) in zip(at, known, strict=True):
            said = f"Mean of {group.label} at {visit.name}: {words.short(mean(found))}, n = {len(found)}"
            pieces.append(svg.dot(place, f"{part}-point", said, 4.5))
    if len(series.groups) > 1 and len(series.values) > NAMED:
        labels = dict(zip(MEANS, (group.label for group in series.groups), strict=False))
        for part, y in spread(ends, 15, TOP, BOTTOM).items():
            said = svg.shortened(labels[part], WIDTH - RIGHT - 12, 12)
            pieces.append(svg.text((RIGHT + 8, y + 4), said, f"{part}-text", size=12))
    return pieces


def _said(series: Series) -> str:
    parts = []
    for group in series.groups:
        means = [
            f"{words.short(mean(found))} at {visit.name} (n = {len(found):,})"
            for visit in series.visits
            if (found := series.at(visit, group))
        ]
        parts.append(f"{group.label}: mean {', '.join(means)}.")
    return " ".join(parts)


def _note(series: Series, shown: int, log: bool) -> str:
    styles = ("Bold line", "Dashed line", "Dotted line")
    means = [f"{style}: mean, {group.label}." for style, group in zip(styles, series.groups, strict=False)]
    undrawn = ", ".join(group.label for group in series.groups[len(MEANS) :])
    said = [*means, f"Means not drawn: {undrawn}."] if undrawn else means
    said += ["Means are of those seen at each visit. Grey bands: visit windows."]
    said += ["Means are arithmetic, also on this logarithmic scale."] if log else []
    if shown < len(series.values):
        said.append(thinned(shown, len(series.values)))
        one = len(series.groups) == 1
        said.append(f"Coloured bands: the middle {'50 % and 80 %' if one else '50 % of each arm'} at each visit.")
    planned = sum(value.planned for values in series.values.values() for value in values)
    if planned:
        said.append(f"{words.counted(planned, 'value')} without a day of its own: drawn at the visit's target day.")
    return " ".join(said)


def _sheet(series: Series, every: list[Value]) -> Sheet:
    unit = series.measure.unit or ""
    rows = [
        (v.subject, v.visit, str(v.day), str(v.amount), unit, "" if v.limit is None else str(v.limit), v.source)
        for v in every
    ]
    heads = ("Subject", "Visit", "Day", "Value", "Unit", "Upper limit", "Resource or row")
    return Sheet(f"{series.measure.label} over time", heads, rows, numbers=(2, 3, 5))
