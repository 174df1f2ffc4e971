"""Tables in parts, wide files, and files of several tables: cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from trial import MakeStudy

from fhir_ivig.study.tables import read_table

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "parts.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("block_rows", [1 << 15, 1])
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case: dict[str, Any], block_rows: int, make_study: MakeStudy, tmp_path: Path) -> None:
    for name, text in case["files"].items():
        (tmp_path / name).write_text(text)
    study = make_study(tables=case["tables"])
    rows: dict[str, list[str]] = {}
    numbers: dict[str, list[int]] = {}
    issues = []
    for table in study.tables:
        for part in read_table(study, table, block_rows):
            cells = ["|".join(cell or "" for cell in row.values()) for row in part.batch.to_pylist()]
            rows.setdefault(table, []).extend(cells)
            numbers.setdefault(table, []).extend(part.numbers.tolist())
            issues += part.issues
    assert {table: found for table, found in rows.items() if found} == case.get("rows", {})
    assert {table: numbers[table] for table in case.get("numbers", {})} == case.get("numbers", {})
    left = [
        wanted
        for wanted in case.get("issues", [])
        if not any(
            (issue.severity, issue.code, issue.file, issue.row, issue.column)
            == (
                wanted.get("severity", "error"),
                *(wanted.get(key) for key in ("code", "file", "row", "column")),
            )
            and wanted["has"] in issue.text
            for issue in issues
        )
    ]
    assert left == [], issues
    assert len(issues) == len(case.get("issues", [])), issues
