"""From a study's tables to what single figures draw: pairs, changes, doses, lanes, responses."""

from __future__ import annotations

from collections.abc import Container, Iterator

from fhir_ivig.endpoints.assessments import readings
from fhir_ivig.endpoints.infusions import GIVEN, by_course, given
from fhir_ivig.endpoints.medications import Dose
from fhir_ivig.endpoints.medications import doses as doses_of
from fhir_ivig.endpoints.result import NotEvaluableError, Result
from fhir_ivig.endpoints.tables import Row, by_subject
from fhir_ivig.report import words
from fhir_ivig.report.figures.doses import Course, Given, Span
from fhir_ivig.report.figures.figure import source
from fhir_ivig.report.figures.intervals import Estimate
from fhir_ivig.report.figures.responders import Grade, Response
from fhir_ivig.report.figures.slopes import Pair, Pairs
from fhir_ivig.report.figures.swimmer import LEAVERS, Happening, Lane
from fhir_ivig.report.material import Material
from fhir_ivig.report.series import Clock


def pairs(material: Material, logarithmic: Container[str]) -> Iterator[Pairs]:
    """What each endpoint of kind `paired_change` compares, one of each measure, population and pair of visits;
    the measures in `logarithmic` are drawn on such a scale."""
    known = material.definition
    seen = set()
    labels = {result.endpoint: result.label for result in material.results}
    for name, entry in material.endpoints().items():
        asked = tuple(str(entry.get(key)) for key in ("measure", "population", "from", "to"))
        if entry.get("kind") != "paired_change" or asked in seen or name not in labels:
            continue
        seen.add(asked)
        measure, population = known.measures[asked[0]], known.populations[asked[1]]
        first, second = known.visits[asked[2]], known.visits[asked[3]]
        before, after = (readings(material.tables, population, measure, visit) for visit in (first, second))
        found = {
            subject: Pair(
                before.values[subject],
                after.values[subject],
                (source(before.rows[subject]), source(after.rows[subject])),
            )
            for subject in sorted(before.values.keys() & after.values.keys())
        }
        yield Pairs(
            name, labels[name], population.label, measure, (first, second), found, measure.name in logarithmic
        )


def changes(material: Material, every: list[Pairs]) -> list[Estimate]:
    """The effect size of each endpoint with its interval, better being positive.

    Only of measures whose better direction the study file names, with an interval.
    """
    found = []
    for compared in every:
        size, change = (_result(material, compared.endpoint, name) for name in ("effect_size", "mean_difference"))
        better = compared.measure.better
        if better is None or size is None or change is None or size.estimate is None or None in (size.low, size.high):
            continue
        low, middle, high = (float(value or 0) for value in (size.low, size.estimate, size.high))
        if better == "lower":
            low, middle, high = -high, -middle, -low
        said = f"{words.estimate(change)} {words.unit(change.unit)} ({words.interval(change)})"
        found.append(Estimate(compared.label, "", size.n or 0, middle, low, high, said))
    return found


def courses(material: Material, clock: Clock) -> Iterator[Course]:
    """Each medication that an endpoint asks about, in the first population that it does so."""
    seen = set()
    for entry in material.endpoints().values():
        medication, unit = entry.get("medication"), entry.get("unit")
        population = material.definition.populations.get(str(entry.get("population")))
        if not isinstance(medication, str) or not isinstance(unit, str) or population is None or medication in seen:
            continue
        seen.add(medication)
        every = doses_of(material.tables, population, medication, unit).doses
        ends = _last_days(material, clock)
        spans = {
            subject: [span for dose in found if (span := _span(dose, subject, clock, ends.get(subject, 0)))]
            for subject, found in every.items()
            if subject in clock.start
        }
        left_out = len(population.subjects) - len(spans)
        yield Course(medication, unit, population.label, spans, _infusions(material, clock), left_out)


