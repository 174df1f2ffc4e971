"""Cells that do not leave are found in a study file however they are written, and hashed where a rule asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_ivig.deidentify.key import Key
from fhir_ivig.deidentify.naming import refuse_named, translated
from fhir_ivig.issue import IssueError

CASES = yaml.safe_load((Path(__file__).parent / "naming.yaml").read_text("utf-8"))
KEY = Key(b"1" * 32)
HASHED = {"subject": frozenset({"A-01", "A-02"}), "site": frozenset({"North"})}


def became(text: dict[str, Any], cell: str) -> str:
    try:
        told = list(refuse_named({"study.yaml": text}, {cell: "subjects.subject"}))
    except IssueError as error:
        told = error.issues
    assert all(one.text.replace(" names", "").startswith(f"populations.all.label `{cell}`") for one in told)
    return {"": "neither", "warning": "warned", "fatal": "refused"}["".join(one.severity for one in told)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['cell']} in {case['label']}")
def test_cells_are_found(case: dict[str, Any]) -> None:
    text = {
        "visits": [{"visit": "week 12", "day": "84"}],
        "populations": {"all": {"label": case["label"], "table": "subjects"}},
    }
    assert became(text, case["cell"]) == case["is"]


def test_what_a_rule_asks_for_becomes_its_hash() -> None:
    """Of subjects that no table has, too: they were screened, perhaps."""
    rule = {"label": "site", "any": [{"table": "subjects", "where": {"subject": ["A-01", "A-99"], "sex": "male"}}]}
    one, other, north = (KEY.hashed(*cell) for cell in (("subject", "A-01"), ("subject", "A-99"), ("site", "North")))
    found = translated(
        {"title": "A-01", "populations": {"site": rule, "n": {"where": {"site": "North"}}}}, HASHED, KEY
    )
    where = {"subject": [one, other], "sex": "male"}
    assert found["populations"]["site"] == {"label": "site", "any": [{"table": "subjects", "where": where}]}
    assert found["populations"]["n"] == {"where": {"site": north}}
    assert found["title"] == "A-01"
