"""What the tests of this folder share: a study's tables, what is to be sent of it, and what a server holds of it.

The server is asked with plain requests and the bodies are read with plain json, so that nothing of the package under
test judges itself.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
from sample_study import Row, rows

from fhir_ivig.study.study import Study
from fhir_ivig.sync.export import export
from fhir_ivig.sync.push_study import PushedStudy

COUNTED = ("created", "updated", "unchanged", "failed", "conflicts", "withdrawn", "left", "withheld")
ASKED = 50  # ids a search

Resource = dict[str, Any]


def tables(folder: Path) -> dict[str, list[Row]]:
    """The rows of every table in a folder, in the order of their text."""
    return {path.name: sorted(rows(path), key=lambda row: list(row.values())) for path in folder.glob("*.csv")}


def counts(pushed: PushedStudy) -> dict[str, int]:
    """What a push counted, without what it did not do."""
    return {name: getattr(pushed, name) for name in COUNTED if getattr(pushed, name)}


def planned(study: Study, version: str | None = None) -> dict[str, Resource]:
    """Every resource of the study by `Type/id`, as it is to be at the server."""
    with TemporaryDirectory() as folder:
        export(study, Path(folder) / "fhir", version=version)
        lines = [line for file in Path(folder).glob("fhir/[A-Z]*.ndjson") for line in file.read_text().splitlines()]
    found = [json.loads(line) for line in lines]
    return {f"{resource['resourceType']}/{resource['id']}": resource for resource in found}


class Plain:
    """A FHIR server, asked plainly."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update({"Accept": "application/fhir+json", "Cache-Control": "no-cache"})

    def post(self, path: str, resource: Resource) -> requests.Response:
        return self._sent("POST", path, resource)

    def put(self, resource: Resource) -> None:
        self._sent("PUT", f"{resource['resourceType']}/{resource['id']}", resource).raise_for_status()

    def held(self, refs: Collection[str]) -> dict[str, Resource]:
        """Those of the resources (`Type/id`) that the server has."""
        found = {}
        for kind in {ref.partition("/")[0] for ref in refs}:
            ids = [ref.partition("/")[2] for ref in refs if ref.startswith(f"{kind}/")]
            for start in range(0, len(ids), ASKED):
                some = ",".join(ids[start : start + ASKED])
                answer = self.session.post(f"{self.base}/{kind}/_search", data={"_id": some, "_count": "100"})
                found |= {f"{kind}/{each['id']}": each for each in _matches(answer)}
        return found

    def all(self, kind: str) -> Iterator[Resource]:
        """Every resource of a type."""
        answer = self.session.get(f"{self.base}/{kind}?_count=500")
        while True:
            yield from _matches(answer)
            following = [link["url"] for link in answer.json().get("link", []) if link["relation"] == "next"]
            if not following:
                return
            answer = self.session.get(following[0])

    def _sent(self, method: str, path: str, resource: Resource) -> requests.Response:
        headers = {"Content-Type": "application/fhir+json"}
        return self.session.request(method, f"{self.base}/{path}", json=resource, headers=headers, timeout=120)


def _matches(answer: requests.Response) -> list[Resource]:
    answer.raise_for_status()
    entries = answer.json().get("entry", [])
    return [each["resource"] for each in entries if each.get("search", {}).get("mode", "match") == "match"]


def content(resources: dict[str, Resource]) -> dict[str, Resource]:
    """The resources without what is the server's own: meta and a narrative."""
    return {
        ref: {name: value for name, value in resource.items() if name not in ("meta", "text")}
        for ref, resource in resources.items()
    }
