"""The forms, fields and choices of the sample as a REDCap project."""

from __future__ import annotations

from sample_bundles.sources import CRITERIA, GRADES

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
