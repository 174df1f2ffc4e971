"""Wrong input is normal: whatever is wrong is an Issue with its place, an exit code, and never a traceback.

A case is a small study (base.yaml) with something spoilt, and a command as a person types it:

    files     what differs from base.yaml: text; `{hex: ...}` bytes; ~ no such file; a list: lines of NDJSON,
              each a text as it stands, `{repeat: [before, text, times, after]}`, or `{of: TYPE, ...}`, the study's
              first resource of that type with members replaced (~: taken out)
    command   what is typed, in the folder of the files (`check .` if not said)
    exit      its exit code
    issues    all Issues: exactly these, `has` being a piece of the text
    counts    what the printed result says of counts
    says      pieces of what stands on stderr besides
"""

from __future__ import annotations

import json
import shlex
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from fhir_ivig.cli import main
from fhir_ivig.issue import from_outcome

HERE = Path(__file__).parent
BASE: dict[str, str] = yaml.safe_load((HERE / "base.yaml").read_text("utf-8"))
CASES = [
    pytest.param(case, id=f"{file.stem}: {case['name']}")
    for file in sorted(HERE.glob("*.yaml"))
    if file.name != "base.yaml"
    for case in yaml.safe_load(file.read_text("utf-8"))
]


def run(command: str) -> Result:
    """A command in this process; nothing but SystemExit may come out of it."""
    done = CliRunner().invoke(main, [*shlex.split(command), "--json"], prog_name="fhir-ivig")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert "Traceback" not in done.output
    assert "fault of fhir-ivig" not in done.output
    return done


@cache
def resources() -> dict[str, Any]:
    """The first resource of each type that the study without a flaw gives."""
    with TemporaryDirectory() as folder:
        fill(Path(folder), {})
        assert run(f"export {folder} --out {folder}/fhir").exit_code == 0
        found = Path(folder, "fhir").glob("[A-Z]*.ndjson")
        return {path.stem: json.loads(path.read_text("utf-8").splitlines()[0]) for path in found}


def fill(folder: Path, files: dict[str, Any]) -> None:
    for name, content in {**BASE, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list):
            path.write_text("".join(f"{line(each)}\n" for each in content), "utf-8")
        elif isinstance(content, dict):
            path.write_bytes(bytes.fromhex(content["hex"]))
        elif content is not None:
            path.write_text(content, "utf-8", newline="")


def line(content: str | dict[str, Any]) -> str:
    if isinstance(content, str):
        return content
    if "repeat" in content:
        before, text, times, after = content["repeat"]
        return before + text * times + after
    made = {**resources()[content["of"]], **content}
    return json.dumps({name: value for name, value in made.items() if name != "of" and value is not None})


def issues_of(done: Result, folder: Path) -> list[dict[str, Any]]:
    """Every Issue that a command left: printed, or in its output's issues.ndjson."""
    if done.exit_code == 2:  # wrong use: nothing is printed but how to use it
        assert done.stdout == ""
        return []
    printed = json.loads(done.stdout)
    file = folder / "out/issues.ndjson"
    if isinstance(printed, dict) and printed.get("resourceType") == "OperationOutcome":
        return [issue.as_dict() for issue in from_outcome(printed)]
    if isinstance(printed, dict) and isinstance(printed["issues"], list):
        return printed["issues"]
    return [json.loads(text) for text in file.read_text("utf-8").splitlines()] if file.exists() else []


def fits(issue: dict[str, Any], wanted: dict[str, Any]) -> bool:
    place = {name: issue.get(name) for name in ("severity", "code", "row", "column", "path")}
    expected = {
        "severity": "error",
        **{name: wanted.get(name) for name in place if name in wanted or name != "severity"},
    }
    same_file = "file" not in wanted or Path(issue.get("file", "")).name == wanted["file"]
    return place == expected and same_file and wanted["has"] in issue["text"]


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_said(case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, case.get("files", {}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fhir_ivig.fhir.retry.ATTEMPTS", 1)  # nobody will come
    before = sorted(tmp_path.rglob("*"))
    done = run(case.get("command", "check ."))
    issues = issues_of(done, tmp_path)
    shown = yaml.safe_dump(issues, sort_keys=False, allow_unicode=True) + done.stderr
    left = [wanted for wanted in case.get("issues", []) if not any(fits(issue, wanted) for issue in issues)]
    assert left == [], shown
    assert len(issues) == len(case.get("issues", [])), shown
    assert done.exit_code == case["exit"], shown
    assert [said for said in case.get("says", []) if said not in done.stderr] == []
    assert all(issue["text"].splitlines()[0] in done.stderr for issue in issues[:20])
    counts = case.get("counts", {})
    assert {name: json.loads(done.stdout)[name] for name in counts} == counts
    if done.exit_code == 3:
        assert sorted(tmp_path.rglob("*")) == before


def test_the_study_without_a_flaw(tmp_path: Path) -> None:
    fill(tmp_path, {})
    done = run(f"check {tmp_path}")
    assert (done.exit_code, done.stderr) == (0, "")


def test_there_are_enough_cases() -> None:
    names = [param.id for param in CASES]
    assert len(names) >= 40
    assert len(names) == len(set(names))
