"""The head of an answer within a time: byte after byte, each in time, it could go on for ever."""

from __future__ import annotations

import io
import time
from contextlib import suppress
from http.client import HTTPResponse
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class _Reading(io.RawIOBase):
    """What a socket receives; up to the moment `until`, whatever time a single byte may take."""

    def __init__(self, raw: io.RawIOBase, sock: Any, until: float | None) -> None:
        self._raw, self._sock, self.until = raw, sock, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.until is not None:
            left = self.until - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(HTTPResponse):
    """An answer whose head may take no longer than the socket waits for a byte; of its body, each byte may."""

    def __init__(self, sock: Any, *given: Any, **more: Any) -> None:
        super().__init__(sock, *given, **more)
        self._sock, self._seconds = sock, sock.gettimeout()
        until = None if self._seconds is None else time.monotonic() + self._seconds
        self._reading = _Reading(self.fp.detach(), sock, until)
        self.fp = io.BufferedReader(self._reading)

    def begin(self) -> None:
        super().begin()
        self._reading.until = None
        with suppress(OSError):  # closed already
            self._sock.settimeout(self._seconds)


class _Connection(HTTPConnection):
    response_class = _Answer


class _SecureConnection(HTTPSConnection):
    response_class = _Answer


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class HurriedAdapter(HTTPAdapter):
    """Connections of requests that wait for the head of an answer no longer than for one byte."""

    def init_poolmanager(self, *sizes: Any, **rest: Any) -> None:
        super().init_poolmanager(*sizes, **rest)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def proxy_manager_for(self, proxy: str, **rest: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **rest)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        return manager
