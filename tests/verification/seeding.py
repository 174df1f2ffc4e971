"""A hospital's record made of the sample study, with discrepancies that are known."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from fhir_ivig.study.study import Study
from fhir_ivig.sync.export import export
from fhir_ivig.sync.pull_study import pull_study

SAMPLE = Path(__file__).parents[2] / "sample_bundles/hara2003"
Row = dict[str, str]


def copied(folder: Path) -> Path:
    """The sample study in a folder of its own."""
    folder.mkdir(parents=True)
    for file in [*SAMPLE.glob("*.csv"), SAMPLE / "study.yaml"]:
        shutil.copy(file, folder)
    return folder


def read(file: Path) -> list[Row]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def write(file: Path, rows: list[Row], columns: Iterable[str]) -> None:
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, list(columns), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def edit(folder: Path, case: dict[str, Any]) -> None:
    """What a case does to tables."""
    for what in ("set", "drop", "add", "exchange"):
        if what not in case:
            continue
        said = case[what]
        files = sorted(folder.glob("*.csv")) if said["table"] == "*" else [folder / f"{said['table']}.csv"]
        for file in files:
            rows = read(file)
            columns = list(rows[0])
            chosen = [row for row in rows if all(row[name] == text for name, text in said.get("where", {}).items())]
            if what == "set":
                assert len(chosen) == 1, f"{case['name']}: {len(chosen)} rows"
                chosen[0].update(said["cells"])
            elif what == "drop":
                rows = [row for row in rows if row not in chosen]
            elif what == "add":
                rows.append(said["cells"])
            else:
                one, other = said["subjects"]
                for row in chosen:
                    row["subject"] = {one: other, other: one}.get(row["subject"], row["subject"])
            write(file, rows, columns)


def edit_fhir(file: Path, said: dict[str, Any]) -> None:
    """What a case does to the Observation of a subject, visit and mapping."""
    lines = file.read_text("utf-8").splitlines()
    mark = f'/{said["mapping"]}","value":"{said["subject"]}/{said["visit"]}"'
    [place] = [number for number, line in enumerate(lines) if mark in line]
    line = lines[place]
    for old, new in said.get("replace", {}).items():
        assert old in line
        line = line.replace(old, new, said.get("times", -1))
    if "scale" in said:
        line = re.sub(
            r'"value":([0-9.]+)', lambda found: f'"value":{Decimal(found[1]) * Decimal(said["scale"])}', line
        )
    if said.get("twice"):
        another = re.sub(r'"identifier":\[[^]]*\],', "", line, count=1)
        another = re.sub(r'"id":"[^"]*"', f'"id":"again-{place}"', another, count=1)
        lines.append(re.sub(r'("valueQuantity":\{"value":)', rf"\g<1>{said.get('add_digit', '')}", another))
    if said.get("unnamed"):
        line = re.sub(r'"identifier":\[[^]]*\],', "", line, count=1)
        line = re.sub(r'"encounter":\{[^}]*\},', "", line, count=1)
    lines[place] = line
    file.write_text("\n".join(lines) + "\n", "utf-8")


def make(folder: Path, cases: Iterable[dict[str, Any]]) -> tuple[Path, Path]:
    """The study and the record, after a way through FHIR files, with what the cases say."""
    study, hospital = copied(folder / "study"), copied(folder / "hospital")
    for case in cases:
        edit(hospital, case)
        if "study" in case:
            edit(study, {"name": case["name"], "set": case["study"]})
    written = export(Study.load(hospital / "study.yaml"), folder / "fhir")
    assert written.withheld.total() == 0
    for case in cases:
        if "fhir" in case:
            edit_fhir(folder / "fhir/Observation.ndjson", case["fhir"])
    pull_study(Study.load(hospital / "study.yaml"), str(folder / "fhir"), folder / "record")
    return study, folder / "record"
