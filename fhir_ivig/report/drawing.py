"""All figures of a report, by the part of the page that they stand in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from fhir_ivig.endpoints.result import NotEvaluableError
from fhir_ivig.report import estimates, gather
from fhir_ivig.report.curves import curves
from fhir_ivig.report.figures.differences import differences
from fhir_ivig.report.figures.doses import doses
from fhir_ivig.report.figures.figure import Figure
from fhir_ivig.report.figures.flow import flow
from fhir_ivig.report.figures.forest import forest
from fhir_ivig.report.figures.lines import lines
from fhir_ivig.report.figures.percents import percents
from fhir_ivig.report.figures.responders import responders
from fhir_ivig.report.figures.slopes import Pairs, slopes
from fhir_ivig.report.figures.survival import survival
from fhir_ivig.report.figures.swimmer import swimmer
from fhir_ivig.report.material import Material
from fhir_ivig.report.series import Clock, Series, groups_of, numeric, series
from fhir_ivig.report.steps import steps

STANDARDISED = (
    "The effect size of each endpoint with its interval, as in the table of endpoints: the mean change divided by "
    "the standard deviation of the differences."
)
DIFFERENCES = (
    "Each is the first-named arm minus the other, with the first interval that its endpoint computes; the others "
    "stand in the table of endpoints. Each unit has its own axis."
)


@dataclass(slots=True)
class Figures:
    """The figures of each part; `missing` says of what could not be drawn why."""

    flow: list[Figure] = field(default_factory=list)
    changes: list[Figure] = field(default_factory=list)
    endpoints: list[Figure] = field(default_factory=list)
    lines: list[Figure] = field(default_factory=list)
    slopes: list[Figure] = field(default_factory=list)
    treatment: list[Figure] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def every(self) -> list[Figure]:
        """All of them, in the order of the page."""
        return [*self.flow, *self.endpoints, *self.lines, *self.changes, *self.slopes, *self.treatment]


def draw(material: Material, clock: Clock, progress: Callable[..., None]) -> Figures:
    """The figures that the tables allow."""
    found = Figures()
    measured: list[Series] = []
    compared: list[Pairs] = []
    try:
        for measure in numeric(material):
            progress(f"reading {measure.label}", len(measured))
            if groups := groups_of(material, measure.name):
                measured.append(series(material, measure, groups, clock))
        logarithmic = {one.measure.name for one in measured if one.values and one.log}
        compared += gather.pairs(material, logarithmic)
    except NotEvaluableError as error:
        found.missing.append(f"No figures of measures: {error}.")

    def attempt(part: list[Figure], what: str, make: Callable[[], Iterable[Figure | None]]) -> None:
        progress(f"drawing {what}", len(found.every()))
        try:
            part.extend(figure for figure in make() if figure is not None)
        except NotEvaluableError as error:
            found.missing.append(f"No figure of {what}: {error}.")

    attempt(found.flow, "the flow of subjects", lambda: [flow(steps(material))])
    attempt(found.endpoints, "responders", lambda: map(responders, gather.responses(material)))
    attempt(found.endpoints, "percentages", lambda: [percents(estimates.percentages(material))])
    attempt(found.endpoints, "differences", lambda: [differences(estimates.differences(material), DIFFERENCES)])
    attempt(found.endpoints, "times to an event", lambda: map(survival, curves(material)))
    attempt(found.lines, "measures over time", lambda: map(lines, measured))
    attempt(found.slopes, "paired changes", lambda: map(slopes, compared))
    attempt(found.changes, "standardised changes", lambda: [forest(gather.changes(material, compared), STANDARDISED)])
    attempt(found.treatment, "courses and events", lambda: [_swimmer(material, clock)])
    attempt(found.treatment, "medication", lambda: map(doses, gather.courses(material, clock)))
    return found


def _swimmer(material: Material, clock: Clock) -> Figure | None:
    return swimmer(gather.lanes(material, clock), clock.subjects - len(clock.start))
