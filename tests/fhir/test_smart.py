"""SMART Backend Services against the token server of sekmet, refusing a late `exp`, a used `jti`, another `aud`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from fhir_ivig.fhir.client import Client
from fhir_ivig.fhir.gate import Gate
from fhir_ivig.fhir.secret import Secret
from fhir_ivig.fhir.server import connect, server_settings
from fhir_ivig.fhir.smart import BackendServices, Registration
from fhir_ivig.fhir.wire import Wire
from fhir_ivig.issue import IssueError

PEM = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
KEYS = {"RS384": rsa.generate_private_key(65537, 2048), "ES384": ec.generate_private_key(ec.SECP384R1())}


@dataclass
class Smart:
    base: str
    folder: Path  # has the private keys, RS384.pem and ES384.pem, known there as rs384 and es384

    def settings(self, key: str = "RS384", client_id: str | None = None, scope: str = "system/*.cruds") -> Path:
        file = self.folder / f"server-{key}-{client_id}.yaml"
        smart = {"client_id": client_id or key, "key": {"file": f"{key}.pem"}, "key_id": key.lower(), "scope": scope}
        file.write_text(json.dumps({"base": self.base, "preset": "sekmet", "auth": {"smart": smart}}))
        return file

    def client(self, *given: Any, **more: Any) -> Client:
        settings = server_settings(self.settings(*given, **more))
        assert settings
        return connect(settings)


@pytest.fixture(scope="module")
def smart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Smart]:
    """A server that gives data for tokens only, of 62 seconds each, so that one is fetched again after two."""
    folder = tmp_path_factory.mktemp("smart")
    clients = []  # a client for each key: the server answers 500 to one that has keys of two kinds
    for name, key in KEYS.items():
        (folder / f"{name}.pem").write_bytes(key.private_bytes(*PEM))
        (folder / f"{name}.pem").chmod(0o600)
        kind: Any = RSAAlgorithm if name == "RS384" else ECAlgorithm
        public = {**json.loads(kind.to_jwk(key.public_key())), "alg": name, "kid": name.lower()}
        clients.append({"client_id": name, "jwks": {"keys": [public]}, "scopes": "system/*.cruds"})
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    base = f"http://127.0.0.1:{port}/fhir"
    settings = {
        "base_url": base, "host": "127.0.0.1", "port": port, "data_dir": str(folder), "simulator": {"enabled": False},
        "server_auth": {"types": ["smart"], "smart_clients": clients, "token_lifetime": 62},
    }  # fmt: skip
    (folder / "settings.yaml").write_text(json.dumps(settings))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SEKMET_")}
    command = [sys.executable, "-m", "sekmet.cli", "serve", "-c", str(folder / "settings.yaml")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield Smart(base, folder)
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("key", KEYS)
def test_a_token_for_a_signed_statement(smart: Smart, key: str) -> None:
    pages = list(smart.client(key).search("Patient", {"_count": "5"}))
    assert [page.matches for page in pages] == [[]]


def test_without_a_token_nothing(smart: Smart) -> None:
    with pytest.raises(IssueError, match="HTTP 401"):
        list(Client(smart.base).search("Patient"))


def test_a_key_as_jwk_in_the_environment(smart: Smart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIAL_KEY", json.dumps({**json.loads(ECAlgorithm.to_jwk(KEYS["ES384"])), "kid": "es384"}))
    auth = backend(smart, client_id="ES384", key=Secret("env", "TRIAL_KEY"), key_id=None)
    assert jwt.decode(auth.token(), options={"verify_signature": False})["client_id"] == "ES384"


def test_a_token_is_kept_and_fetched_by_one(smart: Smart) -> None:
    before = fetched(smart)
    auth = backend(smart)
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(lambda _: auth.token(), range(32)))
    assert len(tokens) == 1
    assert fetched(smart) == before + 1
    time.sleep(2.1)  # its 62 seconds less 60
    assert auth.token() not in tokens
    assert fetched(smart) == before + 2


def test_a_refused_token_is_replaced_once(smart: Smart) -> None:
    client = smart.client()
    auth: Any = client.transport._auth
    auth._token, auth._until = "no-good", time.monotonic() + 1000
    list(client.search("Patient"))
    assert auth.token() != "no-good"
    before = fetched(smart)
    assert auth.renew("an older one")  # another thread has fetched it meanwhile
    assert fetched(smart) == before


def test_scopes_hold(smart: Smart) -> None:
    with pytest.raises(IssueError, match="HTTP 403"):
        list(smart.client(scope="system/Observation.rs").search("Patient"))


def test_a_client_that_nobody_knows(smart: Smart) -> None:
    with pytest.raises(IssueError, match=r"gave no token \(HTTP 401, invalid_client\)"):
        list(smart.client(client_id="stranger").search("Patient"))


def test_what_the_token_server_refuses(smart: Smart, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server does look: with each rule broken, there is no token."""
    monkeypatch.setattr("fhir_ivig.fhir.smart.LIFE", 3600)
    with pytest.raises(IssueError, match="invalid_client"):
        backend(smart).token()
    monkeypatch.setattr("fhir_ivig.fhir.smart.LIFE", 240)
    monkeypatch.setattr("uuid.uuid4", lambda: "always the same")
    backend(smart).token()
    with pytest.raises(IssueError, match="invalid_client"):
        backend(smart).token()
    monkeypatch.undo()
    monkeypatch.setattr("fhir_ivig.fhir.smart._Signer.statement", lambda self, endpoint: signed(self, endpoint + "x"))
    with pytest.raises(IssueError, match="invalid_client"):
        backend(smart).token()