def lanes(material: Material, clock: Clock) -> list[Lane]:
    """Courses, adverse events and the end of each subject whose first infusion is known to the day."""
    happenings: dict[str, list[Happening]] = {subject: [] for subject in sorted(clock.start)}
    for (subject, number), rows in by_course(given(material.tables, clock.start.keys())).items():
        at = [day for row in rows if (day := clock.day(subject, row["start"])) is not None]
        if at:
            said = f"course {number}, day {min(at)} to {max(at)}, {words.counted(len(rows), 'infusion')}"
            happenings[subject].append(Happening("course", min(at), max(at), said, source(rows[0])))
    for row in _rows(material, clock, "adverse_events", ("term", "onset", "severity", "serious")):
        day = clock.day(row.subject, row["onset"])
        if day is not None:
            serious = row["serious"] == "yes"
            graded = ", ".join(filter(None, (row["severity"], "serious" if serious else "")))
            said = f"{row['term'] or 'event'} on day {day}{f' ({graded})' if graded else ''}"
            what = "serious" if serious else "event"
            happenings[row.subject].append(Happening(what, day, day, said, source(row)))
    for row in _rows(material, clock, "dispositions", ("status", "date")):
        day = clock.day(row.subject, row["date"])
        if day is not None:
            what = "left" if row["status"] in LEAVERS else "end"
            happenings[row.subject].append(Happening(what, day, day, f"{row['status']} on day {day}", source(row)))
    return [Lane(subject, found) for subject, found in happenings.items() if found]


def responses(material: Material) -> Iterator[Response]:
    """The endpoints of kind `responders` that could be evaluated."""
    populations = material.study.get("populations", {})
    for name, entry in material.endpoints().items():
        percent = _result(material, name, "percent")
        if entry.get("kind") != "responders" or percent is None or percent.estimate is None:
            continue
        rule = populations.get(entry.get("responders"), {}).get("where", {}).get("value", [])
        counting = rule if isinstance(rule, list) else [rule]
        before = f"{entry.get('measure')} "
        grades = [
            Grade(
                result.statistic.removeprefix(before),
                int(result.estimate),
                result.statistic[len(before) :] in counting,
            )
            for result in material.results
            if result.endpoint == name and result.statistic.startswith(before) and result.estimate is not None
        ]
        said = f"{words.estimate(percent)} % ({words.interval(percent)})"
        ends = None if percent.low is None or percent.high is None else (float(percent.low), float(percent.high))
        yield Response(
            name,
            percent.label,
            percent.time_point or "",
            percent.n or 0,
            float(percent.estimate),
            ends,
            said,
            sorted(grades, key=lambda grade: (not grade.response, -grade.count, grade.word)),
        )


def _result(material: Material, endpoint: str, statistic: str) -> Result | None:
    every = (found for found in material.results if found.endpoint == endpoint and found.subject is None)
    return next((found for found in every if found.statistic == statistic), None)


def _rows(material: Material, clock: Clock, table: str, columns: tuple[str, ...]) -> list[Row]:
    """The rows of a table of those whose first infusion is known; none where there is no such table."""
    try:
        return [row for row in material.tables.rows(table, columns) if row.subject in clock.start]
    except NotEvaluableError:
        return []


def _last_days(material: Material, clock: Clock) -> dict[str, int]:
    """The last day on record of each subject, on which a dose that goes on is drawn to end."""
    last: dict[str, int] = {}
    for table, column in (("assessments", "date"), ("dispositions", "date"), ("infusions", "start")):
        for row in _rows(material, clock, table, (column,)):
            day = clock.day(row.subject, row[column])
            last[row.subject] = max(last.get(row.subject, 0), day or 0)
    return last


def _span(dose: Dose, subject: str, clock: Clock, last: int) -> Span | None:
    """A dose in days of its subject; None where its start is not known to the day."""
    first = clock.day(subject, dose.row["start"])
    if first is None:
        return None
    end = clock.day(subject, dose.row["end"])
    return Span(first, max(first, last) if end is None else end, dose.amount, source(dose.row), ongoing=end is None)


def _infusions(material: Material, clock: Clock) -> dict[str, list[Given]]:
    found: dict[str, list[Given]] = {}
    where = {"status": GIVEN}
    rows = material.tables.rows("infusions", ("course", "start", "dose", "unit"), where, clock.start.keys())
    for subject, every in by_subject(rows).items():
        for row in every:
            day = clock.day(subject, row["start"])
            if day is not None:
                said = (
                    f"infusion of course {row['course']}, day {day}: {row['dose'] or '?'} {row['unit'] or ''}".strip()
                )
                found.setdefault(subject, []).append(Given(day, said, source(row)))
    return found
