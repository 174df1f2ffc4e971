"""SMART Backend Services against the token server of sekmet, refusing a late `exp`, a used `jti`, another `aud`."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm
from servers.smart import KEYS, PEM, Smart

from fhir_ivig.fhir.client import Client
from fhir_ivig.fhir.gate import Gate
from fhir_ivig.fhir.secret import Secret
from fhir_ivig.fhir.smart import BackendServices, Registration
from fhir_ivig.fhir.wire import Wire
from fhir_ivig.issue import IssueError


@pytest.mark.parametrize("key", KEYS)
def test_a_token_for_a_signed_statement(smart: Smart, key: str) -> None:
    pages = list(smart.client(key).search("Patient", {"_id": "nobody"}))
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
