"""The rows of a made-up parallel trial whose numbers of responders are those of ProDERM; see README.md."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from random import Random

from fhir_ivig.endpoints.improvement import POINTS, points
from sample_bundles.synthetic import Row, Tables, assessment, infusions, inside, on, shuffled, written

ARMS = {"ivig": 47, "placebo": 48}
# Published: 37, 32 and 15 of 47, and 21, 11 and 4 of 48, reached a minimal, moderate and major response. The rest is
# made up: who did not respond, who got worse, who was not seen at week 16.
RESPONSES = {
    "ivig": {"major": 15, "moderate": 17, "minimal": 5, "none": 8, "missing": 2},
    "placebo": {"major": 4, "moderate": 7, "minimal": 10, "none": 20, "worse": 5, "missing": 2},
}
SCORES = {"major": (60, 100), "moderate": (40, 59.9), "minimal": (20, 39.9), "none": (0, 19.9)}
VISITS = {"week 0": 0, "week 4": 28, "week 8": 56, "week 12": 84, "week 16": 112}
COURSES = (0, 28, 56, 84)
# Item of the core set: measure, unit, end of the scale, step of its values.
SCALES = {
    "physician": ("PhGA", "cm", 10, "0.1"),
    "patient": ("PtGA", "cm", 10, "0.1"),
    "strength": ("MMT", "score", 150, "1"),
    "function": ("HAQ", "score", 3, "0.125"),
    "extramuscular": ("EMGA", "cm", 10, "0.1"),
}
CK_LIMITS = {"female": "170", "male": "200"}
EVENTS = {  # made up, with the courses and days after their beginning that they may follow
    "Headache": ("mild", "related", 1),
    "Pyrexia": ("mild", "possible", 1),
    "Nausea": ("mild", "possible", 2),
    "Infusion site reaction": ("mild", "related", 0),
    "Muscle spasms": ("mild", "unlikely", 9),
    "Upper respiratory tract infection": ("mild", "unrelated", 15),
    "Anaemia": ("moderate", "possible", 8),
    "Blood creatinine increased": ("mild", "possible", 6),
}
SERIOUS = {  # subject: day, term, criteria, outcome
    "D011": (31, "Deep vein thrombosis", "hospitalisation", "recovered"),
    "D026": (60, "Pulmonary embolism", "life-threatening;hospitalisation", "recovering"),
}
Values = dict[str, float]


def tables() -> Tables:
    """The tables, the rows of each in order of key."""
    draw = Random(20221006)  # noqa: S311
    arms = shuffled(draw, ARMS)
    responses = {arm: shuffled(draw, RESPONSES[arm]) for arm in ARMS}
    found: Tables = {name: [] for name in ("subjects", "courses", "infusions", "assessments", "adverse_events")}
    found["dispositions"] = []
    for number, arm in enumerate(arms, 1):
        one = f"D{number:03}"
        response = responses[arm].pop()
        start = date(2017, 3, 6) + timedelta(5 * number + draw.randrange(5))
        sex = "female" if draw.random() < 0.75 else "male"
        weight = written(draw.gauss(72, 13) if sex == "female" else draw.gauss(82, 13), "0.1")
        age = inside(draw.gauss(52, 13), 22, 79)
        found["subjects"].append(
            {
                "subject": one,
                "sex": sex,
                "birth_date": (start - timedelta(age * 365.25)).isoformat(),
                "diagnosis": "DM",
                "diagnosis_date": (start - timedelta(draw.randrange(60, 3000))).isoformat()[:7],
                "site": f"S{draw.randrange(1, 13):02}",
            }
        )
        if arm == "ivig":
            for course, day in enumerate(COURSES, 1):
                first = start + timedelta(day)
                plan = {"planned_dose": "1.0", "planned_dose_unit": "g/kg/d", "planned_days": "2"}
                found["courses"].append({"subject": one, "course": str(course), "start": first.isoformat(), **plan})
                found["infusions"] += infusions(draw, one, course, first, 2, float(weight), "0.5")
        found["assessments"] += _assessments(draw, one, sex, weight, start, response)
        found["adverse_events"] += _events(draw, one, arm, start)
        left = response == "missing"
        found["dispositions"].append(
            {
                "subject": one,
                "status": "withdrawn" if left else "off-study",
                "date": (start + timedelta(70 if left else 113)).isoformat(),
                "analysed": "yes",
                "arm": arm,
                "actual_arm": arm,
            }
        )
    return found


def _assessments(draw: Random, one: str, sex: str, weight: str, start: date, response: str) -> list[Row]:
    before, after = _course_of_disease(draw, sex, response)
    rows = []
    for visit, day in VISITS.items():
        date_of = start + timedelta(day + (draw.randrange(-2, 3) if day else 0))
        share = inside(day / 112 + (draw.uniform(-0.1, 0.1) if 0 < day < 112 else 0), 0, 1)
        gone = response == "missing" and day >= 84
        for item, (measure, unit, most, step) in SCALES.items():
            value = inside(before[item] + share * (after[item] - before[item]), 0, most)
            told = "" if gone else written(value, step)
            rows.append(assessment(one, visit, date_of, measure, told, unit=unit, scale_max=str(most)))
        for enzyme, limit in (("CK", CK_LIMITS[sex]), ("LDH", "250")):
            value = before[enzyme] + share * (after[enzyme] - before[enzyme])
            told = "" if gone else written(value, "1")
            rows.append(assessment(one, visit, date_of, enzyme, told, unit="U/L", upper_limit=limit))
        told = "" if gone else written(before["Hb"] - draw.uniform(-0.6, 1.2) * share, "0.1")
        rows.append(assessment(one, visit, date_of, "Hb", told, unit="g/dL"))
        told = "" if gone else written(before["creatinine"] * (1 + draw.uniform(-0.1, 0.15)), "0.01")
        rows.append(assessment(one, visit, date_of, "creatinine", told, unit="mg/dL", upper_limit="1.20"))
        if not day:
            rows.append(assessment(one, visit, date_of, "weight", weight, unit="kg"))
    return rows


def _course_of_disease(draw: Random, sex: str, response: str) -> tuple[Values, Values]:
    """Values before and at week 16 that give the response wanted, by trying."""
    while True:
        before = {
            "physician": draw.uniform(3.5, 8),
            "patient": draw.uniform(3, 9),
            "strength": draw.uniform(85, 140),
            "function": draw.uniform(0.5, 2.5),
            "extramuscular": draw.uniform(2, 7),
            "CK": inside(draw.lognormvariate(6, 1.1), 40, 6000),
            "LDH": inside(draw.lognormvariate(5.7, 0.35), 120, 900),
            "Hb": draw.gauss(13, 1.1),
            "creatinine": draw.gauss(0.75, 0.12),
        }
        better = {
            "major": 0.7, "moderate": 0.45, "minimal": 0.2, "none": 0.0, "worse": -0.3, "missing": 0.1,
        }[response]  # fmt: skip
        after = dict(before)
        for item in (*SCALES, "CK", "LDH"):
            gain = inside(better + draw.gauss(0, 0.15), -0.6, 0.95)
            if item == "strength":
                after[item] = before[item] + gain * (150 - before[item])
            else:
                after[item] = before[item] * (1 - gain)
        if response == "worse":
            after["extramuscular"] = inside(before["extramuscular"] + draw.uniform(4, 6), 0, 10)
            return before, after
        least, most = SCORES["none" if response == "missing" else response]
        if least <= _score(before, after, CK_LIMITS[sex]) <= most:
            return before, after


def _score(before: Values, after: Values, ck_limit: str) -> float:
    """The score from the values as they will be written."""
    total = 0.0
    limits, multiples = {"CK": int(ck_limit), "LDH": 250}, {"CK": 15, "LDH": 3}
    worst = max(limits, key=lambda one: Fraction(written(before[one], "1")) / limits[one])
    for item in POINTS:
        measure, most, step = item, limits[worst] * multiples[worst], "1"
        if item == "enzyme":
            measure = worst
        else:
            most, step = SCALES[item][2:]
        first, last = (Fraction(written(values[measure], step)) for values in (before, after))
        gain = last - first if item == "strength" else first - last
        total += float(points(item, 100 * gain / most))
    return total


def _events(draw: Random, one: str, arm: str, start: date) -> list[Row]:
    """Some adverse events; in the arm with infusions more, and after an infusion."""
    rows: list[Row] = []
    chosen = [term for term in EVENTS if draw.random() < (0.12 if arm == "ivig" else 0.06)]
    days = sorted((draw.choice(COURSES) + EVENTS[term][2], term) for term in chosen)
    for day, term in days:
        severity, causality, lag = EVENTS[term]
        onset = start + timedelta(day)
        suspected = {"course": str(COURSES.index(day - lag) + 1), "causality": causality} if arm == "ivig" else {}
        rows.append(
            {
                "subject": one,
                "event": str(len(rows) + 1),
                "term": term,
                "onset": on(onset, draw.uniform(10, 20)) if lag < 3 else onset.isoformat(),
                "end": (onset + timedelta(draw.randrange(1, 12))).isoformat(),
                "severity": severity,
                "serious": "no",
                "outcome": "recovered",
                **suspected,
            }
        )
    if one in SERIOUS:
        day, term, criteria, outcome = SERIOUS[one]
        rows.append(
            {
                "subject": one,
                "event": str(len(rows) + 1),
                "term": term,
                "onset": (start + timedelta(day)).isoformat(),
                "severity": "severe",
                "serious": "yes",
                "seriousness_criteria": criteria,
                "outcome": outcome,
                "course": str(1 + sum(first <= day for first in COURSES[1:])),
                "causality": "possible",
            }
        )
    return rows
