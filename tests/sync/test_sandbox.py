"""The sandbox server ends with its block, also when the block fails."""

from __future__ import annotations

import importlib.util
import socket
from urllib.parse import urlsplit

import pytest

from fhir_ivig.issue import IssueError
from fhir_ivig.sync.sandbox import sandbox


def test_it_ends_with_the_block() -> None:
    port = 0
    with pytest.raises(RuntimeError), sandbox() as base:  # noqa: PT012 (the failure is the point)
        port = urlsplit(base).port or 0
        socket.create_connection(("127.0.0.1", port), 2).close()
        raise RuntimeError
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 2)


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(IssueError, match=r'pip install "fhir-ivig\[sandbox\]"'), sandbox():
        pass
