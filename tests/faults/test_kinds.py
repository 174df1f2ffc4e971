"""Every kind of fault does to a client exactly what the table says, and nothing to anyone else."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import pytest
import requests

from faults.ends import BATCH, PAGES, SECRET, Upstream, ask, ids, locations, on_the_wire
from faults.fault import Fault
from faults.proxy import FaultProxy, When

# In place of the server


def test_refuse(proxy: FaultProxy, server: Upstream) -> None:
    proxy.inject(Fault("refuse", seconds=0.3))
    with pytest.raises(requests.ConnectionError, match="without response"):
        ask("GET", proxy.url)
    with pytest.raises(requests.ConnectionError, match="refused"):
        ask("GET", proxy.url)
    assert server.received == []
    time.sleep(0.5)
    assert ask("GET", proxy.url).status_code == 200
    assert [seen.status for seen in proxy.log] == [None, 200]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_status(status: int, proxy: FaultProxy, server: Upstream) -> None:
    proxy.inject(Fault("status", status=status), When(times=1))
    proxy.inject(Fault("status", status=status, retry_after=2), When(nth=2))
    proxy.inject(Fault("status", status=status, retry_after=2, as_date=True), When(nth=3))
    plain, seconds, date = (ask("GET", proxy.url) for _ in range(3))
    assert [plain.status_code, seconds.status_code, date.status_code] == [status] * 3
    assert "Retry-After" not in plain.headers
    assert seconds.headers["Retry-After"] == "2"
    assert date.headers["Retry-After"].endswith(" GMT")
    assert 1 < parsedate_to_datetime(date.headers["Retry-After"]).timestamp() - time.time() <= 3
    assert plain.json()["resourceType"] == "OperationOutcome"
    assert server.received == []
    assert not any(seen.forwarded for seen in proxy.log)


def test_status_committed(proxy: FaultProxy, server: Upstream) -> None:
    proxy.inject(Fault("status_committed"))
    assert ask("POST", proxy.url, data=b"x").status_code == 504
    assert [received[3] for received in server.received] == [b"x"]
    assert proxy.log[0].forwarded


def test_html(proxy: FaultProxy, server: Upstream) -> None:
    proxy.inject(Fault("html"))
    answer = ask("GET", proxy.url)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.text.startswith("<!DOCTYPE html>")
    assert server.received == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_elsewhere(status: int, proxy: FaultProxy, server: Upstream) -> None:
    proxy.inject(Fault("redirect_elsewhere", status=status), When(times=2))
    answer = ask("GET", f"{proxy.url}/Patient?page=1")
    assert (answer.status_code, answer.headers["Location"]) == (status, f"{proxy.elsewhere}/Patient?page=1")
    assert urlsplit(proxy.elsewhere).netloc not in (urlsplit(proxy.url).netloc, urlsplit(server.base).netloc)
    assert proxy.elsewhere_log == []
    followed = requests.get(f"{proxy.url}/Patient?page=1", headers={"X-Key": "k"}, timeout=5)
    assert followed.json()["type"] == "searchset"
    assert [(r.method, r.path, r.headers["x-key"]) for r in proxy.elsewhere_log] == [
        ("GET", "/fhir/Patient?page=1", "k")
    ]
    assert server.received == []


def test_bulk_expired(proxy: FaultProxy, server: Upstream) -> None:
    proxy.inject(Fault("bulk_expired"))
    answer = ask("GET", f"{proxy.url}/bulk/1.ndjson")
    assert answer.status_code == 410
    assert answer.json()["issue"][0]["code"] == "not-found"
    assert server.received == []


# On the way back


def test_latency(proxy: FaultProxy, server: Upstream) -> None:
    proxy.inject(Fault("latency", seconds=0.5), When(times=2))
    started = time.monotonic()
    assert ask("POST", proxy.url).text == BATCH
    assert 0.5 <= time.monotonic() - started < 2
    with pytest.raises(requests.ReadTimeout):
        requests.post(proxy.url, timeout=0.2)
    assert len(server.received) == 2


def test_drip(proxy: FaultProxy) -> None:
    whole = on_the_wire(f"{proxy.url}/Patient?page=1")
    proxy.inject(Fault("drip", seconds=0.02, piece=16))
    started = time.monotonic()
    assert len(on_the_wire(f"{proxy.url}/Patient?page=1")) == len(whole)
    assert time.monotonic() - started >= 0.02 * len(whole) / 16


@pytest.mark.parametrize("until", [0, 1, 40, -10])
def test_cut(until: int, proxy: FaultProxy, server: Upstream) -> None:
    whole = on_the_wire(f"{proxy.url}/echo?page=1")
    proxy.inject(Fault("cut", until=until), When(times=2))
    cut = on_the_wire(f"{proxy.url}/echo?page=1")
    assert len(cut) == len(whole[:until])
    assert cut[:30] == whole[:30][: len(cut)]
    with pytest.raises(requests.RequestException):
        ask("GET", f"{proxy.url}/Patient?page=1").json()
    assert len(server.received) == 3


def test_cut_committed(proxy: FaultProxy, server: Upstream) -> None:
    proxy.inject(Fault("cut_committed"))
    with pytest.raises(requests.ConnectionError, match="without response"):
        ask("POST", proxy.url, data=b"x")
    assert [received[3] for received in server.received] == [b"x"]
    assert (proxy.log[0].forwarded, proxy.log[0].status) == (True, None)


def packed(proxy: FaultProxy) -> bytes:
    """The body of a page as it comes over the wire, which claims to be whole and gzip."""
    head, _, body = on_the_wire(f"{proxy.url}/Patient?page=1").partition(b"\r\n\r\n")
    assert b"\r\ncontent-encoding: gzip" in head
    assert b"\r\ncontent-length: %d" % len(body) in head
    return body


def test_gzip_truncated(proxy: FaultProxy) -> None:
    proxy.inject(Fault("gzip_truncated"))
    body = packed(proxy)
    with pytest.raises(EOFError):
        gzip.decompress(body)
    assert zlib.decompressobj(31).decompress(body).startswith(b'{"resourceType":"Bundle"')


def test_gzip_corrupt(proxy: FaultProxy) -> None:
    proxy.inject(Fault("gzip_corrupt"), When(times=2))
    with pytest.raises((zlib.error, gzip.BadGzipFile)):
        gzip.decompress(packed(proxy))
    with pytest.raises(requests.exceptions.ContentDecodingError):
        ask("GET", f"{proxy.url}/Patient?page=1")


def test_outcome(proxy: FaultProxy, server: Upstream) -> None:
    proxy.inject(Fault("outcome"))
    answer = ask("GET", proxy.url)
    assert (answer.status_code, answer.json()["issue"][0]["severity"]) == (200, "error")
    assert server.received == []


def test_content_type(proxy: FaultProxy) -> None:
    proxy.inject(Fault("content_type"))
    answer = ask("POST", proxy.url)
    assert (answer.headers["Content-Type"], answer.text) == ("text/html; charset=utf-8", BATCH)


def test_location_elsewhere(proxy: FaultProxy) -> None:
    proxy.inject(Fault("location_elsewhere"))
    answer = ask("GET", f"{proxy.url}/$export")
    assert (answer.status_code, answer.headers["Content-Location"]) == (202, f"{proxy.elsewhere}/status/1")


# Pages


@pytest.mark.parametrize(("nth", "found"), [(1, "1123"), (2, "1223"), (3, "1233")])
def test_page_repeated(nth: int, found: str, proxy: FaultProxy) -> None:
    proxy.inject(Fault("page_repeated"), When(nth=nth))
    assert "".join(ids(proxy.url)) == found
    assert [seen.forwarded for seen in proxy.log].count(False) == 1


@pytest.mark.parametrize(("nth", "found"), [(1, "23"), (2, "13"), (3, "12")])
def test_page_lost(nth: int, found: str, proxy: FaultProxy, server: Upstream) -> None:
    proxy.inject(Fault("page_lost"), When(nth=nth))
    assert "".join(ids(proxy.url)) == found
    assert [headers["authorization"] for _, _, headers, _ in server.received] == [SECRET["Authorization"]] * PAGES
    assert proxy.idle == []


def test_next_endless(proxy: FaultProxy, server: Upstream) -> None:
    proxy.inject(Fault("next_endless"), When(nth=2))
    assert ids(proxy.url, limit=20) == ["1", *["2"] * 19]
    assert len({seen.request.path for seen in proxy.log}) == 20
    assert len(server.received) == 2


def test_next_elsewhere(proxy: FaultProxy) -> None:
    proxy.inject(Fault("next_elsewhere"))
    answer = ask("GET", f"{proxy.url}/Patient?page=1")
    links = {link["relation"]: link["url"] for link in answer.json()["link"]}
    assert links == {"self": f"{proxy.url}/Patient?page=1", "next": f"{proxy.elsewhere}?page=2"}
    assert '"x":10.50' in answer.text
    assert ask("GET", links["next"]).status_code == 200
    assert [r.headers["authorization"] for r in proxy.elsewhere_log] == [SECRET["Authorization"]]


# Batches


def test_entries_missing(proxy: FaultProxy) -> None:
    proxy.inject(Fault("entries_missing"))
    assert locations(ask("POST", proxy.url)) == ["1", "2"]


def test_entries_extra(proxy: FaultProxy) -> None:
    proxy.inject(Fault("entries_extra"))
    assert locations(ask("POST", proxy.url)) == ["1", "2", "3", "3"]


def test_entries_reordered(proxy: FaultProxy) -> None:
    proxy.inject(Fault("entries_reordered"))
    assert locations(ask("POST", proxy.url)) == ["2", "3", "1"]


@pytest.mark.parametrize("text", ["304 Not Modified", "", "fine"])
def test_entry_status(text: str, proxy: FaultProxy) -> None:
    proxy.inject(Fault("entry_status", entry_status=text))
    expected = json.loads(BATCH)
    expected["entry"][0]["response"]["status"] = text
    assert ask("POST", proxy.url).json() == expected


# Bulk exports (`ends` sends back what it gets)


def test_file_elsewhere(proxy: FaultProxy, server: Upstream) -> None:
    proxy.inject(Fault("file_elsewhere"), When(path="status", times=None))
    files = [{"type": "Patient", "url": f"{server.base}/files/{number}"} for number in range(2)]
    answer = requests.post(f"{proxy.url}/status/1", json={"output": files}, timeout=5)
    urls = [file["url"] for file in answer.json()["output"]]
    assert urls == [f"{proxy.elsewhere}/files/0", f"{proxy.url}/files/1"]
    for body in ("{}", "[]", "no JSON"):
        assert requests.post(f"{proxy.url}/status/1", data=body, timeout=5).text == body


def test_file_short(proxy: FaultProxy) -> None:
    proxy.inject(Fault("file_short"), When(times=None))
    ndjson = {"Content-Type": "application/fhir+ndjson"}
    for sent, got in (("a\nb\n", "a\n"), ("a\nb", "a\n"), ("a\n", ""), ("", "")):
        assert requests.post(f"{proxy.url}/files/1", data=sent, headers=ndjson, timeout=5).text == got
    assert requests.post(f"{proxy.url}/files/1", data="a\nb\n", timeout=5).text == "a\nb\n"
