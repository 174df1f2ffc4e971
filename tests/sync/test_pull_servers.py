"""A hospital's data on servers that hospitals have: what the sandbox cannot show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ward import Hospital

from fhir_ivig.fhir.client import Client
from fhir_ivig.sync import incremental
from fhir_ivig.sync.bulk import Bulk
from fhir_ivig.sync.pull import Search, pull
from fhir_ivig.sync.pull_study import pull_study

SOME: dict[str, Any] = {"links": "mrn", "subjects": ["S-01", "S-02"]}


def filled(url: str, folder: Path) -> Hospital:
    made = Hospital(url, folder)
    made.put(
        made.patient("a", "4711"),
        made.patient("b", "4712"),
        *(made.ck(f"r{place}", "ab"[place % 2], f"2024-0{3 + place // 2}-01", 1000 + place) for place in range(4)),
        made.infusion("i", "a", "2024-03-04"),
    )
    return made


def tables(out: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in out.glob("*.csv")}


@pytest.mark.parametrize("name", ["hapi_r4", "medplum_url"])
def test_linked_patients_and_what_changed(
    name: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incremental, "OVERLAP", incremental.timedelta(seconds=1))
    url, out = request.getfixturevalue(name), tmp_path / "out"
    hospital = filled(url, tmp_path / "study")
    first = pull_study(hospital.study, url, out, **SOME)
    assert first.complete, [str(issue) for issue in first.log.first]
    assert (first.rows["assessments"], first.rows["infusions"]) == (4, 1)
    hospital.put(
        hospital.ck("r0", "a", "2024-03-01", 7), hospital.ck("r1", "b", "2024-03-01", 8, status="entered-in-error")
    )
    hospital.client.transport.ask("DELETE", f"Observation/{hospital.id('r2')}")
    again = pull_study(hospital.study, url, out, since_last=True, **SOME)
    assert again.complete, [str(issue) for issue in again.log.first]
    said = " ".join(issue.text for issue in again.log.first)
    if name == "hapi_r4":
        whole = pull_study(hospital.study, url, tmp_path / "whole", **SOME)
        assert whole.complete
        assert tables(out) == tables(tmp_path / "whole")
        assert again.rows["assessments"] == 2
    else:
        assert "has no history" in said or again.rows["assessments"] == 2


def test_bulk_of_hapi_is_as_its_search(hapi_r4: str, tmp_path: Path) -> None:
    hospital = filled(hapi_r4, tmp_path / "study")
    pull_study(hospital.study, hapi_r4, tmp_path / "search", **SOME)
    bulk = pull_study(hospital.study, hapi_r4, tmp_path / "bulk", bulk=Bulk(poll_seconds=1), **SOME)
    assert bulk.complete, [str(issue) for issue in bulk.log.first]
    assert tables(tmp_path / "bulk") == tables(tmp_path / "search")
    assert not (tmp_path / "bulk.bulk").exists()
    again = pull_study(hospital.study, hapi_r4, tmp_path / "bulk", bulk=Bulk(poll_seconds=1), since_last=True, **SOME)
    assert again.complete, [str(issue) for issue in again.log.first]
    assert tables(tmp_path / "bulk") == tables(tmp_path / "search")


def test_a_server_that_cannot_page(medplum_url: str, tmp_path: Path) -> None:
    """It gives no next link: so many Patients at a time are asked for that one page holds what is theirs."""
    hospital = Hospital(medplum_url, tmp_path / "study")
    names = [f"p{number}" for number in range(8)]
    hospital.put(*(hospital.patient(name, name) for name in names))
    hospital.put(*(hospital.ck(f"{name}r{n}", name, "2024-03-01", n) for name in names for n in range(30)))
    system = hospital.study.parameters["mrn_system"]
    everyone = Search("Patient", {"identifier": ",".join(f"{system}|{name}" for name in names)})
    pulled = pull(Client(medplum_url), [everyone, Search("Observation", {}, "subject")], tmp_path / "out")
    assert (pulled.complete, pulled.received) == (True, {"Patient": 8, "Observation": 240})
    assert json.loads((tmp_path / "out/manifest.json").read_text())["expected"] == {"Patient": 8, "Observation": 240}
