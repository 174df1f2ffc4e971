"""The rows of a made-up crossover trial of the size and plan of Miyasaka 2012; see README.md."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

from sample_bundles.synthetic import Row, Tables, assessment, infusions, inside, shuffled, written

DIAGNOSES = {"PM": 16, "DM": 10}
SEQUENCES = {"ivig-placebo": 13, "placebo-ivig": 13}
VISITS = {"run-in": -42, "week 0": 0, "week 4": 28, "week 8": 56, "week 12": 84, "week 16": 112}
CK_LIMITS = {"female": "150", "male": "190"}
# Gain in MMT by week 8 of a period, points of 100, mean and spread: both treatments gain, as published, and alike.
GAINS = {"ivig": (6, 4), "placebo": (6, 4)}


def tables() -> Tables:
    """The tables, the rows of each in order of key."""
    draw = Random(20120601)  # noqa: S311
    names = ("subjects", "courses", "infusions", "assessments", "medications", "adverse_events", "dispositions")
    found: Tables = {name: [] for name in names}
    diagnoses, sequences = shuffled(draw, DIAGNOSES), shuffled(draw, SEQUENCES)
    for number, (diagnosis, sequence) in enumerate(zip(diagnoses, sequences, strict=True), 1):
        one = f"M{number:02}"
        sex = "female" if draw.random() < 0.65 else "male"
        weight = written(draw.gauss(54, 8) if sex == "female" else draw.gauss(64, 9), "0.1")
        start = date(2006, 9, 4) + timedelta(14 * number + draw.randrange(5))
        found["subjects"].append(
            {
                "subject": one,
                "sex": sex,
                "birth_date": (start - timedelta(inside(draw.gauss(52, 12), 21, 74) * 365.25)).isoformat(),
                "diagnosis": diagnosis,
                "site": f"S{draw.randrange(1, 9):02}",
            }
        )
        first = start + timedelta(0 if sequence == "ivig-placebo" else 56)
        plan = {"planned_dose": "0.4", "planned_dose_unit": "g/kg/d", "planned_days": "5"}
        found["courses"].append({"subject": one, "course": "1", "start": first.isoformat(), **plan})
        given = infusions(draw, one, 1, first, 5, 0.4 * float(weight), "0.5")
        if one == "M07":
            given[3]["status"], given[3]["dose"] = "stopped", "8.0"
            given.pop()
        found["infusions"] += given
        found["assessments"] += _assessments(draw, one, sex, weight, start, sequence)
        found["medications"] += _prednisolone(draw, one, start)
        end = (start + timedelta(113)).isoformat()
        ended = {"status": "off-study", "date": end, "analysed": "yes"}
        found["dispositions"].append({"subject": one, **ended, "arm": sequence, "actual_arm": sequence})
        if one == "M07":
            found["adverse_events"].append(_reaction(one, first + timedelta(3)))
    return found


def _assessments(draw: Random, one: str, sex: str, weight: str, start: date, sequence: str) -> list[Row]:
    strength, living = draw.uniform(45, 75), draw.uniform(15, 35)
    enzyme = inside(draw.lognormvariate(6.6, 0.7), 150, 6000)
    gains = [draw.gauss(*GAINS[treatment]) for treatment in sequence.split("-")]
    rows = []
    for visit, day in VISITS.items():
        on = start + timedelta(day + (draw.randrange(-2, 3) if day else 0))
        gain = sum(size * inside(day / 56 - period, 0, 1) for period, size in enumerate(gains))
        values = {
            "CK": (enzyme * (1 - inside(gain, -10, 30) / 40) * draw.uniform(0.92, 1.08), "U/L", "1"),
            "MMT": (inside(strength + gain + draw.gauss(0, 1), 0, 100), "score", "0.5"),
            "ADL": (inside(living + 0.6 * gain + draw.gauss(0, 1), 0, 60), "score", "0.5"),
        }
        for measure, (value, unit, step) in values.items():
            told = "" if (one, visit) == ("M19", "week 12") else written(value, step)
            ends = {"CK": {"upper_limit": CK_LIMITS[sex]}, "MMT": {"scale_max": "100"}, "ADL": {"scale_max": "60"}}
            rows.append(assessment(one, visit, on, measure, told, unit=unit, **ends[measure]))
        if visit == "week 0":
            rows.append(assessment(one, visit, on, "weight", weight, unit="kg"))
    return rows


def _prednisolone(draw: Random, one: str, start: date) -> list[Row]:
    """A dose as before, and less of it from the second or third month on."""
    dose = draw.choice([20, 25, 30, 40, 50])
    less = start + timedelta(draw.choice([28, 42, 56]))
    later = {"dose": written(dose * draw.uniform(0.5, 0.9), "2.5"), "start": less.isoformat()}
    before = {"dose": str(dose), "start": (start - timedelta(70)).isoformat(), "end": str(less - timedelta(1))}
    return [{"subject": one, "medication": "prednisolone", "unit": "mg/d", **dosed} for dosed in (before, later)]


def _reaction(one: str, day: date) -> Row:
    return {
        "subject": one,
        "event": "1",
        "term": "Infusion related reaction",
        "onset": day.isoformat(),
        "end": day.isoformat(),
        "severity": "moderate",
        "serious": "no",
        "outcome": "recovered",
        "course": "1",
        "causality": "related",
    }
