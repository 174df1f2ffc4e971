"""An export filled elsewhere, back into its project: what is sent, what is left, what is told; nothing twice."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from servers.redcap import RedcapServer

from fhir_ivig.cli import main
from fhir_ivig.redcap.place import keys
from fhir_ivig.study.study import Study
from sample_bundles.redcap import FOLDER


def run(*words: Any) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def refilled(tmp_path: Path, change: dict[tuple[str, str, str], str]) -> Path:
    """An export like that of the sample, with other cells: (record, event, column) -> cell."""
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


CASES = yaml.safe_load(Path(__file__).with_name("refills.yaml").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_what_is_sent_is_what_was_planned(
    redcap_project: RedcapServer, spoilt: Callable[..., str], tmp_path: Path, case: dict[str, Any]
) -> None:
    (tmp_path / "export.csv").write_text(spoilt("export.csv", case.get("export", [])), "utf-8")
    redcap_project.rows = list(csv.DictReader(spoilt("export.csv", case.get("there", [])).splitlines()))
    redcap_project.dictionary = list(csv.reader(spoilt("dictionary.csv", case.get("dictionary", [])).splitlines()))
    words = (tmp_path / "export.csv", "--study", FOLDER, "--url", redcap_project.url, *case.get("with", []))
    planned = run("redcap", "plan", *words)
    assert planned.exit_code == case["exit"], planned.output
    assert [said for said in case["says"] if said not in planned.output] == [], planned.output
    done = run("redcap", "push", *words)
    assert (done.exit_code, f"; {case.get('sent')} sent" in done.output) == (case["exit"], "sent" in case), (
        done.output
    )
    imported = [one for one in redcap_project.asked if one.get("action") == "import"]
    assert bool(imported) is (case.get("sent", "0 cells") != "0 cells")
    again = run("redcap", "push", *words)
    assert "sent" not in case or "; 0 cells sent" in again.output


def test_a_record_goes_to_its_group(redcap_project: RedcapServer, tmp_path: Path) -> None:
    redcap_project.groups = {f"HARA-{number:02}": "kagawa" for number in range(2, 13)}
    file = refilled(tmp_path, {})
    head, first, *rest = file.read_text("utf-8").splitlines()
    lines = [f"{head},redcap_data_access_group", f"{first},kagawa", *(f"{line}," for line in rest)]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    done = run("redcap", "push", file, "--study", FOLDER, "--url", redcap_project.url)
    assert (done.exit_code, redcap_project.groups.get("HARA-01")) == (0, "kagawa"), done.output
    assert "1 cell sent" in done.output


def test_what_went_before_a_refusal_is_told(redcap_project: RedcapServer, tmp_path: Path) -> None:
    rows, redcap_project.rows = redcap_project.rows, []
    refused: Callable[[dict[str, Any]], Any] = lambda asked: (  # noqa: E731
        (400, '{"error": "HARA-03 is locked"}') if "HARA-03" in asked.get("data", "") else None
    )
    redcap_project.before = refused
    words = (refilled(tmp_path, {}), "--study", FOLDER, "--url", redcap_project.url, "--page", 1)
    done = run("redcap", "push", *words)
    assert (done.exit_code, "HARA-03 is locked" in done.output) == (1, True), done.output
    assert "From record HARA-03 on nothing was taken" in done.output
    assert "what was sent is not there" not in done.output
    assert {row["record_id"] for row in redcap_project.rows} == {"HARA-01", "HARA-02"}
    redcap_project.before = lambda asked: None
    assert run("redcap", "push", *words).exit_code == 0
    strip = [{**row, **{name: "" for name in row if name.endswith("_complete")}} for row in rows]
    assert [
        {**row, **{name: "" for name in row if name.endswith("_complete")}} for row in redcap_project.rows
    ] == strip


def test_what_is_the_same_in_all_rows_is_no_key(tmp_path: Path) -> None:
    text = (FOLDER / "study.yaml").read_text("utf-8")
    assert keys(Study.load(FOLDER / "study.yaml"))["medication"] == ("record_id", "medication", "med_start")
    text = text.replace("      medication: medication\n", "").replace(
        "      end: med_end\n",
        "      end: med_end\n    constants: {medication: prednisolone}\n    ignore: [medication]\n",
    )
    (tmp_path / "study.yaml").write_text(text, "utf-8")
    assert keys(Study.load(tmp_path / "study.yaml"))["medication"] == ("record_id", "med_start")
