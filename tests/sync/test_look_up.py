"""What is looked up is all given, however the server cuts its pages and whatever it minds."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from fhir_ivig.fhir.bundle import Put
from fhir_ivig.fhir.client import Client
from fhir_ivig.sync.server import Server


def basics(server: Server, count: int) -> list[str]:
    """So many resources of no other meaning, put there: their ids."""
    names = [str(uuid4()) for _ in range(count)]
    resources = [{"resourceType": "Basic", "id": name, "code": {"text": "tried"}} for name in names]
    puts = [Put(f"Basic/{name}", json.dumps(each).encode()) for name, each in zip(names, resources, strict=True)]
    assert not [answer for answer in server.put(puts) if answer.issues]
    return names


@pytest.mark.parametrize(
    ("page", "most"),
    [
        pytest.param(3, 3, id="on one page"),
        pytest.param(2, 3, id="pages are shorter"),
        pytest.param(3, 1100, id="more than HAPI finds without keeping it"),
    ],
)
@pytest.mark.parametrize("place", ["hapi_r4", "sekmet_url"])
def test_all_is_found(place: str, page: int, most: int, request: pytest.FixtureRequest) -> None:
    server = Server(Client(request.getfixturevalue(place)))
    names = basics(server, 3)
    for _ in range(2):  # as it was learned the first time
        found = server.search("Basic", {"_id": ",".join([*names, "nobody"]), "_count": str(page)}, most=most)
        assert sorted(found) == sorted(names)


def test_ids_of_nobody_are_not_found(hapi_r4: str) -> None:
    server = Server(Client(hapi_r4))
    [name] = basics(server, 1)
    assert server.look_up("Basic", [name, "nobody"]).keys() == {name}
