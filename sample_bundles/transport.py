"""The sample study as SDTM data sets with their SUPP--: how each table is read, how their variables are described.

What the tables do not hold (--STRESC, --DY, VISITNUM, AGE ...) is derived, and left out. EX and EC are Dataset-JSON,
because a dose of 28.0 would be 28 in a SAS transport file; the others are SAS transport files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from fhir_ivig.datasets.dataset import Dataset, Kind, Variable
from fhir_ivig.datasets.output import writer

STUDY = "hara2003"
VISITS = ("screening", "week 0", "week 2", "week 4", "week 8", "week 12")
TESTS = {  # domain -> test code -> measure
    "LB": {"CK": "CK"},
    "VS": {"WEIGHT": "weight"},
    "QS": {"ADL": "ADL", "FATIGUE": "fatigue", "PAIN": "pain"},
    "RS": {"PHYSICIA": "physician"},
    "MK": {"MMT": "MMT"},
}
GRADES = {
    "MARKEDLY IMPROVED": "markedly-improved",
    "IMPROVED": "improved",
    "UNCHANGED": "unchanged",
    "WORSE": "worse",
}
REASONS = {"NOT PERFORMED": "not-performed", "SUBJECT DECLINED": "asked-declined", "SAMPLE UNUSABLE": "error"}
EVENTS = {
    "severity": {"MILD": "mild", "MODERATE": "moderate", "SEVERE": "severe"},
    "serious": {"Y": "yes", "N": "no"},
    "causality": {
        "RELATED": "related", "POSSIBLY RELATED": "possible", "UNLIKELY RELATED": "unlikely",
        "NOT RELATED": "unrelated",
    },
    "outcome": {
        "RECOVERED/RESOLVED": "recovered", "RECOVERING/RESOLVING": "recovering",
        "NOT RECOVERED/NOT RESOLVED": "not-recovered", "RECOVERED/RESOLVED WITH SEQUELAE": "sequelae",
        "FATAL": "fatal", "UNKNOWN": "unknown",
    },
}  # fmt: skip
CRITERIA = {
    "congenital": "AESCONG", "disability": "AESDISAB", "death": "AESDTH", "hospitalisation": "AESHOSP",
    "life-threatening": "AESLIFE", "important": "AESMIE",
}  # fmt: skip
NUMBERS: dict[str, Kind] = {"SEQ": "integer", "DOSE": "decimal"}
# The variables of each file in their order, as SDTM labels them; `--` stands for the domain.
FIRST = {"STUDYID": "Study Identifier", "DOMAIN": "Domain Abbreviation", "USUBJID": "Unique Subject Identifier"}
NUMBER = {"--SEQ": "Sequence Number"}
TREATMENT = {
    "--GRPID": "Group ID", "--SPID": "Sponsor-Defined Identifier", "--TRT": "Name of Treatment", "--DOSE": "Dose",
    "--DOSU": "Dose Units", "--STDTC": "Start Date/Time of Treatment",
}  # fmt: skip
FINDING = {
    "--TESTCD": "Short Name of Test", "--ORRES": "Result or Finding in Original Units", "--ORRESU": "Original Units",
    "--STAT": "Completion Status", "--REASND": "Reason Not Done", "VISIT": "Visit Name",
    "--DTC": "Date/Time of Finding",
}  # fmt: skip
FILES: dict[str, dict[str, str]] = {
    "dm.xpt": FIRST | {
        "SUBJID": "Subject Identifier for the Study", "SITEID": "Study Site Identifier",
        "BRTHDTC": "Date/Time of Birth", "SEX": "Sex",
    },
    "ec.json": FIRST | NUMBER | TREATMENT | {
        "ECDUR": "Duration of Treatment", "ECMOOD": "Mood", "ECOCCUR": "Occurrence Indicator",
    },
    "ex.json": FIRST | NUMBER | TREATMENT | {
        "EXENDTC": "End Date/Time of Treatment", "EXLOT": "Lot Number", "EXADJ": "Reason for Dose Adjustment",
    },
    "cm.xpt": FIRST | NUMBER | {
        "CMTRT": "Reported Name of Drug, Med, or Therapy", "CMDOSE": "Dose per Administration",
        "CMDOSU": "Dose Units", "CMSTDTC": "Start Date/Time of Medication", "CMENDTC": "End Date/Time of Medication",
    },
    "ae.xpt": FIRST | NUMBER | {
        "AELNKGRP": "Link Group ID", "AETERM": "Reported Term for the Adverse Event", "AESEV": "Severity/Intensity",
        "AESER": "Serious Event", "AEREL": "Causality", "AEOUT": "Outcome of Adverse Event",
        "AESCONG": "Congenital Anomaly or Birth Defect", "AESDISAB": "Persist or Signif Disability/Incapacity",
        "AESDTH": "Results in Death", "AESHOSP": "Requires or Prolongs Hospitalization",
        "AESLIFE": "Is Life Threatening", "AESMIE": "Other Medically Important Serious Event",
        "AESTDTC": "Start Date/Time of Adverse Event", "AEENDTC": "End Date/Time of Adverse Event",
    },
    "ds.xpt": FIRST | NUMBER | {
        "DSDECOD": "Standardized Disposition Term", "DSSTDTC": "Start Date/Time of Disposition Event",
    },
    **{
        f"{domain.lower()}.xpt": FIRST | NUMBER | FINDING
        | ({"LBORNRHI": "Reference Range Upper Limit-Orig Unit"} if domain == "LB" else {})
        for domain in TESTS
    },
}  # fmt: skip


def transport() -> dict[str, Any]:
    """The `tables:` of its study.yaml."""
    started = {"subject": "USUBJID", "course": "EXGRPID", "product": "EXTRT", "start": "EXSTDTC"}
    events = ("severity", "serious", "causality", "outcome")
    return {
        "subjects": {
            **domain("dm.xpt", {"subject": "USUBJID", "site": "SITEID", "birth_date": "BRTHDTC", "sex": "SEX"}),
            "copies": {"SUBJID": "subject"},
            "supplement": "suppdm.xpt",
            "qualifiers": {
                "DXCD": "Diagnosis", "DXDTC": "Date of Diagnosis", "BIOPSY": "Proven by Muscle Biopsy",
                "MRN": "Medical Record Number",
            },
            "codes": {"sex": {"F": "female", "M": "male"}, "biopsy_proven": {"Y": "yes", "N": "no"}},
        },
        "courses": {
            **domain("ec.json", {
                "subject": "USUBJID", "course": "ECGRPID", "start": "ECSTDTC", "planned_dose": "ECDOSE",
                "planned_dose_unit": "ECDOSU", "planned_days": "ECDUR",
            }, ECMOOD="SCHEDULED", ECTRT="IVIG"),
            "sequence": {"ECSEQ": "USUBJID"},
            "codes": {"planned_days": {"P5D": "5"}},
        },
        "infusions": [
            {
                **domain("ex.json", started | {
                    "day": "EXSPID", "lot": "EXLOT", "dose": "EXDOSE", "unit": "EXDOSU", "end": "EXENDTC",
                }),
                "sequence": {"EXSEQ": "USUBJID"},
                "rows": [
                    {"where": {"EXADJ": ""}, "constants": {"status": "completed"}},
                    {"where": {"EXADJ": "STOPPED: ADVERSE EVENT"}, "constants": {"status": "stopped"}},
                ],
            },
            {
                **domain("ec.json", {ours: f"EC{theirs[2:]}" if theirs[:2] == "EX" else theirs
                                     for ours, theirs in started.items()} | {"day": "ECSPID"},
                         ECMOOD="PERFORMED", ECOCCUR="N"),
                "constants": {"status": "not-done"},
            },
        ],
        "assessments": [findings(name, tests) for name, tests in TESTS.items()],
        "medications": {
            **domain("cm.xpt", {
                "subject": "USUBJID", "medication": "CMTRT", "dose": "CMDOSE", "unit": "CMDOSU", "start": "CMSTDTC",
                "end": "CMENDTC",
            }),
            "sequence": {"CMSEQ": "USUBJID"},
            "codes": {"medication": {"PREDNISOLONE": "prednisolone"}},
        },
        "adverse_events": {
            **domain("ae.xpt", {
                "subject": "USUBJID", "event": "AESEQ", "course": "AELNKGRP", "term": "AETERM", "onset": "AESTDTC",
                "end": "AEENDTC", **{ours: f"AE{theirs}" for ours, theirs in
                                     zip(events, ("SEV", "SER", "REL", "OUT"), strict=True)},
            }),
            "codes": EVENTS,
            "checkboxes": {"seriousness_criteria": CRITERIA},
            "ticks": ["Y", "N"],
        },
        "dispositions": {
            **domain("ds.xpt", {
                "subject": "USUBJID", "status": "DSDECOD", "date": "DSSTDTC", "analysed": "ANALYSED",
                "reason": "NOTANAL",
            }),
            "sequence": {"DSSEQ": "USUBJID"},
            "supplement": "suppds.xpt",
            "qualifiers": {"ANALYSED": "In the Analysis", "NOTANAL": "Reason Not Analysed"},
            "codes": {
                "status": {"OFF STUDY": "off-study", "WITHDRAWN": "withdrawn"},
                "analysed": {"Y": "yes", "N": "no"},
            },
        },
    }  # fmt: skip


def domain(file: str, columns: dict[str, str], **where: str) -> dict[str, Any]:
    """What is said of every data set: its file, its study and domain, and its subjects."""
    if file == "dm.xpt":
        columns |= {"diagnosis": "DXCD", "diagnosis_date": "DXDTC", "biopsy_proven": "BIOPSY", "mrn": "MRN"}
    return {
        "file": file,
        "columns": columns,
        "prefixes": {"subject": f"{STUDY}-"},
        "where": {"STUDYID": STUDY, "DOMAIN": file[:2].upper(), **where},
    }


def findings(name: str, tests: dict[str, str]) -> dict[str, Any]:
    """A domain of findings: its tests with a result, and those that were not done."""
    named = {
        "subject": "USUBJID", "visit": "VISIT", "date": f"{name}DTC", "sign": f"{name}ORRES", "value": f"{name}ORRES",
        "unit": f"{name}ORRESU", "missing_reason": f"{name}REASND",
    }  # fmt: skip
    if name == "LB":
        named["upper_limit"] = "LBORNRHI"
    each = [{"where": {f"{name}TESTCD": code}, "constants": {"measure": measure}} for code, measure in tests.items()]
    return {
        **domain(f"{name.lower()}.xpt", named),
        "sequence": {f"{name}SEQ": "USUBJID"},
        "codes": {
            "visit": {visit.upper(): visit for visit in VISITS},
            "missing_reason": REASONS,
            **({"value": GRADES} if name == "RS" else {}),
        },
        "rows": [
            {"where": {f"{name}STAT": "", f"{name}REASND": ""}, "rows": each},
            {"where": {f"{name}STAT": "NOT DONE"}, "rows": each},
        ],
    }


def describe(folder: Path) -> None:
    """The data sets with their variables described, and no rows."""
    for file, labels in FILES.items():
        stem, _, ending = file.partition(".")
        variables = tuple(
            Variable(name.replace("--", stem.upper()), label, NUMBERS.get(name.removeprefix("--"), "text"))
            if name != "CMDOSE"
            else Variable(name, label, "decimal")
            for name, label in labels.items()
        )
        table = pa.schema([(one.name, pa.string()) for one in variables]).empty_table()
        keys = tuple(one.name for one in variables if one.name in ("STUDYID", "USUBJID", f"{stem.upper()}SEQ"))
        kind = {"xpt": "xpt", "json": "dataset-json"}[ending]
        writer(kind)([Dataset(stem, f"{stem.upper()} of the sample", variables, table, keys)], folder)
