"""The sample study as a REDCap project: `python -m sample_bundles.redcap`. Synthetic, like the sample.

`dictionary.csv` is the project's data dictionary, `export.csv` its records (raw), `project.json` what the API tells
of it beside, `study.yaml` says how the export is read. From it the tables and the FHIR are those of the sample, byte
for byte.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

from fhir_ivig.redcap.dictionary import COLUMNS
from sample_bundles.sources import CRITERIA, GRADES, HERE, write_sources_of

FOLDER = HERE / "hara2003_redcap"
VISITS = {
    "screening_arm_1": "screening", "week_0_arm_1": "week 0", "week_2_arm_1": "week 2", "week_4_arm_1": "week 4",
    "week_8_arm_1": "week 8", "week_12_arm_1": "week 12",
}  # fmt: skip
ENROLMENT = "enrolment_arm_1"
EVENTS = {ENROLMENT: "Enrolment", **{event: visit.capitalize() for event, visit in VISITS.items()}}
FORMS = {
    "demographics": "Demographics", "disposition": "End of study", "visit": "Visit", "ivig_course": "Course of IVIG",
    "infusion": "Infusion", "medication": "Background medication", "adverse_event": "Adverse event",
}  # fmt: skip
REPEATING = ("ivig_course", "infusion", "medication", "adverse_event")
PLACE = ["record_id", "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance"]
REASONS = {
    "1": "not-performed",
    "2": "unknown",
    "3": "error",
    "4": "not-asked",
    "5": "asked-declined",
    "6": "not-applicable",
}
SCORES = {
    "mmt": ("MMT", "Manual muscle test, total", "score", "0", "100"),
    "adl": ("ADL", "Activities of daily living, total", "score", "0", "60"),
    "fatigue": ("fatigue", "Fatigue (VAS)", "cm", "0", "10"),
    "pain": ("pain", "Muscle pain (VAS)", "cm", "0", "10"),
    "weight": ("weight", "Body weight", "kg", "20", "250"),
}


def chosen(codes: dict[str, str]) -> str:
    """Choices as the dictionary has them."""
    return " | ".join(f"{code}, {word.replace('-', ' ').capitalize()}" for code, word in codes.items())


SEX, DIAGNOSIS, SITES = {"1": "female", "2": "male"}, {"1": "PM", "2": "DM"}, {"1": "S1", "2": "S2", "3": "S3"}
STATUS = {"1": "on-study", "2": "follow-up", "3": "withdrawn", "4": "off-study"}
ENDED = {"1": "completed", "2": "stopped", "3": "not-done"}
SEVERITY = {"1": "mild", "2": "moderate", "3": "severe"}
OUTCOME = {
    "1": "recovered", "2": "recovering", "3": "not-recovered", "4": "sequelae", "5": "fatal", "6": "unknown"
}  # fmt: skip
CAUSALITY = {"1": "related", "2": "possible", "3": "unlikely", "4": "unrelated"}
YES_NO = {"1": "yes", "0": "no"}

Row = tuple[str, str, str, str, str, str]  # name, kind, label, choices, validation, note


def fields() -> dict[str, list[Row]]:
    """Form -> its fields."""

    def one(name: str, kind: str, label: str, codes: str = "", validation: str = "", note: str = "") -> Row:
        return name, kind, label, codes, validation, note

    measured = [
        one("ck_time", "text", "CK: sample taken at", "", "datetime_ymd"),
        one("ck", "text", "Creatine kinase", "", "number", "U/L"),
        one("ck_sign", "dropdown", "CK: limit of the method", "1, < | 2, <= | 3, >= | 4, >"),
        one("ck_upper_limit", "text", "CK: upper limit of normal", "", "number", "U/L"),
        one("ck_missing_reason", "dropdown", "CK: why missing", chosen(REASONS)),
    ]
    for name, (_, label, unit, *_) in SCORES.items():
        if name == "weight":  # the sample's order: weight comes last
            measured.append(one("physician", "radio", "Physician's assessment", chosen(GRADES)))
            reason = one(
                "physician_missing_reason", "dropdown", "Physician's assessment: why missing", chosen(REASONS)
            )
            measured.append(reason)
        measured.append(one(name, "text", label, "", "number", unit))
        measured.append(one(f"{name}_missing_reason", "dropdown", f"{label}: why missing", chosen(REASONS)))
    return {
        "demographics": [
            one("record_id", "text", "Subject number"),
            one("sex", "radio", "Sex", chosen(SEX)),
            one("dob", "text", "Date of birth", note="the year or month where that is all that is known"),
            one("diagnosis", "radio", "Diagnosis", "1, PM | 2, DM"),
            one(
                "diagnosis_date",
                "text",
                "Date of diagnosis",
                note="the year or month where that is all that is known",
            ),
            one("biopsy_proven", "yesno", "Proven by muscle biopsy"),
            one("mrn", "text", "Medical record number"),
            one("site", "dropdown", "Study site", "1, S1 | 2, S2 | 3, S3"),
        ],
        "disposition": [
            one("disp_status", "dropdown", "Status", chosen(STATUS)),
            one("disp_date", "text", "Date", "", "date_ymd"),
            one("analysed", "yesno", "In the analysis"),
            one("disp_reason", "notes", "Why not analysed"),
        ],
        "visit": [one("visit_date", "text", "Date of visit", "", "date_ymd"), *measured],
        "ivig_course": [
            one("course_start", "text", "First day of the course", "", "date_ymd"),
            one("planned_dose", "text", "Planned dose", "", "number", "g/kg/d"),
            one("planned_dose_unit", "text", "Unit of the planned dose"),
            one("planned_days", "text", "Planned number of days", "", "integer"),
        ],
        "infusion": [
            one("inf_course", "text", "Course", "", "integer"),
            one("inf_day", "text", "Day within the course", "", "integer"),
            one("inf_start", "text", "Start", "", "", "date, and time where known"),
            one("inf_end", "text", "End", "", "datetime_ymd"),
            one("product", "text", "Product"),
            one("lot", "text", "Lot number"),
            one("inf_dose", "text", "Dose", "", "number", "g"),
            one("inf_unit", "text", "Unit"),
            one("inf_status", "dropdown", "Status", chosen(ENDED)),
        ],
        "medication": [
            one("medication", "text", "Medication"),
            one("med_dose", "text", "Dose", "", "number"),
            one("med_unit", "text", "Unit"),
            one("med_start", "text", "Start", "", "date_ymd"),
            one("med_end", "text", "End", "", "date_ymd"),
        ],
        "adverse_event": [
            one("ae_term", "text", "Adverse event"),
            one("ae_onset", "text", "Onset", "", "date_ymd"),
            one("ae_end", "text", "End", "", "date_ymd"),
            one("ae_severity", "radio", "Severity", chosen(SEVERITY)),
            one("ae_serious", "yesno", "Serious"),
            one("ae_criteria", "checkbox", "Seriousness criteria", ae_boxes()),
            one("ae_outcome", "dropdown", "Outcome", chosen(OUTCOME)),
            one("ae_course", "text", "Course suspected", "", "integer"),
            one("ae_causality", "dropdown", "Causality", chosen(CAUSALITY)),
        ],
    }


def ae_boxes() -> str:
    """The choices of the checkbox."""
    return chosen({str(number): word for number, word in enumerate(CRITERIA, 1)})


def tables() -> dict[str, Any]:
    """How the export is read."""
    how = {"file": "export.csv", "zone": "+09:00", "date_order": "YYYY-MM-DD hh:mm"}
    reason = {"missing_reason": REASONS}

    def part(form: str, columns: dict[str, str], **rest: Any) -> dict[str, Any]:
        where = {"redcap_event_name": ENROLMENT, "redcap_repeat_instrument": form if form in REPEATING else ""}
        return {**how, "where": where, "columns": {"subject": "record_id", **columns}, **rest}

    laboratory = {
        "columns": {
            "date": "ck_time",
            "sign": "ck_sign",
            "value": "ck",
            "upper_limit": "ck_upper_limit",
            "missing_reason": "ck_missing_reason",
        },
        "constants": {"measure": "CK", "unit": "U/L"},
        "codes": {"sign": {"1": "<", "2": "<=", "3": ">=", "4": ">"}, **reason},
    }
    measures: list[dict[str, Any]] = [
        *(
            {
                "columns": {"value": name, "missing_reason": f"{name}_missing_reason"},
                "constants": {"measure": measure, "unit": unit},
                "codes": reason,
            }
            for name, (measure, _, unit, *_) in SCORES.items()
        ),
        {
            "columns": {"value": "physician", "missing_reason": "physician_missing_reason"},
            "constants": {"measure": "physician"},
            "codes": {"value": GRADES, **reason},
        },
    ]  # fmt: skip
    measures.insert(-1, measures.pop())  # the sample's order: weight comes last
    return {
        "subjects": part(
            "demographics",
            {
                "sex": "sex", "birth_date": "dob", "diagnosis": "diagnosis", "diagnosis_date": "diagnosis_date",
                "biopsy_proven": "biopsy_proven", "mrn": "mrn", "site": "site",
            },
            codes={"sex": SEX, "diagnosis": DIAGNOSIS, "biopsy_proven": YES_NO, "site": SITES},
            ignore=[f"{form}_complete" for form in FORMS],
        ),
        "courses": part(
            "ivig_course",
            {
                "course": PLACE[3], "start": "course_start", "planned_dose": "planned_dose",
                "planned_dose_unit": "planned_dose_unit", "planned_days": "planned_days",
            },
        ),
        "infusions": part(
            "infusion",
            {
                "course": "inf_course", "day": "inf_day", "start": "inf_start", "end": "inf_end",
                "product": "product", "lot": "lot", "dose": "inf_dose", "unit": "inf_unit", "status": "inf_status",
            },
            codes={"status": ENDED},
        ),
        "assessments": {
            **how,
            "where": {"redcap_event_name": list(VISITS), "redcap_repeat_instrument": ""},
            "columns": {"subject": "record_id", "visit": "redcap_event_name"},
            "codes": {"visit": VISITS},
            "rows": [laboratory, {"columns": {"date": "visit_date"}, "rows": measures}],
        },
        "medications": part(
            "medication",
            {
                "medication": "medication", "dose": "med_dose", "unit": "med_unit", "start": "med_start",
                "end": "med_end",
            },
        ),
        "adverse_events": part(
            "adverse_event",
            {
                "event": PLACE[3], "term": "ae_term", "onset": "ae_onset", "end": "ae_end", "severity": "ae_severity",
                "serious": "ae_serious", "outcome": "ae_outcome", "course": "ae_course", "causality": "ae_causality",
            },
            codes={"severity": SEVERITY, "serious": YES_NO, "outcome": OUTCOME, "causality": CAUSALITY},
            checkboxes={
                "seriousness_criteria": {word: f"ae_criteria___{number}" for number, word in enumerate(CRITERIA, 1)}
            },
        ),
        "dispositions": part(
            "disposition",
            {"status": "disp_status", "date": "disp_date", "analysed": "analysed", "reason": "disp_reason"},
            codes={"status": STATUS, "analysed": YES_NO},
        ),
    }  # fmt: skip


def dictionary() -> str:
    """The data dictionary, as REDCap's page gives it."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(COLUMNS), restval="", lineterminator="\n")
    writer.writeheader()
    ends = {name: (least, most) for name, (_, _, _, least, most) in SCORES.items()}
    for form, rows in fields().items():
        for name, kind, label, codes, validation, note in rows:
            least, most = ends.get(name, ("", ""))
            cells = [name, form, "", kind, label, codes, note, validation, least, most]
            cells.append("y" if name in ("dob", "mrn") else "")
            writer.writerow(dict(zip(COLUMNS, cells, strict=False)))
    return out.getvalue()


