"""Responders by a rule of the study file: what is met, what is not, and what cannot be told."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_study import table

from fhir_ivig.endpoints.compute import compute

CASES = yaml.load((Path(__file__).parent / "responder_rules.yaml").read_text("utf-8"), yaml.BaseLoader)
HEADER = "subject,visit,date,measure,sign,value,unit,upper_limit,scale_max,missing_reason"
VISITS = ("base", "middle", "late", "end")
# Values at base, middle, late and end; - where there is none.
VALUES = {
    "A": {"MMT": "100 110 115 120", "CK": "500 400 300 250"},
    "B": {"MMT": "90 80 75 70", "CK": "600 600 600 600"},
    "C": {"MMT": "110 100 110 115", "CK": "0 0 0 500"},
    "D": {"MMT": "100 90 95 -", "CK": "1000 900 800 500"},
}
STUDY: dict[str, Any] = {
    "visits": [{"visit": visit} for visit in VISITS],
    "measures": {
        "MMT": {"unit": "score", "better": "higher", "scale_max": "150"},
        "CK": {"unit": "U/L", "better": "lower"},
    },
    "populations": {
        "all": {"table": "subjects"},
        "one": {"label": "One", "table": "subjects", "where": {"subject": ["A", "B"]}},
        "two": {"label": "Two", "table": "subjects", "where": {"subject": ["C", "D"]}},
    },
}
UNITS = {"MMT": "score", "CK": "U/L"}


def assessed(values: dict[str, dict[str, str]], visits: tuple[str, ...] = VISITS) -> Any:
    rows = [
        f"{subject},{visit},,{measure},,{'' if value == '-' else value},{UNITS.get(measure, 'cm')},,,"
        f"{'not-performed' if value == '-' else ''}"
        for subject, measures in values.items()
        for measure, series in measures.items()
        for visit, value in zip(visits, series.split(), strict=True)
    ]
    return {"subjects": table("subject", "\n".join(values)), "assessments": table(HEADER, "\n".join(rows))}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_rule(case: dict[str, Any]) -> None:
    asked = {"kind": "responder_rule", "population": "all", "from": "base", "at": "end", "rule": case["rule"]}
    endpoint = asked | case.get("keys", {})
    results, issues = compute(STUDY | {"endpoints": {"it": endpoint}}, assessed(VALUES))
    if "issues" in case:
        assert results == []
        places = {(issue.path or "").removeprefix("endpoints.it."): issue.text for issue in issues}
        assert places.keys() == case["issues"].keys()
        assert all(piece in places[path] for path, piece in case["issues"].items()), places
        return
    assert issues == []
    for result in (r for r in results if r.subject):
        wanted = case["met"][result.subject]
        said = "; ".join((result.method, *result.warnings)).split("; ")
        assert len(said) == len(set(said)), "the same is said twice"
        if wanted in ("yes", "no"):
            assert result.estimate == (wanted == "yes"), result
            assert result.method
        else:
            assert result.estimate is None
            assert wanted in result.warnings[0]
    summary = {r.statistic: r for r in results if r.subject is None}
    met = [wanted for wanted in case["met"].values() if wanted in ("yes", "no")]
    hits = met.count("yes")
    of = 4 if case.get("keys") else len(met)
    assert (summary["responders"].estimate, summary["responders"].n, summary["responders"].missing) == (
        hits,
        of,
        4 - of,
    )
    assert float(summary["percent"].estimate or 0) == pytest.approx(100 * hits / of)
    assert len(summary["percent"].warnings) == len(case["met"]) - len(met)


def test_arms() -> None:
    rule = {"measure": "CK", "falls_by_percent": "50"}
    endpoint = {"kind": "responder_rule", "population": "all", "from": "base", "at": "end", "rule": rule}
    results, _ = compute(STUDY | {"endpoints": {"it": endpoint | {"arms": ["one", "two"]}}}, assessed(VALUES))
    found = {(r.arm, r.statistic): (round(r.estimate or 0, 3), r.n) for r in results if not r.subject}
    assert found == {
        ("One", "responders"): (1, 2), ("One", "percent"): (50, 2),
        ("Two", "responders"): (1, 1), ("Two", "percent"): (100, 1),
        ("One - Two", "difference_newcombe"): (-50, 3), ("One - Two", "difference_miettinen_nurminen"): (-50, 3),
        ("One - Two", "difference_wald"): (-50, 3), ("One - Two", "fisher"): (0, 3),
        ("One - Two", "barnard"): (Decimal("-0.866"), 3),
    }  # fmt: skip


# Physician, patient, strength (of 80), function, extramuscular at base and end -> worse or not, as ProDERM has it.
WORSENING = [
    ("3 5", "3 3", "60 48", "1 1", "2 2", True),  # physician by 2 cm and strength by 20 %
    ("3 5", "3 3", "60 48.1", "1 1", "2 2", False),
    ("3 4.9", "3 3", "60 48", "1 1", "2 2", False),
    ("3 3", "3 3", "60 60", "1 1", "2 4", True),  # extramuscular by 2 cm
    ("3 3", "3 3", "60 60", "1 1", "2 3.9", False),
    ("3 3", "3 3.9", "60 42", "1 1.3", "2 2", True),  # three of five by 30 %
    ("3 3", "3 3.9", "60 42", "1 1.29", "2 2", False),
    ("3 3", "3 3.9", "60 60", "1 1.3", "2 2.5", False),
    ("0 1", "3 3.9", "60 42", "1 1", "2 2", None),  # no percent of 0, and that could be the third
]


@pytest.mark.parametrize(("physician", "patient", "strength", "function", "extramuscular", "worse"), WORSENING)
def test_worsening(
    physician: str, patient: str, strength: str, function: str, extramuscular: str, worse: bool | None
) -> None:
    series = {"PhGA": physician, "PtGA": patient, "S": strength, "HAQ": function, "EM": extramuscular}
    scales = {"PhGA": "10", "PtGA": "10", "S": "80", "HAQ": "3", "EM": "10"}
    study = STUDY | {
        "measures": {name: {"unit": "cm", "scale_max": most} for name, most in scales.items()}
        | {"CK": {"unit": "U/L"}},
        "core_set": {"physician": "PhGA", "patient": "PtGA", "strength": "S", "function": "HAQ",
                     "extramuscular": "EM", "enzymes": {"CK": "15"}},
        "populations": {"all": {"table": "subjects"}},
        "endpoints": {"it": {"kind": "responder_rule", "population": "all", "from": "base", "at": "end",
                             "rule": {"worsening": "proderm"}}},
    }  # fmt: skip
    results, issues = compute(study, assessed({"A": series}, ("base", "end")))
    assert issues == []
    [response] = [r.estimate for r in results if r.subject]
    assert response == worse
