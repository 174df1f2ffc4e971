"""A sekmet that gives data for the tokens of its own token server only (SMART Backend Services), as a fixture."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from fhir_ivig.fhir.client import Client
from fhir_ivig.fhir.server import connect, server_settings

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


@pytest.fixture(scope="session")
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
