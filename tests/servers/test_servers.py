"""The test servers themselves: each takes and gives back a Patient, and has the ways that are known of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
import yaml
from servers import processes
from servers.processes import MissingError, hapi, medplum

WAYS = yaml.safe_load((Path(__file__).parent / "known_ways.yaml").read_text("utf-8"))
SERVERS = list(WAYS)


class Asked:
    """One server, asked plainly: resources as dicts, answers as they come, and identifiers that no other test has."""

    def __init__(self, base: str) -> None:
        self.base, self.system = base, f"urn:uuid:{uuid4()}"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update({"Accept": "application/fhir+json", "Cache-Control": "no-cache"})

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        sent = {"Content-Type": "application/fhir+json"} if body else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.session.request(method, f"{self.base}/{path}".rstrip("/"), json=body, headers=sent, timeout=120)

    def search(self, resource_type: str, **params: str) -> requests.Response:
        return self.session.post(f"{self.base}/{resource_type}/_search", data=params, timeout=120)

    def patient(self, family: str = "Test") -> dict[str, Any]:
        name, key = str(uuid4()), str(uuid4())
        identifier = [{"system": self.system, "value": key}]
        return {"resourceType": "Patient", "id": name, "identifier": identifier, "name": [{"family": family}]}

    def put(self, resource: dict[str, Any], **headers: str) -> requests.Response:
        return self.ask("PUT", f"{resource['resourceType']}/{resource['id']}", resource, **headers)

    def bundle(self, kind: str, resources: list[dict[str, Any]], stale: dict[str, Any] | None = None) -> int:
        """The status of a Bundle of PUTs, the last of which, `stale`, cannot succeed."""
        entries = [
            {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
            for one in [*resources, *([stale] if stale else [])]
        ]
        if stale:
            entries[-1]["request"]["ifMatch"] = 'W/"999"'
        return self.ask("POST", "", {"resourceType": "Bundle", "type": kind, "entry": entries}).status_code


def matches(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    entries = bundle.get("entry", [])
    return [one["resource"] for one in entries if one.get("search", {}).get("mode", "match") == "match"]


@pytest.fixture(params=SERVERS)
def named(request: pytest.FixtureRequest) -> tuple[str, Asked]:
    return request.param, Asked(request.getfixturevalue(request.param))


def test_a_patient_is_put_read_and_found(named: tuple[str, Asked]) -> None:
    name, server = named
    assert server.ask("GET", "metadata").json()["fhirVersion"] == WAYS[name]["fhir"]
    patient = server.patient()
    assert server.put(patient).ok
    read = server.ask("GET", f"Patient/{patient['id']}").json()
    assert {key: read[key] for key in patient} == patient
    key = f"{server.system}|{patient['identifier'][0]['value']}"
    assert [one["id"] for one in matches(server.search("Patient", identifier=key).json())] == [patient["id"]]


def test_its_ways_are_known(named: tuple[str, Asked]) -> None:
    name, server = named
    assert {"fhir": WAYS[name]["fhir"], **writes(server), **searches(server), **operations(server)} == WAYS[name]


def writes(server: Asked) -> dict[str, Any]:
    patient = server.patient()
    first, again = server.put(patient), server.put(patient)
    changed = {**patient, "gender": "female"}
    assert server.put(changed, If_Match=again.headers["ETag"]).ok
    history = server.ask("GET", f"Patient/{patient['id']}/_history").json()["entry"]
    newest = "newest" if history[0]["resource"].get("gender") else "oldest"
    other = server.patient()
    created = {key: value for key, value in other.items() if key != "id"}
    condition = f"identifier={server.system}|{other['identifier'][0]['value']}"
    fresh = server.patient()
    failed = server.bundle("transaction", [fresh], stale=changed)
    kept = "first entry kept" if server.ask("GET", f"Patient/{fresh['id']}").ok else "nothing kept"
    return {
        "create by PUT": first.status_code,
        "same PUT again": "no new version" if first.headers["ETag"] == again.headers["ETag"] else "new version",
        "stale If-Match": server.put(patient, If_Match='W/"1"').status_code,
        "conditional create twice": [
            server.ask("POST", "Patient", created, If_None_Exist=condition).status_code for _ in range(2)
        ],
        "failed transaction": f"{failed}, {kept}",
        "history": f"{len(history)} versions, {newest} first",
    }


def searches(server: Asked) -> dict[str, Any]:
    family = f"Many{uuid4().hex}"
    assert server.bundle("batch", [server.patient(family) for _ in range(45)]) == 200
    event = {
        "resourceType": "AdverseEvent",
        "id": str(uuid4()),
        "actuality": "actual",
        "subject": {"reference": f"Patient/{matches(server.search('Patient', family=family).json())[0]['id']}"},
    }
    identifier = {"system": server.system, "value": "event"}
    r5 = server.ask("GET", "metadata").json()["fhirVersion"] == "5.0.0"
    event |= {"status": "completed", "identifier": [identifier]} if r5 else {"identifier": identifier}
    assert server.put(event).ok
    return {
        "pages of 45": pages(server, family=family),
        "total": server.search("Patient", family=family).json().get("total", "none"),
        "limit of 30": pages(server, family=family, _count="30"),
        "AdverseEvent by identifier": found(server, "AdverseEvent", "identifier", f"{server.system}|event"),
        "unknown parameter": found(server, "Patient", "colour-of-hair", "red"),
    }


def pages(server: Asked, **params: str) -> list[int]:
    bundle, sizes = server.search("Patient", **params).json(), []
    while True:
        sizes.append(len(matches(bundle)))
        links = [link["url"] for link in bundle.get("link", []) if link["relation"] == "next"]
        if not links or len(sizes) == 9:
            return sizes
        bundle = server.session.get(links[0], timeout=120).json()


def found(server: Asked, resource_type: str, name: str, value: str) -> Any:
    """What a filter comes to: `found` (or `none found`), the status it is refused with, or `ignored`."""
    answer = server.search(resource_type, **{name: value})
    if not answer.ok:
        return answer.status_code
    if matches(server.search(resource_type, **{name: f"{value}-not"}).json()):
        return "ignored"
    return "found" if matches(answer.json()) else "none found"


def operations(server: Asked) -> dict[str, Any]:
    observation = {"resourceType": "Observation", "status": "final"}
    return {
        "export": server.ask("GET", "$export?_type=Patient", Prefer="respond-async").status_code,
        "validate": server.ask("POST", "Observation/$validate", observation).status_code,
    }


def is_there(base: str) -> bool:
    try:
        return requests.get(f"{base}/metadata", timeout=10).ok
    except requests.ConnectionError:
        return False


def ends(base: str) -> bool:
    deadline = time.monotonic() + 10
    while is_there(base) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_there(base)


def test_who_share_a_run_folder_share_a_server_and_the_last_ends_it(tmp_path: Path, medplum_url: str) -> None:
    with medplum(tmp_path) as first:
        with medplum(tmp_path) as second:
            assert second == first != medplum_url
        assert is_there(first)
    assert ends(first)
    with medplum(tmp_path) as anew:
        assert is_there(anew)
    assert ends(anew)


USER = """
import time
from servers.processes import medplum
with medplum() as base:
    print(base, flush=True)
    time.sleep(60)
