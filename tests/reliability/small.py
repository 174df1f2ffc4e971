"""A small study, its edits, and what of it is on a server or in tables: looked up without the package."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests
from sample_study import SAMPLE, Row, edit

from fhir_ivig.study.study import Study
from fhir_ivig.sync.export import export

BASE = "https://example.org/reliability"  # identifiers of these studies, and of no other, begin so
TABLES = ("subjects", "courses", "infusions", "assessments")
SUBJECTS = ("HARA-02", "HARA-06")


def small_study(folder: Path, base: str = BASE) -> Path:
    """Two subjects of the sample with four of its tables, under a base of its own; its study.yaml."""
    folder.mkdir(parents=True)
    text = (SAMPLE / "study.yaml").read_text("utf-8").partition("\npopulations:")[0]
    for table in ("medications", "adverse_events", "dispositions"):
        text = text.replace(f"  {table}: {{}}\n", "")
    file = folder / "study.yaml"
    file.write_text(text.replace("https://example.org/studies/hara2003", f"{base}/{uuid4()}"), "utf-8")
    for table in TABLES:
        (folder / f"{table}.csv").write_bytes((SAMPLE / f"{table}.csv").read_bytes())
        edit(folder / f"{table}.csv", lambda rows: [row for row in rows if _kept(row)])
    return file


def _kept(row: Row) -> bool:
    return row["subject"] in SUBJECTS and row.get("measure", "CK") in ("CK", "MMT") and row.get("day", "1") < "3"


def change_some(folder: Path, number: int) -> None:
    """Three other values in two tables, others for each number."""

    def values(rows: list[Row]) -> list[Row]:
        for place, row in enumerate([row for row in rows if row["measure"] == "CK"][:2]):
            row["value"] = f"{1000 * number + place + 1}"
        return rows

    edit(folder / "assessments.csv", values)
    edit(folder / "infusions.csv", lambda rows: [{**rows[0], "lot": f"L{number}"}, *rows[1:]])


def planned(study: Study, folder: Path) -> dict[str, Any]:
    """`Type/id` -> the resource that the study means."""
    export(study, folder)
    lines = [line for file in folder.glob("[A-Z]*.ndjson") for line in file.read_text("utf-8").splitlines()]
    return {f"{each['resourceType']}/{each['id']}": each for each in map(json.loads, lines)}


def stored(server: str, refs: Sequence[str]) -> dict[str, Any]:
    """`Type/id` -> the resource that the server has there, without its `meta`."""
    found = {}
    for kind in sorted({ref.partition("/")[0] for ref in refs}):
        ids = ",".join(ref.partition("/")[2] for ref in refs if ref.startswith(f"{kind}/"))
        form = {"_id": ids, "_count": "500"}
        page = requests.post(f"{server}/{kind}/_search", form, timeout=30).json()
        assert all(link["relation"] != "next" for link in page.get("link", []))
        found |= {f"{kind}/{each['resource']['id']}": each["resource"] for each in page.get("entry", [])}
    return {ref: {k: v for k, v in resource.items() if k != "meta"} for ref, resource in found.items()}


def everything(server: str, kinds: Sequence[str]) -> list[Any]:
    """All resources of some types on a server that carry an identifier of these studies."""
    found = []
    for kind in kinds:
        url: str | None = f"{server}/{kind}?_count=500"
        while url:
            page = requests.get(url, timeout=60).json()
            found += [entry["resource"] for entry in page.get("entry", [])]
            url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    return [each for each in found if any(i["system"].startswith(BASE) for i in each.get("identifier", []))]


def tables(folder: Path) -> dict[str, list[str]]:
    """The lines of each table, in an order of their own."""
    return {table: sorted((folder / f"{table}.csv").read_text("utf-8").splitlines()) for table in TABLES}
