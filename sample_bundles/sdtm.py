"""The sample study as SDTM data sets (CSV): `python -m sample_bundles.sdtm`. Synthetic, like the sample.

Variables are SDTM's where it has one: DM, EC (courses as scheduled), EX, LB, QS, VS, CM, AE, DS. What SDTM puts into
supplemental qualifiers or nowhere stands in the same data set under names of the sponsor's, listed in SPONSOR.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

from sample_bundles.sources import HERE, VISITS, write_sources_of

FOLDER = HERE / "hara2003_sdtm"
SPONSOR = {
    "dm": ["DIAG", "DIAGDTC", "BIOPSY", "MRN"], "ec": ["ECDAYS"], "ex": ["EXSTATUS"], "lb": ["LBSIGN"],
    "ae": ["AECOURSE"], "ds": ["DSANL", "DSREAS"],
}  # fmt: skip
NY = {"Y": "yes", "N": "no"}
QS = {"MMT": "score", "ADL": "score", "FATIGUE": "cm", "PAIN": "cm", "PHYS": None}
OURS = {"FATIGUE": "fatigue", "PAIN": "pain", "PHYS": "physician"}
GRADES = {
    "MARKEDLY IMPROVED": "markedly-improved",
    "IMPROVED": "improved",
    "UNCHANGED": "unchanged",
    "WORSE": "worse",
}
REASONS = {
    "NOT PERFORMED": "not-performed", "UNKNOWN": "unknown", "ERROR": "error", "NOT ASKED": "not-asked",
    "DECLINED": "asked-declined", "NOT APPLICABLE": "not-applicable",
}  # fmt: skip


def domain(name: str, columns: dict[str, str], **rest: Any) -> dict[str, Any]:
    """How one data set is read: only rows of this study and domain."""
    where = {"STUDYID": "HARA2003", "DOMAIN": name.upper(), **rest.pop("where", {})}
    ignore = [f"{name.upper()}SEQ"] if name not in ("dm",) else []
    said = {"file": f"{name}.csv", "where": where, "columns": {"subject": "USUBJID", **columns}, **rest}
    return {**said, **({"ignore": ignore} if ignore else {})}


def findings(name: str, codes: dict[str, dict[str, str]], rest: dict[str, str], **said: Any) -> dict[str, Any]:
    """LB, QS or VS: a row a result."""
    own = name.upper()
    columns = {
        "visit": "VISIT", "date": f"{own}DTC", "measure": f"{own}TESTCD", "value": f"{own}ORRES",
        "unit": f"{own}ORRESU", "missing_reason": f"{own}REASND", **rest,
    }  # fmt: skip
    visits = {visit.upper(): visit for visit in VISITS}
    return domain(name, columns, codes={"visit": visits, "missing_reason": REASONS, **codes}, **said)


def tables() -> dict[str, Any]:
    """How the data sets are read."""
    return {
        "subjects": domain(
            "dm",
            {
                "sex": "SEX", "birth_date": "BRTHDTC", "site": "SITEID", "diagnosis": "DIAG",
                "diagnosis_date": "DIAGDTC", "biopsy_proven": "BIOPSY", "mrn": "MRN",
            },
            codes={"sex": {"F": "female", "M": "male", "U": "unknown"}, "biopsy_proven": NY},
        ),
        "courses": domain(
            "ec",
            {
                "course": "ECGRPID", "start": "ECSTDTC", "planned_dose": "ECDOSE", "planned_dose_unit": "ECDOSU",
                "planned_days": "ECDAYS",
            },
            where={"ECMOOD": "SCHEDULED"},
        ),
        "infusions": domain(
            "ex",
            {
                "course": "EXGRPID", "day": "EXSPID", "start": "EXSTDTC", "end": "EXENDTC", "product": "EXTRT",
                "lot": "EXLOT", "dose": "EXDOSE", "unit": "EXDOSU", "status": "EXSTATUS",
            },
            codes={"status": {"COMPLETED": "completed", "STOPPED": "stopped", "NOT DONE": "not-done"}},
        ),
        "assessments": [
            findings("lb", {}, {"sign": "LBSIGN", "upper_limit": "LBORNRHI"}, where={"LBTESTCD": "CK"}),
            findings("qs", {"measure": OURS, "value": GRADES}, {}, where={"QSTESTCD": list(QS)}),
            findings("vs", {"measure": {"WEIGHT": "weight"}}, {}, where={"VSTESTCD": "WEIGHT"}),
        ],
        "medications": domain(
            "cm",
            {"medication": "CMTRT", "dose": "CMDOSE", "unit": "CMDOSU", "start": "CMSTDTC", "end": "CMENDTC"},
            codes={"medication": {"PREDNISOLONE": "prednisolone"}},
        ),
        "adverse_events": domain(
            "ae",
            {
                "event": "AESPID", "term": "AETERM", "onset": "AESTDTC", "end": "AEENDTC", "severity": "AESEV",
                "serious": "AESER", "outcome": "AEOUT", "course": "AECOURSE", "causality": "AEREL",
            },
            codes={
                "severity": {"MILD": "mild", "MODERATE": "moderate", "SEVERE": "severe"},
                "serious": NY,
                "outcome": {
                    "RECOVERED/RESOLVED": "recovered", "RECOVERING/RESOLVING": "recovering",
                    "NOT RECOVERED/NOT RESOLVED": "not-recovered", "RECOVERED/RESOLVED WITH SEQUELAE": "sequelae",
                    "FATAL": "fatal", "UNKNOWN": "unknown",
                },
                "causality": {
                    "RELATED": "related", "POSSIBLY RELATED": "possible", "UNLIKELY RELATED": "unlikely",
                    "NOT RELATED": "unrelated",
                },
            },
            checkboxes={
                "seriousness_criteria": {
                    "death": "AESDTH", "life-threatening": "AESLIFE", "hospitalisation": "AESHOSP",
                    "disability": "AESDISAB", "congenital": "AESCONG", "important": "AESMIE",
                }
            },
            ticks=["Y", "N"],
        ),
        "dispositions": domain(
            "ds",
            {"status": "DSDECOD", "date": "DSSTDTC", "analysed": "DSANL", "reason": "DSREAS"},
            codes={
                "status": {"OFF STUDY": "off-study", "WITHDRAWN": "withdrawn", "INELIGIBLE": "ineligible"},
                "analysed": NY,
            },
        ),
    }  # fmt: skip


def numbered(path: Path) -> None:
    """A data set with its --SEQ, counted for each subject."""
    rows = list(csv.DictReader(path.open(encoding="utf-8", newline="")))
    name = f"{path.stem.upper()}SEQ"
    seen: dict[str, int] = {}
    for row in rows:
        seen[row["USUBJID"]] = seen.get(row["USUBJID"], 0) + 1
        row[name] = str(seen[row["USUBJID"]])
    rest = [column for column in rows[0] if column not in ("STUDYID", "DOMAIN", "USUBJID", name)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(
            file,
            ["STUDYID", "DOMAIN", "USUBJID", *([name] if path.stem != "dm" else []), *rest],
            lineterminator="\n",
            extrasaction="ignore",
        )
        writer.writeheader()
        writer.writerows(rows)


def write(folder: Path) -> None:
    """The folder, anew."""
    write_sources_of(folder, tables())
    for path in folder.glob("*.csv"):
        numbered(path)


if __name__ == "__main__":
    write(FOLDER)
    sys.stdout.write(f"{FOLDER}: written\n")
