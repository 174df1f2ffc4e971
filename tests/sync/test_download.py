"""Files of a bulk export that break off: gone on with where ranges are offered, fetched again where they are not."""

from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fhir_ivig.fhir.bulk import File
from fhir_ivig.fhir.client import RefusedError
from fhir_ivig.fhir.gate import Gate
from fhir_ivig.fhir.transport import Transport
from fhir_ivig.fhir.wire import Wire
from fhir_ivig.issue import IssueError
from fhir_ivig.sync import download
from fhir_ivig.sync.download import Begun, Download

LINES = 50_000
FILE = b"".join(b'{"resourceType":"Patient","id":"p%d"}\n' % number for number in range(LINES))


class Store(ThreadingHTTPServer):
    """One file, of which each answer breaks off after `gives` bytes of body (None: never). `does` turns its manners
    to what a case needs; `asked` are the ranges that were asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.gives: list[int | None] = []
        self.does: set[str] = set()
        self.asked: list[str | None] = []
        self.file, self.tag = FILE, '"1"'
        self.base = f"http://127.0.0.1:{self.server_port}/fhir"

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # the client left


class _Handler(BaseHTTPRequestHandler):
    server: Store

    def do_GET(self) -> None:
        store, asked = self.server, self.headers.get("Range")
        store.asked.append(asked)
        found = re.fullmatch(r"bytes=(\d+)-", asked or "")
        same = self.headers.get("If-Range") == store.tag or "ignores If-Range" in store.does
        begin = int(found[1]) if found and same and "no ranges" not in store.does else 0
        if begin and "416" in store.does:
            store.does.remove("416")
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = store.file[begin:]
        headers = {"Accept-Ranges": "bytes", "ETag": store.tag}
        if "no tag" in store.does:
            del headers["ETag"]
        if "gzip" in store.does and not begin:
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        if begin or "always 206" in store.does:
            shift = 7 if "another range" in store.does else 0
            headers["Content-Range"] = f"bytes {begin + shift}-{len(store.file) - 1}/{len(store.file)}"
        self.send_response(206 if "Content-Range" in headers else 200)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        gives = store.gives.pop(0) if store.gives else None
        self.wfile.write(body[:gives])
        self.close_connection = gives is not None

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as made:
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def get(store: Store, tmp_path: Path) -> Callable[..., tuple[int, list[Begun]]]:
    """Fetches the file to `part`, from what is `begun`: its lines, and what was noted."""

    def run(begun: Begun = None) -> tuple[int, list[Begun]]:
        noted: list[Begun] = []
        made = Download(Transport(Gate.of(store.base), Wire()), tmp_path / "part", begun, noted.append)
        lines = made.run(File(f"{store.base}/a"), origins=(), credentials=True, longest_pause=0.01)
        return lines, noted

    return run


Get = Callable[..., tuple[int, list[Begun]]]
HALF = len(FILE) // 2


def test_it_goes_on_where_it_broke_off(store: Store, get: Get, tmp_path: Path) -> None:
    store.gives = [HALF, 1000]
    assert get() == (LINES, [('"1"', len(FILE))])
    assert (tmp_path / "part").read_bytes() == FILE
    assert store.asked == [None, f"bytes={HALF}-", f"bytes={HALF + 1000}-"]


def test_in_another_process(store: Store, get: Get, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(FILE[:HALF])
    assert get(('"1"', len(FILE)))[0] == LINES
    assert (tmp_path / "part").read_bytes() == FILE
    assert store.asked == [f"bytes={HALF}-"]


@pytest.mark.parametrize(
    ("does", "asked"),
    [
        ({"no ranges"}, [None, "half"]),  # offers them and gives the whole file
        ({"no tag"}, [None, None]),
        ({"gzip"}, [None, None]),
        ({"416"}, [None, "half", None]),
        ({"another range"}, [None, "half", None]),
    ],
    ids=lambda value: ", ".join(sorted(value)) if isinstance(value, set) else "",
)
def test_or_again_from_its_beginning(
    does: set[str], asked: list[str | None], store: Store, get: Get, tmp_path: Path
) -> None:
    store.does, store.gives = does, [HALF if "gzip" not in does else 1000]
    assert get()[0] == LINES
    assert (tmp_path / "part").read_bytes() == FILE
    assert store.asked == [text and f"bytes={HALF}-" for text in asked]


def test_another_file_is_not_put_behind_a_half(store: Store, get: Get, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(b"x" * HALF)
    store.tag = '"2"'
    assert get(('"1"', len(FILE)))[0] == LINES
    assert (tmp_path / "part").read_bytes() == FILE
    store.does, store.file = {"ignores If-Range"}, FILE + FILE
    (tmp_path / "part").write_bytes(b"x" * HALF)
    assert get(('"1"', len(FILE)))[0] == 2 * LINES  # its size tells


def test_a_part_that_nobody_asked_for(store: Store, get: Get) -> None:
    store.does = {"always 206"}
    with pytest.raises(IssueError, match="cut off"):
        get()
    assert len(store.asked) == download.ATTEMPTS


def test_it_gives_up_when_nothing_comes(store: Store, get: Get) -> None:
    store.gives = [1000] * 20
    with pytest.raises(IssueError):
        get()
    assert len(store.asked) == download.ATTEMPTS


def test_it_does_not_give_up_while_it_gets_on(store: Store, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_PROGRESS", 50_000)
    store.gives = [100_000] * 15
    assert get()[0] == LINES
    assert len(store.asked) == 16


def test_what_drips_is_left(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Dripping(_Handler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(FILE)))
            self.end_headers()
            stop = threading.Event()
            for place in range(0, len(FILE), 10):
                self.wfile.write(FILE[place : place + 10])
                stop.wait(0.05)

    store.RequestHandlerClass = Dripping
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    made = Download(Transport(Gate.of(store.base), Wire((1, 0.3))), tmp_path / "part", None, lambda begun: None)
    with pytest.raises(IssueError, match="in time"):
        made.run(File(f"{store.base}/a"), origins=(), credentials=True, longest_pause=0.01)


def test_a_file_that_is_gone(scripted: Callable[..., object], tmp_path: Path) -> None:
    server = scripted([{"status": 410}])
    made = Download(Transport(Gate.of(server.base), Wire()), tmp_path / "part", None, lambda begun: None)  # type: ignore[attr-defined]
    with pytest.raises(RefusedError):
        made.run(File("a"), origins=(), credentials=True, longest_pause=0.01)
