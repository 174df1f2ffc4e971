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
from sample_bundles.redcap_forms import (
    CAUSALITY,
    DIAGNOSIS,
    ENDED,
    ENROLMENT,
    EVENTS,
    FORMS,
    OUTCOME,
    PLACE,
    REASONS,
    REPEATING,
    SCORES,
    SEVERITY,
    SEX,
    SITES,
    STATUS,
    VISITS,
    YES_NO,
    fields,
)
from sample_bundles.sources import CRITERIA, GRADES, HERE, write_sources_of

FOLDER = HERE / "hara2003_redcap"


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
