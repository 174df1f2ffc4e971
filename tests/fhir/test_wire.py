"""Bytes as servers should not send them, and the certificates that connections stand on."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fhir_ivig.fhir import retry
from fhir_ivig.fhir.auth import Bearer
from fhir_ivig.fhir.body import json_body
from fhir_ivig.fhir.client import Client, Reply, UnansweredError
from fhir_ivig.fhir.gate import Gate
from fhir_ivig.fhir.retry import BusyError
from fhir_ivig.fhir.transport import Transport
from fhir_ivig.fhir.wire import Wire
from fhir_ivig.issue import IssueError

GOOD = b'{"resourceType":"CapabilityStatement"}'
Send = Callable[[bytes], str]


@pytest.fixture
def raw() -> Iterator[Callable[..., str]]:
    """Starts a server that answers each request on a connection with the bytes given, a piece after a pause."""
    stop: list[socket.socket] = []

    def start(answer: bytes, piece: int = 1 << 30, pause: float = 0.0) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        stop.append(listening)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1 << 20)
                    for at in range(0, len(answer), piece):
                        try:
                            connection.sendall(answer[at : at + piece])
                        except OSError:
                            break
                        time.sleep(pause)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/fhir"

    yield start
    for listening in stop:
        listening.close()


def http(body: bytes, *headers: str, length: int | None = None) -> bytes:
    lines = ["HTTP/1.1 200 OK", "Content-Type: application/fhir+json", *headers]
    if length != -1:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def test_gzip_is_taken(raw: Send) -> None:
    assert Client(raw(http(gzip.compress(GOOD), "Content-Encoding: gzip"))).capability()


PACKED = gzip.compress(GOOD)
BROKEN = {
    "gzip cut off": http(PACKED[:-12], "Content-Encoding: gzip"),
    "gzip with a wrong byte": http(PACKED[:-6] + b"\0" + PACKED[-5:], "Content-Encoding: gzip"),
    "gzip with more behind": http(PACKED + b"more", "Content-Encoding: gzip"),
    "no gzip at all": http(GOOD, "Content-Encoding: gzip"),
    "shorter than its length": http(GOOD, length=len(GOOD) + 1),
    "a chunk cut off": http(b"ff\r\n" + GOOD, "Transfer-Encoding: chunked", length=-1),
    "chunks without an end": http(b"%x\r\n%b\r\n" % (len(GOOD), GOOD), "Transfer-Encoding: chunked", length=-1),
    "no HTTP": b"\0" * 100,
    "nothing": b"",
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_is_none(raw: Send, answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "ATTEMPTS", 2)
    with pytest.raises(UnansweredError) as raised:
        Client(raw(answer)).capability()
    assert raised.value.sent
    assert [issue.code for issue in raised.value.issues] == ["transient"]


def test_a_byte_order_mark_is_no_part_of_it(raw: Send) -> None:
    assert Client(raw(http(b"\xef\xbb\xbf" + GOOD))).capability()


def test_a_bomb_is_not_unpacked(raw: Send) -> None:
    bomb = gzip.compress(b" " * (64 << 20), 9)
    with pytest.raises(IssueError, match="longer than we take"):
        Client(raw(http(bomb, "Content-Encoding: gzip"))).capability()


def test_a_long_answer_is_not_read_to_its_end(raw: Send) -> None:
    until = time.monotonic() + 5
    with (
        pytest.raises(IssueError, match="longer than we take"),
        Wire().open("GET", raw(http(b" " * (1 << 20))), None, {}, until, limit=1000) as stream,
    ):
        list(stream.pieces)


@pytest.mark.parametrize("given", [b"HTTP/1.1 200 OK\r\nX: " + b"y" * 9999, b"HTTP/1.1 100 Continue\r\n\r\n" * 999])
def test_a_head_that_drips_ends(raw: Callable[..., str], given: bytes) -> None:
    """A byte is always in time, the head never there."""
    base = raw(given, 1, 0.05)
    client = Client(Transport(Gate.of(base), Wire(), deadline=0.7))
    started = time.monotonic()
    with pytest.raises(UnansweredError, match="in time"):
        client.capability()
    with pytest.raises(BusyError), Wire((5.0, 0.7)).open("GET", base, None, {}, None):
        pass
    assert time.monotonic() - started < 4


def test_a_body_may_take_longer_than_a_head(raw: Callable[..., str]) -> None:
    base = raw(http(b"x" * 30_000), 3000, 0.1)
    with Wire((5.0, 0.5)).open("GET", base, None, {}, None, limit=None) as stream:
        assert b"".join(stream.pieces) == b"x" * 30_000


def test_what_drips_ends(raw: Callable[..., str]) -> None:
    base = raw(http(b" " * 1000), 10, 0.1)
    client = Client(Transport(Gate.of(base), Wire(), deadline=0.7))
    started = time.monotonic()
    with pytest.raises(UnansweredError, match="in time"):
        client.capability()
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "body",
    [b"[" * 101 + b"]" * 101, b'{"a":' * 5000 + b"1" + b"}" * 5000, b"[" * 1_000_000, b'["[", ' + b"[{}," * 101],
)
def test_what_is_nested_too_deep(body: bytes) -> None:
    with pytest.raises(IssueError, match="nested"):
        json_body(Reply(200, {}, body))


@pytest.mark.parametrize("body", [b"[" * 100 + b"]" * 100, b'{"a":"' + b"[{" * 500 + b'\\"{"}', b'{"a":[{"b":', b""])
def test_what_is_not_nested_too_deep(body: bytes) -> None:
    assert json_body(Reply(200, {}, body)) is body


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, server.pem and client.pem (certificate and key in one), made for this test."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def make_certificates(folder: Path) -> Path:
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def named(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])

    ca_key = ec.generate_private_key(ec.SECP256R1())
    for name in ("ca", "server", "client"):
        key = ca_key if name == "ca" else ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder(named("ca"), named(name), key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(name == "ca", None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        pem = made.public_bytes(serialization.Encoding.PEM)
        kind = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (folder / f"{name}.pem").write_bytes(pem if name == "ca" else pem + key.private_bytes(*kind))
        (folder / f"{name}.pem").chmod(0o600)
    return folder


@pytest.fixture
def tls(certificates: Path) -> Iterator[str]:
    """A server that wants a certificate from its clients."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.pem"))
    context.load_cert_chain(certificates / "server.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as safe:
                    safe.recv(1 << 16)
                    safe.sendall(http(GOOD))
            except OSError:
                pass

    threading.Thread(target=serve, daemon=True).start()
    yield f"https://127.0.0.1:{listening.getsockname()[1]}/fhir"
    listening.close()


def test_certificates(tls: str, certificates: Path) -> None:
    ca, own = certificates / "ca.pem", certificates / "client.pem"
    trusted = Wire(ca_file=ca, certificate=own)
    assert Client(Transport(Gate.of(tls), trusted)).capability()
    assert len(trusted._context.get_ca_certs()) == 1  # in place of the system's
    with pytest.raises(IssueError, match="not trusted"):
        Client(tls).capability()
    with pytest.raises(IssueError, match=r"not trusted|broke off"):
        Client(Transport(Gate.of(tls), Wire(ca_file=ca))).capability()


def test_no_certificates_are_read_for_http(scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server = scripted([{"body": GOOD.decode()}])
    monkeypatch.setattr(ssl, "create_default_context", None)
    assert Client(server.base).capability()


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[bytes]]]:
    """The address of a proxy that makes tunnels, and what it was asked for before each."""
    listening, heads = socket.create_server(("127.0.0.1", 0)), list[bytes]()

    def pipe(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(1 << 16):
                target.sendall(piece)
        target.close()

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                heads.append(client.recv(1 << 16))
                host, _, port = heads[-1].split()[1].decode().partition(":")
                server = socket.create_connection((host, int(port)))
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=pipe, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}", heads
    listening.close()


