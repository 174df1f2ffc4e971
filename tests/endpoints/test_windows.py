"""From files without visits to endpoints: windows by day, and the value nearest to the target day."""

from __future__ import annotations

from pathlib import Path

from fhir_ivig.library import compute_endpoints

STUDY = """
study: windows
title: Windows
status: active
base: https://example.org/windows
fhir_version: R4
visits:
  - {visit: before, day: 0, window: [-14, 0], several: last, baseline: 'yes'}
  - {visit: after, day: 84, window: [70, 98]}
measures: {CK: {label: CK, unit: U/L, several: nearest}}
tables: {subjects: {}, courses: {}, assessments: {}}
populations: {all: {table: subjects}}
endpoints: {ck: {kind: paired_change, population: all, measure: CK, from: before, to: after}}
"""
FILES = {
    "study.yaml": STUDY,
    "subjects.csv": "subject\nA\nB\n",
    "courses.csv": "subject,course,start\nA,1,2020-01-15\nA,2,2020-03-01\nB,1,2020-02\n",
    "assessments.csv": "subject,visit,date,measure,value,unit\nA,,2020-01-02,CK,900,U/L\nA,,2020-01-14,CK,1000,U/L\n"
    "A,,2020-04-01,CK,500,U/L\nA,,2020-04-07,CK,400,U/L\nA,,2020-07-01,CK,50,U/L\nB,,2020-02-02,CK,7,U/L\n",
}


def test_values_find_their_visit(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    results, issues = compute_endpoints(tmp_path)
    found = {result.statistic: result for result in results}
    assert (found["mean_from"].estimate, found["mean_to"].estimate, found["mean_to"].n) == (1000, 400, 1)
    assert found["mean_to"].warnings == ("Left out, no row at before: B.",)
    assert [(issue.severity, issue.place) for issue in issues] == [
        ("warning", "assessments.csv:6, column visit"),
        ("warning", "assessments.csv:7, column visit"),
    ]
    assert "Day 168 is in no visit's window" in issues[0].text
    assert "not exact to the day" in issues[1].text