"""


def test_a_server_does_not_outlive_a_killed_user(tmp_path: Path, medplum_url: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", USER], stdout=subprocess.PIPE, text=True, env=environment) as user:
        assert user.stdout
        base = user.stdout.readline().strip()
        assert is_there(base)
        user.send_signal(signal.SIGKILL)
    assert ends(base)


def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hapi_r4: str) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingError, match=r"hapi-R4 needs java, which is missing: .*openjdk"), hapi("R4", tmp_path):
        pass


def test_a_server_that_does_not_start_shows_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hapi_r4: str
) -> None:
    monkeypatch.setattr(processes, "JAVA", ("-XX:NoSuchOption",))
    with pytest.raises(RuntimeError, match=r"(?s)hapi-R4 did not start.*NoSuchOption"), hapi("R4", tmp_path):
        pass


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_hapi_without_ids_of_a_client(hapi_own_ids: str, kind: str) -> None:
    """What the strategies lean on where a server gives the ids."""
    server = Asked(hapi_own_ids)
    patient, twice = server.patient(), server.patient()
    assert server.put(patient).status_code == 404
    condition = f"identifier={server.system}|{patient['identifier'][0]['value']}"
    entry = {"resource": patient, "request": {"method": "POST", "url": "Patient", "ifNoneExist": condition}}
    first, again = (
        server.ask("POST", "", {"resourceType": "Bundle", "type": kind, "entry": [entry]}).json()["entry"][0]
        for _ in range(2)
    )
    assert [first["response"]["status"][:3], again["response"]["status"][:3]] == ["201", "200"]
    assert first["response"]["location"] == again["response"]["location"]
    _, given, _, version = first["response"]["location"].split("/")
    assert (given.isdigit(), version) == (True, "1")
    for _ in range(2):
        assert server.ask("POST", "Patient", twice).status_code == 201
    key = f"identifier={server.system}|{twice['identifier'][0]['value']}"
    assert server.ask("POST", "Patient", twice, If_None_Exist=key).status_code == 412
