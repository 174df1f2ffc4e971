"""The sample study as its data could lie elsewhere: `python -m sample_bundles.sources`.

Each folder has a study.yaml, the sample's with other `tables:`, and the files that it tells of. From each, the tables
and the FHIR are those of the sample, byte for byte, and going back out gives these files again.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import yaml

from fhir_ivig.datasets.refilling import write_like
from fhir_ivig.issue import failed
from fhir_ivig.study.study import Study
from fhir_ivig.study.writing import read_written
from fhir_ivig.sync.refill import write_sources
from fhir_ivig.yamltext import load, plain
from sample_bundles.transport import describe, transport

HERE = Path(__file__).parent
SAMPLE = HERE / "hara2003"
VISITS = {"screening": "scr", "week 0": "w0", "week 2": "w2", "week 4": "w4", "week 8": "w8", "week 12": "w12"}
SCORES = {"MMT": "score", "ADL": "score", "fatigue": "cm", "pain": "cm", "physician": None, "weight": "kg"}
NOT_AT = {  # what no visit of this name has
    "screening": {"CK", "ADL", "fatigue", "pain", "physician", "weight"},
    "week 0": {"physician"},
    "week 2": {"physician", "weight"},
    "week 4": {"weight"},
    "week 8": {"weight"},
    "week 12": set[str](),
}
CRITERIA = ("death", "life-threatening", "hospitalisation", "disability", "congenital", "important")
GRADES = {"1": "markedly-improved", "2": "improved", "3": "unchanged", "4": "worse"}


def wide() -> dict[str, Any]:
    """One row a subject with all visits beside each other, as a German spreadsheet exports it; the rest long."""
    how = {"delimiter": ";", "decimal": ",", "date_order": "D.M.YYYY hh:mm", "zone": "+09:00"}
    patients = {"file": "patients.csv", **how}
    return {
        "subjects": {
            **patients,
            "columns": {
                "subject": "No", "sex": "Sex", "birth_date": "Born", "diagnosis": "Diagnosis", "mrn": "MRN",
                "site": "Site", "diagnosis_date": "Diagnosed", "biopsy_proven": "Biopsy",
            },
            "codes": {"sex": {"m": "male", "w": "female"}, "biopsy_proven": {"ja": "yes", "nein": "no"}},
        },
        "courses": how,
        "infusions": how,
        "assessments": {**patients, "columns": {"subject": "No"}, "rows": [visit(*each) for each in VISITS.items()]},
        "medications": {**how, "constants": {"unit": "mg/d"}},
        "adverse_events": {
            **how,
            "checkboxes": {
                "seriousness_criteria": {word: f"serious_{word}" for word in CRITERIA}
            },
            "ticks": ["x", "-"],
        },
        "dispositions": {
            **patients,
            "columns": {
                "subject": "No", "status": "Status", "date": "Last seen", "analysed": "Analysed", "reason": "Why not",
            },
        },
    }  # fmt: skip


def visit(name: str, short: str) -> dict[str, Any]:
    """The columns of one visit: its day, CK with its own time, limit and sign, and the scores."""
    scores = [
        {
            "columns": {
                "value": f"{short}_{measure.lower()}",
                "missing_reason": f"{short}_{measure.lower()}_missing",
            },
            "constants": {"measure": measure, **({"unit": unit} if unit else {})},
            **({"codes": {"value": GRADES}} if measure == "physician" else {}),
        }
        for measure, unit in SCORES.items()
        if measure not in NOT_AT[name]
    ]
    ck = {
        "columns": {
            "date": f"{short}_ck_at", "sign": f"{short}_ck_sign", "value": f"{short}_ck",
            "upper_limit": f"{short}_ck_upper", "missing_reason": f"{short}_ck_missing",
        },
        "constants": {"measure": "CK", "unit": "U/L"},
    }  # fmt: skip
    return {
        "columns": {"date": f"{short}_date"},
        "constants": {"visit": name},
        "rows": [*([] if "CK" in NOT_AT[name] else [ck]), *scores],
    }


def workbook() -> dict[str, Any]:
    """A workbook of seven sheets; laboratory and scores in a row a subject and visit."""
    book = {"file": "trial.xlsx", "zone": "+09:00"}
    long = ("subjects", "courses", "infusions", "medications", "adverse_events", "dispositions")
    rows = [
        {
            "columns": {"value": measure, "missing_reason": f"{measure} missing"}
            | ({"date": "CK taken", "sign": "CK sign", "upper_limit": "CK upper limit"} if measure == "CK" else {}),
            "constants": {"measure": measure, **({"unit": unit} if unit else {})},
        }
        for measure, unit in {"CK": "U/L", **SCORES}.items()
    ]
    visits = {"columns": {"subject": "Subject", "visit": "Visit", "date": "Day"}, "header": "3", "rows": rows}
    return {table: {**book, "sheet": table} for table in long} | {
        "assessments": {**book, "sheet": "visits", **visits}
    }


FORMS = {"hara2003_wide": wide, "hara2003_workbook": workbook, "hara2003_transport": transport}


def write_sources_of(folder: Path, tables: dict[str, Any]) -> None:
    """A folder with the sample study in another shape."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name != "README.md":
            path.unlink()
    said = json.loads(json.dumps({**plain(load(SAMPLE / "study.yaml")), "tables": tables}))  # without aliases
    (folder / "study.yaml").write_text(yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=118), "utf-8")
    sample, study = Study.load(SAMPLE / "study.yaml"), Study.load(folder / "study.yaml")
    rows = {table: read_written(SAMPLE / f"{table}.csv") for table in sample.tables}
    if any(path.suffix in (".xpt", ".json") for path in study.files):
        describe(folder)
    if wrong := [issue for issue in write_sources(study, rows, folder, write_like) if failed([issue])]:
        raise SystemExit("\n".join(map(str, wrong)))
    for book in folder.glob("*.xlsx"):
        _timeless(book)
    for path in (*folder.glob("*.xpt"), *folder.glob("*.json")):
        path.write_bytes(undated(path.read_bytes()))


# When a SAS transport file or Dataset-JSON was written.
WRITTEN = re.compile(rb"\d\d[A-Z]{3}\d\d:\d\d:\d\d:\d\d|(?<=\"datasetJSONCreationDateTime\": \")[^\"]*")


def undated(content: bytes) -> bytes:
    """The same file as if it had been written when all were, so that the same cells are the same bytes."""
    sas, json_ = b"01JAN03:00:00:00", b"2003-01-01T00:00:00Z"
    return WRITTEN.sub(lambda found: sas if len(found[0]) == len(sas) else json_, content)


def _timeless(book: Path) -> None:
    """The same workbook without the time at which it was written, so that the same cells are the same bytes."""
    with ZipFile(book) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    with ZipFile(book, "w", ZIP_DEFLATED) as packed:
        for name, content in sorted(parts.items()):
            packed.writestr(
                ZipInfo(name), re.sub(rb"(?<=W3CDTF\">)[^<]*", b"2003-01-01T00:00:00Z", content), ZIP_DEFLATED
            )


if __name__ == "__main__":
    for name, tables in FORMS.items():
        write_sources_of(HERE / name, tables())
        sys.stdout.write(f"{HERE / name}: written\n")