def project() -> dict[str, Any]:
    """What the API tells of the project."""
    at = {form: [ENROLMENT] for form in FORMS} | {"visit": list(VISITS)}
    return {
        "project": {
            "project_id": 2003, "project_title": "IVIG in myositis (synthetic)", "is_longitudinal": 1,
            "has_repeating_instruments_or_events": 1, "missing_data_codes": "",
        },
        "instrument": [{"instrument_name": form, "instrument_label": label} for form, label in FORMS.items()],
        "event": [{"event_name": label, "arm_num": 1, "unique_event_name": event} for event, label in EVENTS.items()],
        "formEventMapping": [
            {"arm_num": 1, "unique_event_name": event, "form": form}
            for form, events in at.items()
            for event in events
        ],
        "repeatingFormsEvents": [
            {"event_name": ENROLMENT, "form_name": form, "custom_form_label": ""} for form in REPEATING
        ],
    }  # fmt: skip


def in_order(text: str) -> str:
    """An export in REDCap's order, its columns as REDCap has them: forms one after another, each with its status."""
    rows = list(csv.DictReader(io.StringIO(text)))
    names = [*PLACE]
    filled: dict[str, list[str]] = {}
    for form, found in fields().items():
        filled[form] = [
            each
            for name, kind, _, codes, *_ in found
            if name != PLACE[0]
            for each in ([f"{name}___{n}" for n in range(1, codes.count("|") + 2)] if kind == "checkbox" else [name])
        ]
        names += [*filled[form], f"{form}_complete"]
    for row in rows:
        for form, columns in filled.items():
            if any(row.get(name) for name in columns):
                row[f"{form}_complete"] = "2"
    events, forms = list(EVENTS), ["", *FORMS]
    rows.sort(key=lambda row: (row[PLACE[0]], events.index(row[PLACE[1]]), forms.index(row[PLACE[2]])))
    seen: dict[tuple[str, ...], int] = {}
    for row in rows:
        if row[PLACE[2]] and not row[PLACE[3]]:  # infusions and medications are counted as they come
            key = row[PLACE[0]], row[PLACE[2]]
            seen[key] = seen.get(key, 0) + 1
            row[PLACE[3]] = str(seen[key])
    out = io.StringIO()
    writer = csv.DictWriter(out, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def write(folder: Path) -> None:
    """The folder, anew."""
    write_sources_of(folder, tables())
    (folder / "dictionary.csv").write_text(dictionary(), "utf-8")
    (folder / "project.json").write_text(json.dumps(project(), indent=1) + "\n", "utf-8")
    export = folder / "export.csv"
    export.write_text(in_order(export.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    write(FOLDER)
    sys.stdout.write(f"{FOLDER}: written\n")
