"""The fault proxy passes on everything as it is, and strikes when it is told to."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterable
from typing import get_args
from urllib.parse import urlsplit

import pytest
import requests

from faults import test_kinds
from faults.ends import BATCH, SECRET, Upstream, ask, ids, locations
from faults.fault import Fault, Kind
from faults.kinds import KINDS
from faults.proxy import FaultProxy, When


def test_the_table_is_whole() -> None:
    assert tuple(KINDS) == get_args(Kind)
    assert all(row.act.__name__ == kind and row.says for kind, row in KINDS.items())
    assert {f"test_{kind}" for kind in KINDS} - set(vars(test_kinds)) == set()


def test_links_lead_through_the_proxy(proxy: FaultProxy) -> None:
    assert ids(proxy.url) == ["1", "2", "3"]
    assert [(seen.request.path, seen.forwarded, seen.status) for seen in proxy.log] == [
        (f"/fhir/Patient?page={number}", True, 200) for number in (1, 2, 3)
    ]
    headers = ask("GET", f"{proxy.url}/$export").headers
    assert headers["Content-Location"] == f"{proxy.url}/status/1"
    assert headers["Location"] == proxy.url
    assert headers["Link"] == f"<{proxy.url}/a>; rel=self"


@pytest.mark.parametrize(
    ("kind", "longer", "changed"),
    [("application/json", "", True), ("application/json", "0", False), ("text/csv", "", False)],
)
def test_only_its_own_address_in_json_is_changed(
    kind: str, longer: str, changed: bool, proxy: FaultProxy, server: Upstream
) -> None:
    address = f'"{server.base.removesuffix("/fhir")}{longer}/fhir"'
    answer = requests.post(f"{proxy.url}/echo", data=address, headers={"Content-Type": kind}, timeout=5)
    assert answer.text == (f'"{proxy.url}"' if changed else address)


def test_requests_pass_as_they_are(proxy: FaultProxy, server: Upstream) -> None:
    body = bytes(range(256)).decode("latin-1").encode()
    assert ask("PUT", f"{proxy.url}/echo?a=b%2Fc", data=body).content == body
    method, path, headers, received = server.received[0]
    assert (method, path, received) == ("PUT", "/fhir/echo?a=b%2Fc", body)
    assert headers["authorization"] == SECRET["Authorization"]
    assert headers["host"] == urlsplit(server.base).netloc
    assert proxy.log[0].request.body == body
    assert proxy.log[0].request.headers["authorization"] == SECRET["Authorization"]


def test_chunks_both_ways_on_one_connection(proxy: FaultProxy, server: Upstream) -> None:
    connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=5)
    connection.connect()
    connection.auto_open = 0  # a second connection is an error

    def said(method: str, path: str, body: Iterable[bytes] | None = None) -> bytes:
        connection.request(method, f"/fhir{path}", body, encode_chunked=True)
        return connection.getresponse().read()

    assert said("GET", "/chunked") == b'{"a":10.50}'
    assert said("POST", "/echo", iter([b"ab", b"c"])) == b"abc"
    assert said("HEAD", "/Patient?page=1") == b""
    assert said("POST", "") == BATCH.encode()
    assert server.received[1][3] == b"abc"
    connection.close()


def test_what_the_server_cuts_is_cut(proxy: FaultProxy) -> None:
    with pytest.raises(requests.ConnectionError):
        ask("GET", f"{proxy.url}/cut")
    assert (proxy.log[0].forwarded, proxy.log[0].status) == (True, None)


def test_a_server_that_is_down() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with FaultProxy(f"http://127.0.0.1:{port}/fhir") as proxy, pytest.raises(requests.ConnectionError):
        ask("GET", proxy.url)
    assert not proxy.log[0].forwarded


def test_nothing_is_left_after_the_block(server: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    before = threading.active_count()
    with FaultProxy(server.base) as proxy, requests.Session() as session:
        proxy.inject(Fault("latency", seconds=30))
        with pytest.raises(requests.ReadTimeout):
            session.get(f"{proxy.url}/echo", timeout=0.2)
        session.get(f"{proxy.url}/echo", timeout=5)
    assert threading.active_count() <= before + 1  # the server's own, for the connection
    for url in (proxy.url, proxy.elsewhere):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), 1)
    assert caplog.records == []  # asyncio has nothing to complain of


@pytest.mark.parametrize(
    ("when", "struck"),
    [
        (When(), [0]),
        (When(times=None), [0, 1, 2, 3, 4]),
        (When(method="POST", times=2), [1, 3]),
        (When(method="POST", path="/fhir$"), [3]),
        (When(path="echo", nth=2, times=2), [1, 4]),
        (When(path=r"a=1", nth=2), []),
    ],
)
def test_when(when: When, struck: list[int], proxy: FaultProxy) -> None:
    fault = Fault("status")
    proxy.inject(fault, when)
    asked = [("GET", "/echo"), ("POST", "/echo"), ("GET", "/Patient?page=1"), ("POST", ""), ("GET", "/echo?a=1")]
    statuses = [ask(method, proxy.url + path).status_code for method, path in asked]
    assert [number for number, status in enumerate(statuses) if status == 503] == struck
    assert proxy.idle == ([] if struck else [fault])


def test_two_faults_at_once(proxy: FaultProxy) -> None:
    proxy.inject(Fault("entries_missing"))
    proxy.inject(Fault("entries_extra"))
    assert locations(ask("POST", proxy.url)) == ["1", "2", "2"]
    assert proxy.log[0].faults == ["entries_missing", "entries_extra"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith(("entr", "page", "next", "location"))])
def test_a_fault_that_does_not_fit_does_nothing(kind: Kind, proxy: FaultProxy) -> None:
    proxy.inject(Fault(kind))
    body = b'{"type":"batch-response"}'  # of nothing
    assert ask("PUT", f"{proxy.url}/echo", data=body).content == body
    assert proxy.log[0].faults == []
    assert [fault.kind for fault in proxy.idle] == [kind]
