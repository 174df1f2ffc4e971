"""Wrong input is normal: a place or a reason every time, never NaN, a warning on the screen or a traceback."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from small_study import COLUMNS, STUDY, sample, tables

from fhir_ivig.endpoints.compute import compute
from fhir_ivig.endpoints.measure_report import to_fhir
from fhir_ivig.endpoints.result import as_dict
from fhir_ivig.endpoints.trace import trace

CASES = yaml.safe_load((Path(__file__).parent / "bad_inputs.yaml").read_text("utf-8"))
SAMPLE, _ = sample()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
@pytest.mark.filterwarnings("error")
def test_case(case: dict[str, Any]) -> None:
    study = STUDY | case.get("study", {}) | {"endpoints": {"it": case["endpoint"]}}
    results, issues = compute(study, tables(**case.get("rows", {})))
    said = sorted((issue.place, issue.text) for issue in issues)
    wanted = sorted(map(tuple, case.get("issues", [])))
    assert [place for place, _ in said] == [place for place, _ in wanted]
    assert all(piece in text for (_, text), (_, piece) in zip(said, wanted, strict=True)), said
    by_name = {r.statistic: r for r in results}
    for statistic, pieces in case.get("says", {}).items():
        warnings = by_name[statistic].warnings
        for piece in pieces:
            assert any(piece in warning for warning in warnings), warnings
    for statistic in case.get("no_estimate", []):
        assert by_name[statistic].estimate is None or statistic == "mean_difference"
    for result in results:
        assert result.estimate is not None or result.warnings, result


WORDS = """A B yes 0 1 2.50 60 -1 <5 1e9 2001 2001-02-30 2001-06-15 9999-12-31 0001-01-01 completed stopped MMT CK
weight physician week_0 week_12 score kg U/L g mg/d prednisolone improved PM male possible \x00 \u0663"""
cells = st.none() | st.sampled_from([word.replace("_", " ") for word in WORDS.split()])


RULES = {"visits": ["several"], "measures": ["several"], "endpoints": ["missing"]}
CHOICES = {"several": ["nearest", "first", "last", "mean"], "missing": ["complete", "locf", "worst", "baseline"]}


def with_rules(data: st.DataObject) -> dict[str, Any]:
    """The sample's study file with rules for several and for missing values here and there."""
    study = copy.deepcopy(SAMPLE)
    for part, keys in RULES.items():
        entries = study[part]
        for entry in entries.values() if isinstance(entries, dict) else entries:
            for key in keys:
                if part == "endpoints" and entry["kind"] not in ("paired_change", "responders"):
                    continue
                rule = data.draw(st.none() | st.sampled_from(CHOICES[key]))
                numeric = entry.get("unit") or entry.get("measure") in ("CK", "MMT")
                if rule and (numeric or rule not in ("mean", "worst")):
                    entry[key] = rule
    return study


@settings(max_examples=150, deadline=None)
@given(st.data())
@pytest.mark.filterwarnings("error")
def test_whatever_stands_in_the_tables(data: st.DataObject) -> None:
    found = {}
    for name, header in COLUMNS.items():
        columns = header.split(",")
        if data.draw(st.integers(0, 9)) == 0:
            continue
        rows = data.draw(st.lists(st.tuples(*[cells] * len(columns)), max_size=6))
        found[name] = pa.table(
            {column: pa.array([row[i] for row in rows], pa.string()) for i, column in enumerate(columns)}
        )
    study = with_rules(data)
    results, issues = compute(study, found)
    assert {r.endpoint for r in results} == SAMPLE["endpoints"].keys()
    assert all(issue.place for issue in issues)
    for result in results:
        assert result.estimate is not None or result.warnings
        assert all(value == value for value in as_dict(result).values())
    name = data.draw(st.sampled_from(sorted(study["endpoints"])))
    used, _ = trace(study, found, None, None, name)
    assert all((one.used != "no") == (one.why is None) for one in used)
    json.dumps(list(to_fhir(results, study["base"], "R4", None)), default=float, allow_nan=False)
