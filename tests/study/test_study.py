"""study.yaml, the dictionary, and YAML as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from trial import BASE, MakeStudy

from fhir_ivig import yamltext
from fhir_ivig.issue import IssueError
from fhir_ivig.study.dictionary import dictionary
from fhir_ivig.study.study import Study

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "study.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case: dict[str, Any], tmp_path: Path) -> None:
    keys = {key: value for key, value in {**BASE, **case.get("keys", {})}.items() if value is not None}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(keys, sort_keys=False))
    if "issues" not in case:
        assert Study.load(path).base == keys["base"]
        return
    with pytest.raises(IssueError) as raised:
        Study.load(path)
    texts = [issue.text for issue in raised.value.issues]
    assert len(texts) == len(case["issues"]), texts
    for fragment in case["issues"]:
        found = [text for text in texts if fragment in text]
        assert found, (fragment, texts)
        texts.remove(found[0])
    assert all((issue.severity, issue.file) == ("error", "study.yaml") and issue.row for issue in raised.value.issues)


def test_issues_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    head = "study: a\ntitle: A\nstatus: active\nbase: urn:oid:1.2\nfhir_version: R4\n\n"
    path.write_text(head + "measures:\n  CK: {label: x,\n    units: U}\n")
    with pytest.raises(IssueError) as raised:
        Study.load(path)
    assert [(issue.file, issue.row) for issue in raised.value.issues] == [("study.yaml", 9)]


def test_sample_study_loads() -> None:
    study = Study.load(Path(__file__).parents[2] / "sample_bundles" / "hara2003" / "study.yaml")
    assert study.visits["week 12"].window == (70, 98)
    assert study.measures["MMT"].scale_max == "100"
    assert study.endpoints["exposure"]["planned"] == "0.4"
    assert study.dictionary == dictionary()


def test_dictionary_keys_are_required() -> None:
    assert dictionary()["infusions"].required[:4] == ("subject", "course", "day", "start")
    assert dictionary()["subjects"].columns["mrn"].private


def test_study_adds_to_the_dictionary(make_study: MakeStudy) -> None:
    study = make_study(dictionary={"subjects": {"columns": {"arm": {"type": "code", "about": "Arm"}}}})
    assert list(study.dictionary["subjects"].columns)[-1] == "arm"
    assert "arm" not in dictionary()["subjects"].columns


YAML = {
    "": (None, "is empty"),
    "# nothing\n": (None, "is empty"),
    "a: 1\nb: 2\na: 3\n": (3, "`a` stands already on line 1"),
    "a: &x 1\n": (1, "anchors"),
    "a: 1\nb: *x\n": (2, "anchors"),
    "a: !!int 1\n": (1, "Tags"),
    "a: 1\n---\nb: 2\n": (2, "second document"),
    "[" * 60 + "]" * 60: (1, "deeper"),
    "a: b: c\n": (1, "not YAML"),
    "a: 1\nb: \x07\n": (2, "must not stand"),
    "a: [1\n": (2, "not YAML"),
    "[a]: 1\n": (1, "key must be a word"),
    "? \n: 1\n": (1, "key must be a word"),
    "a: " + "x" * 1_000_001: (None, "1 MB"),
    "a: \ud800": (None, "Unicode"),
}


@pytest.mark.parametrize("text", YAML, ids=[f"{said}-{n}" for n, (_, said) in enumerate(YAML.values())])
def test_yaml_that_is_refused(text: str) -> None:
    row, said = YAML[text]
    with pytest.raises(IssueError) as raised:
        yamltext.load(text, "x.yaml")
    issue = raised.value.issues[0]
    assert (issue.severity, issue.file, issue.row) == ("fatal", "x.yaml", row)
    assert said in issue.text


def test_yaml_files_that_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"a: 1\nb: \xff\n")
    for path, row in ((tmp_path / "x.yaml", 2), (tmp_path, None), (tmp_path / "none.yaml", None)):
        with pytest.raises(IssueError) as raised:
            yamltext.load(path)
        assert (raised.value.issues[0].file, raised.value.issues[0].row) == (path.name, row)


def test_yaml_scalars_stay_text() -> None:
    node = yamltext.load("a: 612.60\nb: no\nc: 2003-05-17\nd: ~\ne: ''\nf: [1,\n 0x1]\ng: >-\n  x\n  y\n")
    assert yamltext.plain(node) == {
        "a": "612.60", "b": "no", "c": "2003-05-17", "d": "~", "e": "", "f": ["1", "0x1"], "g": "x y",
    }  # fmt: skip
    assert [node.value[key].empty for key in "de"] == [True, False]
    assert [node.value[key].line for key in "abfg"] == [1, 2, 6, 8]
    assert node.value["f"].value[1].line == 7
