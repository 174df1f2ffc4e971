"""A made-up trial through the whole way: all dates of a subject are moved by one number of days, in every table."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pytest
from made import Row, rows, sample, write

from fhir_ivig.deidentify.key import Key
from fhir_ivig.deidentify.study import deidentify
from fhir_ivig.study.dictionary import dictionary
from fhir_ivig.study.study import Study

DATES = {
    "subjects": ("diagnosis_date",),
    "courses": ("start",),
    "infusions": ("start", "end"),
    "assessments": ("date",),
    "medications": ("start", "end"),
    "adverse_events": ("onset", "end"),
    "dispositions": ("date",),
}


def trial(draw: Random) -> dict[str, list[Row]]:
    """Rows of some subjects, most cells filled, days anywhere in sixty years, some with a time and zone."""

    def day() -> date:
        return date(1950, 1, 1) + timedelta(draw.randrange(22_000))

    def moment() -> str:
        zone = draw.choice(["Z", "+09:00", "-03:30"])
        return draw.choice([str(day()), f"{day()}T{draw.randrange(24):02}:{draw.randrange(60):02}:00{zone}", ""])

    def numbered(most: int) -> range:
        return range(1, draw.randint(1, most) + 1)

    found: dict[str, list[Row]] = defaultdict(list)
    for number in numbered(12):
        who = {"subject": f"Subject {number:03}"}
        found["subjects"].append({**who, "sex": "male", "diagnosis_date": moment(), "mrn": f"mrn-{number}"})
        found["dispositions"].append({**who, "status": "off-study", "date": moment()})
        for course in numbered(3):
            found["courses"].append({**who, "course": str(course), "start": str(day()), "planned_days": "5"})
            given = {"product": "Immunoglobulin", "lot": "L1", "status": "completed"}
            for infusion in numbered(5):
                when = {"start": f"{day()}T09:00:00+09:00", "end": moment()}
                found["infusions"].append({**who, "course": str(course), "day": str(infusion), **when, **given})
        for visit in ("screening", "week 0", "week 12"):
            value = {"measure": "CK", "value": str(draw.randrange(100, 4000)), "unit": "U/L"}
            found["assessments"].append({**who, "visit": visit, "date": str(day()), **value})
        for start in sorted({str(day()) for _ in numbered(6)}):
            dose = {"medication": "prednisolone", "dose": "5.0", "unit": "mg/d"}
            found["medications"].append({**who, **dose, "start": start, "end": moment()})
        for event in numbered(3):
            about = {"event": str(event), "term": "Fever", "serious": "no"}
            found["adverse_events"].append({**who, **about, "onset": str(day()), "end": moment()})
    return found


@pytest.mark.parametrize("seed", range(12))
def test_all_dates_of_a_subject_move_together(seed: int, tmp_path: Path) -> None:
    made = trial(Random(seed))
    file = sample(tmp_path / "study")
    for table, cells in made.items():
        columns = dict.fromkeys(dictionary()[table].columns, "")
        write(file.parent, table, [{**columns, **row} for row in cells])
    study = Study.load(file)
    assert deidentify(study, tmp_path / "key", tmp_path / "out").complete
    key = Key.load(tmp_path / "key", study.base)
    by: dict[str, set[int]] = defaultdict(set)
    for table, columns in DATES.items():
        names = ("subject", *(name for name in dictionary()[table].key if name not in ("subject", "start")), *columns)
        before = sorted(rows(file.parent, table), key=lambda row: key.hashed("subject", row["subject"]))
        after = rows(tmp_path / "out", table)
        assert len(after) == len(before) > 0
        for old, new in zip(before, after, strict=True):
            assert [bool(old[name]) for name in names] == [bool(new[name]) for name in names]
            assert new["subject"] == key.hashed("subject", old["subject"])
            for name in columns:
                assert old[name][10:] == new[name][10:]
                if old[name]:
                    moved = date.fromisoformat(new[name][:10]) - date.fromisoformat(old[name][:10])
                    by[old["subject"]].add(moved.days)
    assert {subject: {key.days(subject)} for subject in by} == by
    assert len({*map(min, by.values())}) == len(by)
