"""How often, how soon and how many at once: against scripted servers, and by counting."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from fhir_ivig.fhir import retry
from fhir_ivig.fhir.client import Client, UnansweredError
from fhir_ivig.fhir.gate import Gate
from fhir_ivig.fhir.retry import BusyError, Pace, persist, seconds
from fhir_ivig.fhir.transport import Transport
from fhir_ivig.fhir.wire import Wire
from fhir_ivig.issue import Issue, IssueError

DOWN = Issue("fatal", "transient", "down")
GOOD = {"body": '{"resourceType":"CapabilityStatement"}'}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "LONGEST", 0.02)


class Attempts:
    """Fails as told, then succeeds; counts."""

    def __init__(self, *errors: BusyError) -> None:
        self.errors, self.made = list(errors), 0

    def __call__(self, until: float) -> str:
        self.made += 1
        if self.errors:
            raise self.errors.pop(0)
        return "good"


def test_what_passes_is_tried_again() -> None:
    attempts = Attempts(BusyError(DOWN), BusyError(DOWN, sent=False))
    assert (persist(attempts, Pace(1), 10), attempts.made) == ("good", 3)


def test_what_is_not_idempotent_is_not_sent_twice() -> None:
    attempts = Attempts(BusyError(DOWN))
    with pytest.raises(UnansweredError) as raised:
        persist(attempts, Pace(1), 10, idempotent=False)
    assert (raised.value.sent, attempts.made) == (True, 1)
    attempts = Attempts(BusyError(DOWN, sent=False))
    assert (persist(attempts, Pace(1), 10, idempotent=False), attempts.made) == ("good", 2)


def test_nobody_there_is_not_sent() -> None:
    with pytest.raises(UnansweredError) as raised:
        Client("http://127.0.0.1:9/fhir").capability()
    assert not raised.value.sent
    assert raised.value.status is None


def test_the_deadline_holds() -> None:
    attempts = Attempts(*[BusyError(DOWN, wait=0.4)] * 10)
    started = time.monotonic()
    with pytest.raises(UnansweredError):
        persist(attempts, Pace(1), 1.0)
    assert attempts.made == 3
    assert time.monotonic() - started < 1.0


def test_the_budget_is_shared() -> None:
    pace, made = Pace(4), 0
    for _ in range(20):
        attempts = Attempts(*[BusyError(DOWN)] * 10)
        with pytest.raises(UnansweredError):
            persist(attempts, pace, 10)
        made += attempts.made
    assert made == 20 + retry.BUDGET


def test_fewer_at_once_when_told_and_more_again() -> None:
    pace = Pace(8)
    busy = BusyError(DOWN, status=429)
    for limit in (4, 2, 1, 1):
        with pytest.raises(BusyError), pace.turn():
            raise busy
        assert pace.limit == limit
    for _ in range(100):
        with pace.turn():
            pass
    assert pace.limit == 8


def test_a_fault_does_not_slow_down() -> None:
    pace = Pace(8)
    with pytest.raises(BusyError), pace.turn():
        raise BusyError(DOWN, status=502)
    assert pace.limit == 8


def test_what_was_under_way_together_counts_once() -> None:
    pace, together = Pace(8), threading.Barrier(4)

    def one() -> None:
        with pace.turn():
            together.wait()
            raise BusyError(DOWN, status=503)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(one) for _ in range(4)]:
            assert isinstance(done.exception(), BusyError)
    assert pace.limit == 4


def test_never_more_at_once_than_allowed() -> None:
    pace, lock, now, most = Pace(3), threading.Lock(), 0, 0

    def one() -> None:
        nonlocal now, most
        with pace.turn():
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.01)
            with lock:
                now -= 1

    with ThreadPoolExecutor(12) as pool:
        for _ in range(30):
            pool.submit(one)
    assert most == 3


def test_others_wait_too() -> None:
    pace = Pace(4)
    with pytest.raises(BusyError), pace.turn():
        raise BusyError(DOWN, status=429, wait=0.3)
    started = time.monotonic()
    with pace.turn():
        assert time.monotonic() - started >= 0.29


def test_retry_after() -> None:
    def waits(text: str, **more: str) -> float:
        return seconds({"Retry-After": text, **more})

    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 28 < waits(soon) <= 30
    assert [waits(text) for text in ("7", " 7 ", "", "soon", "-1", "1.5", "٣")] == [7, 7, 0, 0, 0, 0, 0]
    assert seconds({}) == 0
    assert waits("Fri, 31 Dec 1999 23:59:59 GMT") == 0
    assert waits("Fri, 31 Dec 1999 23:59:59") == 0  # without a zone
    # The clocks of the two differ by years: the server's own counts.
    assert waits("Fri, 31 Dec 1999 23:59:59 GMT", Date="Fri, 31 Dec 1999 23:59:50 GMT") == 9
    assert waits("Fri, 31 Dec 2099 23:59:59 GMT", Date="Fri, 31 Dec 2099 23:59:50 GMT") == 9
    assert 28 < waits(soon, Date="yesterday") <= 30


def test_no_cookie_is_kept(scripted: Any) -> None:
    server = scripted([{**GOOD, "headers": {"Set-Cookie": "session=canary; Path=/"}}])
    client = Client(server.base)
    client.capability()
    client.capability()
    assert "canary" not in str(server.requests[1])


def test_several_threads_on_one_client(scripted: Any) -> None:
    server = scripted([{"status": 503, "headers": {"Retry-After": "0"}}] * 3 + [GOOD])
    client = Client(server.base)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: client.capability(), range(40)))
    assert len(found) == 40
    assert len(server.requests) == 43


def test_request_bodies_are_compressed_where_known(scripted: Any) -> None:
    import gzip

    server = scripted([{"body": "{}"}])
    client = Client(Transport(Gate.of(server.base), Wire(), gzip_requests=True))
    client.transport.ask("POST", "", b"x" * 5000)
    client.transport.ask("POST", "", b"short")
    (_, _, first, packed), (_, _, second, plain) = server.requests
    assert first["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed) == b"x" * 5000
    assert "Content-Encoding" not in second
    assert plain == b"short"


def test_a_file_of_another_origin_gets_no_credentials(scripted: Any) -> None:
    server, other = scripted([{"body": "{}"}]), scripted([{"body": "a\nb\n"}])
    client = Client(server.base, "canary-token", {"x-partner": "canary-partner"})
    elsewhere = other.base.replace("/fhir", "")
    with client.transport.file(f"{elsewhere}/file?x=1", allowed_origins=[elsewhere]) as stream:
        assert b"".join(stream.pieces) == b"a\nb\n"
    with client.transport.file("Binary/1") as stream:
        list(stream.pieces)
    with client.transport.file("Binary/1", credentials=False) as stream:
        list(stream.pieces)
    with pytest.raises(IssueError), client.transport.file(f"{elsewhere}/file"):
        pass
    assert "canary" not in str(other.requests)
    assert [headers.get("Authorization") for _, _, headers, _ in server.requests] == ["Bearer canary-token", None]


def test_a_file_that_is_gone(scripted: Any) -> None:
    server = scripted([{"status": 410, "body": '{"resourceType":"OperationOutcome"}'}])
    with pytest.raises(IssueError, match="410"), Client(server.base).transport.file("Binary/1"):
        pass


def test_a_file_that_lies_elsewhere(scripted: Any) -> None:
    """Its redirects lead where links may lead; credentials do not go along, and do not come back."""
    storage = scripted([{"body": "{}"}])
    away = {"status": 302, "headers": {"Location": f"{storage.base}/f"}}
    back = scripted([{"status": 302, "headers": {"Location": "a/2"}}, away, {"body": "{}"}])
    storage.answers = [{"body": "{}"}, {"status": 307, "headers": {"Location": f"{back.base}/b"}}]
    client = Client(back.base, "canary", {"x-partner": "canary"})
    allowed = [storage.base.removesuffix("/fhir")]
    for _ in range(2):
        with client.transport.file("Binary/1", allowed_origins=allowed) as stream:
            assert b"".join(stream.pieces) == b"{}"
        back.answers = [*back.answers[:2], *back.answers[:2], {"body": "{}"}]
    assert [path for _, path, _, _ in back.requests] == [
        "/fhir/Binary/1", "/fhir/Binary/a/2", "/fhir/Binary/1", "/fhir/Binary/a/2", "/fhir/b",
    ]  # fmt: skip
    assert ["canary" in str(headers) for _, _, headers, _ in back.requests] == [True] * 4 + [False]
    assert "canary" not in str(storage.requests)
    with pytest.raises(IssueError, match="leads to"), Client(scripted([away]).base).transport.file("Binary/1"):
        pass
    round_and_round = scripted([{"status": 302, "headers": {"Location": "1"}}])
    with pytest.raises(IssueError, match="302"), Client(round_and_round.base).transport.file("Binary/1"):
        pass
    assert len(round_and_round.requests) == 4


@pytest.mark.parametrize("status", [202, 204])
def test_a_good_answer_that_is_no_file(status: int, scripted: Any) -> None:
    server = scripted([{"status": status, "body": "" if status == 204 else "{}"}])
    with pytest.raises(IssueError, match=f"no file .HTTP {status}"), Client(server.base).transport.file("Binary/1"):
        pass


def test_a_rate_limit_is_not_a_lost_answer(scripted: Any) -> None:
    """Nothing was done: what must not be done twice may be asked for again."""
    good = {"body": '{"resourceType":"Bundle","type":"batch-response"}'}
    server = scripted([{"status": 429, "headers": {"Retry-After": "0"}}, good])
    assert Client(server.base).transact(b"{}", [], idempotent=False) == []
    server = scripted([{"status": 503}, good])
    with pytest.raises(UnansweredError):
        Client(server.base).transact(b"{}", [], idempotent=False)