def test_through_a_proxy(tls: str, certificates: Path, proxy: tuple[str, list[bytes]]) -> None:
    """It makes a tunnel and gets nothing of what goes through; who is at its end is verified all the same."""
    address, heads = proxy
    ca, own = certificates / "ca.pem", certificates / "client.pem"
    wire = Wire(ca_file=ca, certificate=own, proxy=address)
    client = Client(Transport(Gate.of(tls), wire, Bearer(lambda: "canary"), {"x-partner": "canary"}))
    assert client.capability()
    assert len(heads) == 1
    assert heads[0].startswith(b"CONNECT " + tls.removeprefix("https://").removesuffix("/fhir").encode())
    assert b"canary" not in heads[0]
    with pytest.raises(IssueError, match="not trusted"):
        Client(Transport(Gate.of(tls), Wire(certificate=own, proxy=address))).capability()
    assert len(heads) == 2


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "ATTEMPTS", 1)
    client = Client(Transport(Gate.of("https://hospital.example.org/fhir"), Wire(proxy="http://127.0.0.1:9")))
    with pytest.raises(UnansweredError, match="the proxy on the way") as raised:
        client.capability()
    assert not raised.value.sent


def test_a_key_that_others_may_read(certificates: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared.pem"
    shared.write_bytes((certificates / "client.pem").read_bytes())
    shared.chmod(0o640)
    for files in ({"certificate": shared}, {"certificate": certificates / "client.pem", "key": shared}):
        with pytest.raises(IssueError, match="chmod 600"):
            Wire(**files)
    assert Wire(certificate=shared, key=certificates / "client.pem")


def test_certificates_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("hello")
    for made in (tmp_path / "ca.pem", tmp_path / "none.pem"):
        with pytest.raises(IssueError, match="PEM"):
            Wire(ca_file=made)
