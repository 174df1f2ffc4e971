"""SMART Backend Services: a token for a signed statement of who we are.

https://hl7.org/fhir/smart-app-launch/backend-services.html, the statement:
https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html, the token: RFC 6749, 4.4.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import urlencode

import msgspec

from fhir_ivig.fhir.auth import sendable
from fhir_ivig.fhir.body import json_body
from fhir_ivig.fhir.gate import Gate
from fhir_ivig.fhir.retry import Pace, busy_answer, persist
from fhir_ivig.fhir.secret import Secret
from fhir_ivig.fhir.wire import Reply, Wire, origin
from fhir_ivig.issue import Code, Issue, IssueError

LIFE = 240  # seconds from now to `exp`; at most 300 are allowed, and clocks differ
EARLY = 60.0  # seconds before its end at which a token is replaced
SHORTEST = 300  # seconds that a token lives whose server does not say
DEADLINE = 60.0
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class Registration:
    """What was agreed with the server: our client id, where our private key is (PEM or JWK), its id, the scope.

    `token_origins` are further origins (`https://login.example.org`) where tokens may be fetched.
    """

    client_id: str
    key: Secret
    key_id: str | None
    scope: str
    token_origins: tuple[str, ...] = ()


class BackendServices:
    """Fetches a token, keeps it while it is good, and fetches only one at a time, whatever the number of threads."""

    def __init__(self, gate: Gate, wire: Wire, registration: Registration) -> None:
        self._gate, self._wire, self._is = gate, wire, registration
        self._lock, self._pace = Lock(), Pace(1)
        self._signer: _Signer | None = None
        self._token, self._until = "", 0.0

    def token(self) -> str:
        with self._lock:
            if not self._token or time.monotonic() >= self._until:
                self._fetch()
            return self._token

    def renew(self, stale: str) -> bool:
        with self._lock:
            if self._token == stale:
                self._fetch()
            return self._token != stale

    def _fetch(self) -> None:
        self._token = ""
        endpoint = self._discover()
        self._signer = self._signer or _Signer(self._is)
        signer, asked = self._signer, time.monotonic()

        def attempt(until: float) -> Reply:
            form = {
                "grant_type": "client_credentials",
                "scope": self._is.scope,
                "client_assertion_type": _JWT_BEARER,
                "client_assertion": signer.statement(endpoint),  # anew each time: a `jti` is good once
            }
            kind = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
            return self._once("POST", endpoint, urlencode(form).encode(), kind, until)

        reply = persist(attempt, self._pace, DEADLINE)
        if reply.status != 200:
            raise _refused(reply, origin(endpoint))
        given = _object(reply, "token")
        token, kind, life = given.get("access_token"), given.get("token_type"), given.get("expires_in", SHORTEST)
        if not isinstance(token, str) or not token or not isinstance(kind, str) or kind.lower() != "bearer":
            raise _fatal("structure", f"{origin(endpoint)} gave no bearer token: nothing was sent to the server")
        self._token = sendable(token)
        self._until = asked + (life if isinstance(life, int | float) else SHORTEST) - EARLY

    def _discover(self) -> str:
        url = f"{self._gate.base}/.well-known/smart-configuration"
        ask = {"Accept": "application/json"}
        reply = persist(lambda until: self._once("GET", url, None, ask, until), self._pace, DEADLINE)
        if reply.status != 200:
            text = f"{self._gate.base} says nothing about SMART (HTTP {reply.status} for its smart-configuration)"
            raise _fatal("not-supported", f"{text}: use another kind of auth")
        endpoint = _object(reply, "SMART configuration").get("token_endpoint")
        return self._gate.admit_token_endpoint(str(endpoint), self._is.token_origins)

    def _once(self, method: str, url: str, body: bytes | None, headers: dict[str, str], until: float) -> Reply:
        reply = self._wire.exchange(method, url, body, headers, until)
        busy = busy_answer(reply.status, reply.headers, [], origin(url))
        if busy:
            raise busy
        return reply


class _Signer:
    """Makes signed statements with the private key; its kind tells the algorithm, RS384 or ES384."""

    def __init__(self, registration: Registration) -> None:
        try:
            import jwt
            from cryptography.hazmat.primitives.asymmetric import ec, rsa
            from cryptography.hazmat.primitives.serialization import load_pem_private_key
        except ImportError:
            raise _fatal("not-found", 'SMART needs further packages: pip install "fhir-ivig[smart]"') from None
        text, self._is = registration.key.read(), registration
        self._kid = registration.key_id
        key: Any = None
        try:
            if text.lstrip().startswith("{"):
                jwk = jwt.PyJWK.from_json(text)
                key, self._kid = jwk.key, self._kid or jwk.key_id
            else:
                key = load_pem_private_key(text.encode(), None)
        except (ValueError, TypeError, jwt.PyJWTError):
            pass  # as for a key of another kind
        if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
            self._algorithm = "RS384"
        elif isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp384r1":
            self._algorithm = "ES384"
        else:
            said = (
                "is no private key for SMART: RSA of 2048 bits or more, or EC P-384, in PEM or JWK, without password"
            )
            raise _fatal("security", f"{registration.key.name} {said}")
        self._key = key

    def statement(self, endpoint: str) -> str:
        import jwt

        now, client = int(time.time()), self._is.client_id
        claims = {
            "iss": client,
            "sub": client,
            "aud": endpoint,
            "iat": now,
            "exp": now + LIFE,
            "jti": str(uuid.uuid4()),
        }
        headers = {"kid": self._kid} if self._kid else None
        return jwt.encode(claims, self._key, algorithm=self._algorithm, headers=headers)


def _refused(reply: Reply, place: str) -> IssueError:
    """RFC 6749, 5.2: `error` is one of a few words; its description may repeat what we sent, so is left out."""
    try:
        word = str(msgspec.json.decode(reply.body)["error"])
    except (ValueError, LookupError, TypeError, RecursionError):
        word = ""
    known = word if word.isascii() and word.replace("_", "").isalnum() and len(word) < 40 else "no reason given"
    text = f"{place} gave no token (HTTP {reply.status}, {known})"
    return _fatal("security", f"{text}: check client_id, key, key_id, scope, and this machine's clock")


def _object(reply: Reply, what: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(json_body(reply))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _fatal("structure", f"the server's {what} is no JSON object: is the address right?")
    return found


def _fatal(code: Code, text: str) -> IssueError:
    return IssueError(Issue("fatal", code, text))
