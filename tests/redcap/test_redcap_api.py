"""Pull from REDCap's API, and fill a project back, against the stand-in."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from servers.redcap import TOKEN, RedcapServer, redcap

from fhir_ivig.cli import main
from fhir_ivig.redcap.project import read_project
from sample_bundles.redcap import FOLDER


def run(*words: Any) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def pulled(redcap_project: RedcapServer, out: Path, *words: Any) -> Result:
    return run("redcap", "pull", "--url", redcap_project.url, "--out", out, *words)


@pytest.mark.parametrize("page", [1, 5, 100])
def test_a_project_is_pulled_as_it_is(redcap_project: RedcapServer, tmp_path: Path, page: int) -> None:
    done = pulled(redcap_project, tmp_path / "out", "--page", page)
    assert done.exit_code == 0, done.output
    for name in ("export.csv", "dictionary.csv", "project.json"):
        assert (tmp_path / "out" / name).read_bytes() == (FOLDER / name).read_bytes()
    assert json.loads((tmp_path / "out/manifest.json").read_text("utf-8"))["complete"] is True
    asked = [one for one in redcap_project.asked if one.get("records")]
    assert [len(one["records"]) for one in asked] == [*[page] * (12 // page), *([12 % page] if 12 % page else [])]


@pytest.mark.parametrize("without", [["HARA-05"], [f"HARA-{number:02}" for number in range(1, 13)]])
def test_a_page_without_instances_has_no_columns_for_them(
    redcap_project: RedcapServer, tmp_path: Path, without: list[str]
) -> None:
    redcap_project.rows = [
        row for row in redcap_project.rows if row["record_id"] not in without or not row["redcap_repeat_instrument"]
    ]
    done = pulled(redcap_project, tmp_path / "out", "--page", 1)
    assert done.exit_code == 0, done.output
    lines = (FOLDER / "export.csv").read_text("utf-8").splitlines()
    kept = [line for line in lines if line.split(",")[0] not in without or not line.split(",")[2]]
    assert (tmp_path / "out/export.csv").read_text("utf-8").splitlines() == kept


def test_the_group_of_each_record_is_pulled_where_asked_for(redcap_project: RedcapServer, tmp_path: Path) -> None:
    redcap_project.groups = {"HARA-02": "kagawa"}
    assert pulled(redcap_project, tmp_path / "out", "--groups").exit_code == 0
    rows = list(csv.DictReader((tmp_path / "out/export.csv").open(encoding="utf-8", newline="")))
    assert {row["record_id"] for row in rows if row["redcap_data_access_group"] == "kagawa"} == {"HARA-02"}


def test_events_of_several_arms_are_told_apart_by_their_labels(redcap_project: RedcapServer, tmp_path: Path) -> None:
    project = redcap_project.project
    project["event"].append({"event_name": "Week 0", "arm_num": 2, "unique_event_name": "week_0_arm_2"})
    project["arm"] = [{"arm_num": 1, "name": "IVIG"}, {"arm_num": 2, "name": "Placebo"}]
    assert pulled(redcap_project, tmp_path / "out").exit_code == 0
    told = read_project(tmp_path / "out/project.json").events
    assert (told["week_0_arm_1"], told["week_0_arm_2"]) == ("Week 0 (Arm 1: IVIG)", "Week 0 (Arm 2: Placebo)")


def test_end_to_end_from_redcap_to_fhir_and_back(redcap_project: RedcapServer, server: str, tmp_path: Path) -> None:
    """Pull from REDCap, push to FHIR, pull from FHIR, refill an empty project: the same records."""
    assert pulled(redcap_project, tmp_path / "trial/redcap").exit_code == 0
    study = (FOLDER / "study.yaml").read_text("utf-8").replace("file: export.csv", "file: redcap/export.csv")
    study = study.replace("https://example.org/studies/hara2003", "https://example.org/studies/redcap-e2e")
    (tmp_path / "trial/study.yaml").write_text(study, "utf-8")
    assert "559 created" in run("push", tmp_path / "trial", "--to", server).output
    assert run("pull", tmp_path / "trial", "--from", server, "--out", tmp_path / "cohort").exit_code == 0
    fhir, back = tmp_path / "cohort/fhir", tmp_path / "back"
    done = run("tabulate", fhir, "--study", tmp_path / "trial", "--out", back, "--as", "source", "--sort")
    assert done.exit_code == 0, done.output
    before = json.loads(json.dumps(redcap_project.rows))
    with redcap(FOLDER, empty=True) as empty:
        words = ("redcap", "push", back / "redcap/export.csv", "--study", tmp_path / "trial", "--url", empty.url)
        done = run(*words, "--form-status", "complete")
        assert done.exit_code == 0, done.output
        assert empty.rows == before
        again = run(*words)
        assert (again.exit_code, "; 0 cells sent" in again.output) == (0, True), again.output


CASES: dict[str, tuple[Any, int, str]] = {
    "busy": ([(503, "")], 0, "12 records"),
    "web page": ([(200, "<html>log in</html>")] * 9, 3, "answered with a web page"),
    "refused": ([(400, '{"error": "ERROR: no API Export rights"}')], 3, "ERROR: no API Export rights"),
    "redirected": ([(301, "")], 3, "give its final address"),
    "refused in XML": (
        [(400, "<?xml version='1.0'?><hash><error>The IP is blocked</error></hash>")],
        3,
        "IP is blocked",
    ),
    "no project": ([None, (200, "[]")], 3, "answered project otherwise"),
    "a project without its keys": ([None, None, (200, '[{"name": 1}]')], 3, "otherwise than REDCap's API does"),
    "a cell without end": ([(200, "field_name\n" + "x" * 200_000)], 3, "This is no CSV file"),
    "cut off": ([None] * 7 + [(200, "record_id,sex\nHARA-01")], 3, "no table with the record's name"),
    "names cut off": (
        [None] * 6 + [(200, "record_id,redcap_event_name\nHARA-01")],
        3,
        "no table with the record's name",
    ),
    "the token in the words": ([(400, json.dumps({"error": f"token {TOKEN} expired"}))], 3, "token … expired"),
}


@pytest.mark.parametrize("case", CASES)
def test_answers_of_all_kinds(redcap_project: RedcapServer, tmp_path: Path, case: str) -> None:
    answers, code, said = CASES[case]
    left = list(answers)
    redcap_project.before = lambda asked: left.pop(0) if left else None
    done = pulled(redcap_project, tmp_path / "out")
    assert (done.exit_code, said in done.output, TOKEN in done.output) == (code, True, False), done.output
    assert (tmp_path / "out").exists() is (code == 0)


@pytest.mark.parametrize("how", ["goes", "comes", "is not given"])
def test_a_record_that_does_not_come_is_told(redcap_project: RedcapServer, tmp_path: Path, how: str) -> None:
    def happens(asked: dict[str, Any]) -> None:
        if asked.get("records") and how == "goes":
            redcap_project.rows = [row for row in redcap_project.rows if row["record_id"] != "HARA-05"]
        elif asked.get("records") and how == "comes":
            redcap_project.rows.append({**redcap_project.rows[0], "record_id": "HARA-13"})
        elif asked.get("records"):
            asked["records"].remove("HARA-05")

    redcap_project.before = happens
    done = pulled(redcap_project, tmp_path / "out")
    assert (done.exit_code, "Records came or went" in done.output) == (1, True), done.output


def test_the_token_is_asked_for_and_kept(
    redcap_project: RedcapServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FHIR_IVIG_REDCAP_TOKEN")
    assert "FHIR_IVIG_REDCAP_TOKEN is not set" in pulled(redcap_project, tmp_path / "out").output
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n", "utf-8")
    token.chmod(0o644)
    assert "chmod 600" in pulled(redcap_project, tmp_path / "out", "--token-file", token).output
    token.chmod(0o600)
    assert pulled(redcap_project, tmp_path / "out", "--token-file", token).exit_code == 0
    assert not any(TOKEN in path.read_text("utf-8") for path in (tmp_path / "out").iterdir())
    assert ((tmp_path / "out").stat().st_mode & 0o777) == 0o700


def test_an_address_that_is_not_encrypted_gets_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_IVIG_REDCAP_TOKEN", TOKEN)
    done = run("redcap", "pull", "--url", "http://redcap.example.org/api/", "--out", tmp_path / "out")
    assert (done.exit_code, "is not encrypted" in done.output) == (3, True)


def test_a_study_beside_is_not_written_over(redcap_project: RedcapServer, tmp_path: Path) -> None:
    assert pulled(redcap_project, tmp_path / "out").exit_code == 0
    (tmp_path / "out/study.yaml").write_text("mine", "utf-8")
    assert pulled(redcap_project, tmp_path / "out").exit_code == 3
    assert (tmp_path / "out/study.yaml").read_text("utf-8") == "mine"
