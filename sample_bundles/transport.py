"""The sample study as SDTM data sets with their SUPP--: how each table is read, how their variables are described.

What the tables do not hold (--STRESC, --DY, VISITNUM, AGE ...) is derived, and left out. EX and EC are Dataset-JSON,
because a dose of 28.0 would be 28 in a SAS transport file; the others are SAS transport files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from fhir_ivig.datasets.dataset import Dataset, Variable
from fhir_ivig.datasets.declared import declarations
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
# The variables of each file, in their order; `--` stands for the domain. EC's are labelled as those of EX.
FIRST, TREATMENT = "STUDYID DOMAIN USUBJID", "--SEQ --GRPID --SPID --TRT --DOSE --DOSU --STDTC"
FINDING = "--SEQ --TESTCD --ORRES --ORRESU --STAT --REASND VISIT --DTC"
FILES = {
    "dm.xpt": "SUBJID SITEID BRTHDTC SEX",
    "ec.json": f"{TREATMENT} ECDUR ECMOOD ECOCCUR",
    "ex.json": f"{TREATMENT} EXENDTC EXLOT EXADJ",
    "cm.xpt": "--SEQ CMTRT CMDOSE CMDOSU CMSTDTC CMENDTC",
    "ae.xpt": "--SEQ AELNKGRP AETERM AESEV AESER AEREL AEOUT"
    " AESCONG AESDISAB AESDTH AESHOSP AESLIFE AESMIE AESTDTC AEENDTC",
    "ds.xpt": "--SEQ DSDECOD DSSTDTC",
    **{f"{domain.lower()}.xpt": FINDING + " LBORNRHI" * (domain == "LB") for domain in TESTS},
}
LABELS = {  # of variables that `--datasets sdtm` does not make
    "AELNKGRP": "Link Group ID",
    "ECDUR": "Duration of Treatment",
    "ECMOOD": "Mood",
    "ECOCCUR": "Occurrence Indicator",
    "EXADJ": "Reason for Dose Adjustment",
}


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
    for file, names in FILES.items():
        stem, _, ending = file.partition(".")
        domain = stem.upper()
        variables = tuple(_variable(name.replace("--", domain)) for name in f"{FIRST} {names}".split())
        table = pa.schema([(one.name, pa.string()) for one in variables]).empty_table()
        keys = tuple(one.name for one in variables if one.name in ("STUDYID", "USUBJID", f"{domain}SEQ"))
        kind = {"xpt": "xpt", "json": "dataset-json"}[ending]
        writer(kind)([Dataset(stem, f"{domain} of the sample", variables, table, keys)], folder)


def _variable(name: str) -> Variable:
    """A number or a text, labelled as `--datasets sdtm` does."""
    if name in LABELS:
        return Variable(name, LABELS[name], "text")
    like = name if not name.startswith("EC") else f"EX{name[2:]}"
    made = (each.variable for one in declarations("sdtm") for each in one.variables if each.variable.name == like)
    known = next(made)
    return Variable(name, known.label, known.kind if known.kind in ("integer", "decimal") else "text")