def signed(signer: Any, endpoint: str) -> str:
    now = int(time.time())
    claims = {"iss": "RS384", "sub": "RS384", "aud": endpoint, "exp": now + 100, "jti": str(now)}
    return jwt.encode(claims, signer._key, algorithm="RS384")


WEAK = {
    "another curve": ec.generate_private_key(ec.SECP256R1()).private_bytes(*PEM),
    "a short one": rsa.generate_private_key(65537, 1024).private_bytes(*PEM),
    "a public one": KEYS["RS384"].public_key().public_bytes(PEM[0], serialization.PublicFormat.SubjectPublicKeyInfo),
    "no key": b"canary",
    "no JWK": b'{"kty": "canary"}',
}


@pytest.mark.parametrize("key", WEAK.values(), ids=WEAK)
def test_keys_that_will_not_do(smart: Smart, key: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(key)
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(IssueError, match="no private key for SMART") as raised:
        backend(smart, key=Secret("file", str(tmp_path / "key"))).token()
    assert "canary" not in str(raised.value)


FALSE = {
    "another host": '{"token_endpoint":"https://evil.example/token"}',
    "not encrypted": '{"token_endpoint":"http://evil.example/token"}',
    "no endpoint": "{}",
    "no JSON": "<html>",
    "a list": "[]",
}


@pytest.mark.parametrize("said", FALSE.values(), ids=FALSE)
def test_a_token_endpoint_elsewhere_gets_nothing(smart: Smart, scripted: Any, said: str) -> None:
    server = scripted([{"body": said}])
    with pytest.raises(IssueError):
        backend(Smart(server.base, smart.folder)).token()
    assert [path for _, path, _, _ in server.requests] == ["/fhir/.well-known/smart-configuration"]


ANSWERS = {
    "no token": '{"token_type":"bearer"}',
    "another kind": '{"access_token":"canary","token_type":"mac"}',
    "a token with a line end": '{"access_token":"canary\\r\\nX: y","token_type":"bearer"}',
}


@pytest.mark.parametrize("said", ANSWERS.values(), ids=ANSWERS)
def test_a_token_that_is_none(smart: Smart, scripted: Any, said: str) -> None:
    server = scripted([{"body": '{"token_endpoint":"{base}/token"}'}, {"body": said}])
    with pytest.raises(IssueError) as raised:
        backend(Smart(server.base, smart.folder)).token()
    assert "canary" not in str(raised.value)


def test_the_packages_for_it_may_be_missing(smart: Smart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(IssueError, match=r"fhir-ivig\[smart\]"):
        backend(smart).token()


def test_no_secret_in_what_a_server_says(smart: Smart, scripted: Any) -> None:
    server = scripted(
        [
            {"body": '{"token_endpoint":"{base}/token"}'},
            {"body": '{"access_token":"canary-token","token_type":"Bearer","expires_in":300}'},
            {
                "status": 400,
                "body": '{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid",'
                '"diagnostics":"canary-token is bad"}]}',
            },
        ]
    )
    with pytest.raises(IssueError, match="… is bad"):
        list(Smart(server.base, smart.folder).client().search("Patient"))
    assert server.requests[2][2]["Authorization"] == "Bearer canary-token"
    assert "canary" not in str([path for _, path, _, _ in server.requests])


def backend(smart: Smart, **changed: Any) -> BackendServices:
    key = Secret("file", str(smart.folder / "RS384.pem"))
    given = {"client_id": "RS384", "key": key, "key_id": "rs384", "scope": "system/*.cruds", **changed}
    return BackendServices(Gate.of(smart.base), Wire(), Registration(**given))


def fetched(smart: Smart) -> int:
    """How many tokens the server has given, by its log."""
    return (smart.folder / "log").read_text().count('POST /auth/token HTTP/1.1" 200')
