"""An export against its dictionary: each thing that does not fit is named with its place, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from fhir_ivig.cli import main
from fhir_ivig.issue import from_outcome
from fhir_ivig.redcap.dictionary import words
from sample_bundles.redcap import FOLDER

CASES = yaml.safe_load(Path(__file__).with_name("checks.yaml").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_what_does_not_fit_is_named(case: dict[str, Any], spoilt: Callable[..., str], tmp_path: Path) -> None:
    for name in ("export.csv", "dictionary.csv", "project.json"):
        (tmp_path / name).write_text(spoilt(name, case.get(name.partition(".")[0], [])), "utf-8")
    files = [str(tmp_path / name) for name in ("dictionary.csv", "export.csv")]
    done = CliRunner().invoke(main, ["redcap", "check", *files, "--json"])
    told = json.loads(done.stdout)
    issues = [issue.as_dict() for issue in from_outcome(told)] if case.get("stops") else told["issues"]
    assert len(issues) == len(case["issues"]), issues
    for issue, wanted in zip(issues, case["issues"], strict=True):
        assert wanted.pop("has") in issue["text"]
        assert wanted.items() <= issue.items()
    bad = any(issue["severity"] in ("error", "fatal") for issue in issues)
    assert done.exit_code == (3 if case.get("stops") else int(bad))


def test_a_labelled_export_is_checked_too(tmp_path: Path) -> None:
    """Labels in place of codes, and labels as headers."""
    dictionary = tmp_path / "dictionary.csv"
    head = (FOLDER / "dictionary.csv").read_text("utf-8").splitlines()[0]
    rows = [
        "record_id,one,,text,Record,,,,,,,,,,,,,",
        'sex,one,,radio,<b>Sex</b>,"1, Female | 2, Male",,,,,,,,,,,,',
        'race,one,,checkbox,Race,"a, Here | -9, There",,,,,,,,,,,,',
    ]
    dictionary.write_text("\n".join([head, *rows]) + "\n", "utf-8")
    for header in ("record_id,sex,race___a,race____9", "Record,Sex,Race (choice=Here),Race (choice=There)"):
        export = tmp_path / "export.csv"
        export.write_text(
            f"{header},one_complete\n1,Female,Checked,Unchecked,Complete\n2,Mael,Checked,,Complete\n", "utf-8"
        )
        header_ok = export.read_text("utf-8").replace(
            "one_complete", "Complete?" if "Race" in header else "one_complete"
        )
        export.write_text(header_ok, "utf-8")
        done = CliRunner().invoke(main, ["redcap", "check", str(dictionary), str(export), "--json"])
        [issue] = json.loads(done.stdout)["issues"]
        assert (issue["row"], "`Mael` is no choice" in issue["text"]) == (3, True)


@pytest.mark.parametrize(
    ("written", "read"),
    [("<b>Sex</b><br>at birth", "Sex at birth"), ("<18 or >65", "<18 or >65"), ("M&uuml;ller\n A", "Müller A")],
)
def test_a_label_is_read_without_its_html(written: str, read: str) -> None:
    assert words(written) == read
