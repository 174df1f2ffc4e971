"""Pull from REDCap's API, and fill a project back, against the stand-in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from servers.redcap import TOKEN, RedcapServer, redcap

from fhir_ivig.cli import main
from sample_bundles.redcap import FOLDER

Rows = list[dict[str, str]]


def run(*words: Any) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def pulled(redcap_project: RedcapServer, out: Path, *words: Any) -> Result:
    return run("redcap", "pull", "--url", redcap_project.url, "--out", out, *words)


def without_status(rows: Rows) -> Rows:
    """What the tables hold of a project's rows: all but how far each form is."""
    return [{name: cell for name, cell in row.items() if not name.endswith("_complete")} for row in rows]


@pytest.mark.parametrize("page", [1, 5, 100])
def test_a_project_is_pulled_as_it_is(redcap_project: RedcapServer, tmp_path: Path, page: int) -> None:
    done = pulled(redcap_project, tmp_path / "out", "--page", page)
    assert done.exit_code == 0, done.output
    for name in ("export.csv", "dictionary.csv", "project.json"):
        assert (tmp_path / "out" / name).read_bytes() == (FOLDER / name).read_bytes()
    assert json.loads((tmp_path / "out/manifest.json").read_text("utf-8"))["complete"] is True
    asked = [one for one in redcap_project.asked if one.get("records")]
    assert [len(one["records"]) for one in asked] == [*[page] * (12 // page), *([12 % page] if 12 % page else [])]


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
        done = run(*words)
        assert done.exit_code == 0, done.output
        assert without_status(empty.rows) == without_status(before)
        again = run(*words)
        assert (again.exit_code, "; 0 cells sent" in again.output) == (0, True), again.output


def refilled(tmp_path: Path, change: dict[tuple[str, str, str], str]) -> Path:
    """An export like that of the sample, with other cells: (record, event, column) -> cell."""
    import csv

    rows = list(csv.DictReader((FOLDER / "export.csv").open(encoding="utf-8", newline="")))
    for (record, event, column), cell in change.items():
        mine = [
            row for row in rows if row["record_id"] == record and row["redcap_event_name"] == event
            and not row["redcap_repeat_instrument"]
        ]  # fmt: skip
        mine[0][column] = cell
    with (tmp_path / "export.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path / "export.csv"


def test_what_is_filled_differently_is_left_unless_asked_for(redcap_project: RedcapServer, tmp_path: Path) -> None:
    week0 = next(row for row in redcap_project.rows if row["record_id"] == "HARA-01" and row["ck"])
    assert week0["ck"] == "2410"
    week0["pain"] = ""
    file = refilled(tmp_path, {("HARA-01", "week_0_arm_1", "ck"): "2400", ("HARA-01", "week_0_arm_1", "mmt"): ""})
    words = (file, "--study", FOLDER, "--url", redcap_project.url)
    planned = run("redcap", "plan", *words)
    assert planned.exit_code == 1
    assert "differ HARA-01 week_0_arm_1  ck: 2410 -> 2400" in planned.output
    assert "fill   HARA-01 week_0_arm_1  pain: " in planned.output
    assert not any(one.get("action") == "import" for one in redcap_project.asked)
    done = run("redcap", "push", *words)
    assert (done.exit_code, week0["ck"], bool(week0["pain"])) == (1, "2410", True), done.output
    assert week0["mmt"] == "62" or week0["mmt"], "an empty cell here changes nothing there"
    assert "1 cell sent" in done.output
    done = run("redcap", "push", *words, "--overwrite")
    assert (done.exit_code, week0["ck"]) == (0, "2400"), done.output


CASES: dict[str, tuple[Any, int, str]] = {
    "busy": ([(503, "")], 0, "12 records"),
    "web page": ([(200, "<html>log in</html>")] * 9, 3, "answered with a web page"),
    "refused": ([(400, '{"error": "ERROR: no API Export rights"}')], 3, "ERROR: no API Export rights"),
    "redirected": ([(301, "")], 3, "give its final address"),
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


def test_of_an_event_that_repeats_the_instance_must_be_told(redcap_project: RedcapServer, tmp_path: Path) -> None:
    again = {"event_name": "week_0_arm_1", "form_name": ""}
    redcap_project.project["repeatingFormsEvents"].append(again)
    file = refilled(tmp_path, {("HARA-01", "week_0_arm_1", "ck"): "2400"})
    words = (file, "--study", FOLDER, "--url", redcap_project.url, "--overwrite")
    done = run("redcap", "push", *words)
    assert (done.exit_code, "The event week_0_arm_1 repeats" in done.output) == (1, True), done.output
    assert not any(row["ck"] == "2400" for row in redcap_project.rows)


def test_an_instance_that_two_could_be_is_left(redcap_project: RedcapServer, tmp_path: Path) -> None:
    file = refilled(tmp_path, {})
    text = file.read_text("utf-8").replace("enrolment_arm_1,infusion,1,", "enrolment_arm_1,infusion,,")
    file.write_text(text, "utf-8")
    first, second = [row for row in redcap_project.rows if row["redcap_repeat_instrument"] == "infusion"][:2]
    second["inf_day"] = first["inf_day"]
    done = run("redcap", "plan", file, "--study", FOLDER, "--url", redcap_project.url)
    assert (done.exit_code, "2 instances there have the same" in done.output) == (1, True), done.output


def test_an_import_that_is_refused_is_told(redcap_project: RedcapServer, tmp_path: Path) -> None:
    file = refilled(tmp_path, {})
    redcap_project.rows = []
    redcap_project.before = lambda asked: (400, '{"error": "The value is locked"}') if asked.get("action") else None
    done = run("redcap", "push", file, "--study", FOLDER, "--url", redcap_project.url)
    assert (done.exit_code, "The value is locked" in done.output) == (3, True), done.output


def test_what_was_sent_and_is_not_there_is_told(redcap_project: RedcapServer, tmp_path: Path) -> None:
    file = refilled(tmp_path, {})
    for row in redcap_project.rows:
        row["ck"] = ""
    redcap_project.before = lambda asked: (
        (200, json.dumps([f"HARA-{n:02}" for n in range(1, 13)])) if asked.get("action") else None
    )
    done = run("redcap", "push", file, "--study", FOLDER, "--url", redcap_project.url)
    assert (done.exit_code, "what was sent is not there" in done.output) == (1, True), done.output
