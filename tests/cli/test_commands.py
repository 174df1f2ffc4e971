"""Every command, as a person uses it on the sample study."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fhir.resources
import fhir.resources.R4B
import pyarrow.parquet as pq
import pytest
from done import Done

TABLES = ["subjects", "courses", "infusions", "assessments", "medications", "adverse_events", "dispositions"]
RESOURCES = 559
Typed = Callable[..., Done]


def same_tables(found: Path, wanted: Path) -> None:
    for table in TABLES:
        assert (found / f"{table}.csv").read_bytes() == (wanted / f"{table}.csv").read_bytes(), table


def resources(folder: Path) -> list[str]:
    """Every resource of a folder, whatever its files are."""
    if bundles := sorted(folder.glob("bundle-*.json")):
        entries = [entry for path in bundles for entry in json.loads(path.read_text("utf-8"))["entry"]]
        return [json.dumps(entry["resource"]) for entry in entries]
    return [line for path in folder.glob("[A-Z]*.ndjson") for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["check", "{sample}"], 0),
        (["explain", "creatine_kinase"], 0),
        (["export", "{sample}", "--out", "{tmp}/fhir"], 0),
        (["tabulate", "{fhir}", "--study", "{sample}", "--out", "{tmp}/tables"], 0),
        (["push", "{sample}", "--to", "{tmp}/outbox"], 0),
        (["pull", "{sample}", "--from", "{fhir}", "--out", "{tmp}/cohort"], 0),
        (["endpoints", "{sample}"], 0),
        (["check", "{tmp}"], 3),
        (["--version"], 0),
        (["chek"], 2),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_in_a_process_of_its_own(
    shell: Typed, sample: Path, exported: Path, tmp_path: Path, words: list[str], code: int
) -> None:
    places = {"{sample}": sample, "{tmp}": tmp_path, "{fhir}": exported}
    full = [next((w.replace(name, str(place)) for name, place in places.items() if name in w), w) for w in words]
    done = shell(*full)
    assert (done.code, "Traceback" in done.stderr) == (code, False), done
    if words[0] not in ("--version", "chek"):
        quiet = shell(*full, "--json")
        assert quiet.code == code
        assert quiet.json is not None
        data = words[0] in ("explain", "endpoints") and code == 0
        assert bool(done.stdout) == data  # data on stdout, what is said on stderr


@pytest.mark.parametrize("form", ["ndjson", "bundle"])
@pytest.mark.parametrize("version", ["R4", "R4B", "R5"])
def test_there_and_back_through_files(typed: Typed, sample: Path, tmp_path: Path, version: str, form: str) -> None:
    out, back = tmp_path / "fhir", tmp_path / "tables"
    done = typed("export", sample, "--out", out, "--fhir-version", version, "--format", form, "--json")
    assert (done.code, done.stderr) == (0, "")
    assert sum(done.json["resources"].values()) == RESOURCES
    written = resources(out)
    assert len(written) == RESOURCES
    package = fhir.resources if version == "R5" else fhir.resources.R4B
    for text in written[::7]:
        resource = json.loads(text)
        package.get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    done = typed("tabulate", out, "--study", sample, "--out", back, "--fhir-version", version, "--sort", "--json")
    assert (done.code, done.stderr) == (0, "")
    assert (done.json["resources"], done.json["unclaimed"]) == (RESOURCES, 0)
    same_tables(back, sample)
    assert len((back / "resources/subjects.csv").read_text("utf-8").splitlines()) == 13


def test_tabulate_takes_gzipped_and_single_files(typed: Typed, sample: Path, exported: Path, tmp_path: Path) -> None:
    for path in exported.glob("[A-Z]*.ndjson"):
        (tmp_path / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    files = sorted(tmp_path.glob("*.gz"), reverse=True)
    done = typed("tabulate", *files, "--study", sample / "study.yaml", "--out", tmp_path / "out", "--sort", "--json")
    assert done.code == 0
    same_tables(tmp_path / "out", sample)


def test_tabulate_to_parquet_which_is_a_study_again(
    typed: Typed, sample: Path, exported: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert typed("tabulate", exported, "--study", sample, "--out", out, "--format", "parquet").code == 0
    assert {str(field.type) for field in pq.read_schema(out / "assessments.parquet")} == {"string"}
    assert pq.read_table(out / "resources/assessments.parquet").num_rows == 335
    shutil.copy(sample / "study.yaml", out)
    done = typed("check", out, "--json")
    assert done.code == 0
    assert done.json["rows"]["assessments"] == 335


def test_push_to_a_folder_twice_is_once_and_pull_gives_the_tables(typed: Typed, sample: Path, tmp_path: Path) -> None:
    outbox, cohort = tmp_path / "outbox", tmp_path / "cohort"
    first = typed("push", sample, "--to", outbox, "--json").json
    held = {path.name: path.read_bytes() for path in outbox.iterdir()}
    second = typed("push", sample, "--to", outbox, "--json").json
    assert (first["created"], first["updated"], first["unchanged"]) == (RESOURCES, 0, 0)
    assert (second["created"], second["updated"], second["unchanged"]) == (0, 0, RESOURCES)
    assert {path.name: path.read_bytes() for path in outbox.iterdir()} == held
    done = typed("pull", sample, "--from", outbox, "--out", cohort, "--json")
    assert (done.code, done.json["complete"]) == (0, True)
    same_tables(cohort, sample)
    assert typed("check", cohort).code == 0


def test_a_changed_cell_is_one_update(typed: Typed, sample: Path, tmp_path: Path) -> None:
    study = shutil.copytree(sample, tmp_path / "study")
    typed("push", study, "--to", tmp_path / "outbox")
    table = study / "assessments.csv"
    table.write_text(table.read_text("utf-8").replace(",2410,", ",2411,", 1), "utf-8")
    done = typed("push", study, "--to", tmp_path / "outbox", "--json").json
    assert (done["created"], done["updated"], done["unchanged"]) == (0, 1, RESOURCES - 1)


def test_through_a_server(typed: Typed, server: str, sample: Path, tmp_path: Path) -> None:
    first = typed("push", sample, "--to", server, "--json")
    assert first.code == 0
    assert first.json["created"] + first.json["unchanged"] == RESOURCES
    second = typed("push", sample, "--to", server, "--json")
    assert (second.json["created"], second.json["updated"], second.json["unchanged"]) == (0, 0, RESOURCES)
    done = typed("pull", sample, "--from", server, "--out", tmp_path / "cohort", "--json")
    assert (done.code, done.json["complete"], done.json["unclaimed"]) == (0, True, 0)
    same_tables(tmp_path / "cohort", sample)
    found = typed("endpoints", tmp_path / "cohort", "--json")
    published = [result for result in found.json if result["published"] is not None]
    assert len(published) > 20
    assert all(result["agrees"] for result in published)
    assert all(ref.partition("/")[2] for result in published for ref in result["resources"])


def test_demo(typed: Typed, tmp_path: Path) -> None:
    done = typed("demo", "--out", tmp_path / "cohort", "--json")
    assert done.code == 0
    assert done.json["complete"] is True
    assert done.json["files"] == {f"{table}.csv": True for table in TABLES}
    assert (tmp_path / "cohort/study.yaml").exists()


def test_endpoints_of_the_tables(typed: Typed, sample: Path) -> None:
    done = typed("endpoints", sample, "--json")
    assert (done.code, done.stderr) == (0, "")
    [mean] = [result for result in done.json if (result["endpoint"], result["statistic"]) == ("ck", "mean_to")]
    assert (mean["published"], mean["agrees"]) == ("612.6", True)
    shown = typed("endpoints", sample)
    assert "612.6" in shown.stdout
    assert "DIFFERS" not in shown.stdout


@pytest.mark.parametrize("answer", [{"body": "<html>"}, {"body": '{"a": 1}'}, {"status": 404, "body": "{}"}])
def test_an_address_that_is_not_fhir(
    typed: Typed, scripted: Callable[..., Any], sample: Path, answer: dict[str, object], tmp_path: Path
) -> None:
    base = scripted([answer]).base
    for words in (["pull", sample, "--from", base, "--out", tmp_path / "out"], ["push", sample, "--to", base]):
        done = typed(*words, "--json")
        assert done.code == 3
        assert done.json["resourceType"] == "OperationOutcome"
        assert not (tmp_path / "out").exists()
