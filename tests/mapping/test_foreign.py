"""Resources as other systems really send them become the rows and Issues that cases.yaml says."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_ivig.fhir.files import read_blocks
from fhir_ivig.issue import Issue
from fhir_ivig.mapping.collection import Bound, Mappings, ReadBlock, References

FOREIGN = Path(__file__).parents[2] / "sample_bundles/foreign"
BASE = "https://example.org/studies/hara2003"
GIVEN = {"study": "hara2003", "mrn_system": "https://hospital.example.org/mrn"}
CASES: list[dict[str, Any]] = yaml.safe_load((FOREIGN / "cases.yaml").read_text("utf-8"))["cases"]
WORSE = ("warning", "error", "fatal")

Place = tuple[str, int]  # file, number of the resource in it


@cache
def bound(version: str) -> Bound:
    return Mappings.load(version).bind(BASE, GIVEN)


@cache
def read(file: str, version: str) -> tuple[dict[Place, dict[str, str | None]], list[Issue]]:
    """The rows and Issues of one file, read beside the hospital's people, what had to wait once more at the end."""
    ours, references = bound(version), References()
    beside = ["people.json"] if version == "R4" and file != "people.json" else []
    blocks: list[ReadBlock] = []
    issues: list[Issue] = []
    waiting: list[tuple[str, bytes, int]] = []
    for block in read_blocks(FOREIGN / name for name in [*beside, file]):
        issues += block.issues
        got = ours.read(block.data, block.numbers, block.file, references)
        blocks.append(got)
        waiting += [(block.file, line, number) for line, number in got.retry]
    for name, line, number in waiting:
        got = ours.read(line, [number], name, references, final=True)
        assert not got.retry
        blocks.append(got)
    rows: dict[Place, dict[str, str | None]] = {}
    for got in blocks:
        issues += got.issues
        for part in got.reads:
            issues += part.issues
            table = ours.mappings.by_name[part.mapping].table
            for number, row in zip(part.numbers.tolist(), part.batch.to_pylist(), strict=True):
                name = {issue.file for issue in part.issues} | {None}
                del name
                rows[table, number] = {"table": table, **row}
    return rows, issues
