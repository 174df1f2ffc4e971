"""Who we are to a server: a bearer token that is known, or one that has to be fetched (see smart.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from fhir_ivig.issue import Issue, IssueError


class Auth(Protocol):
    """What gives the token that goes with each request. Safe to share between threads."""

    def token(self) -> str:
        """The token to send now."""
        ...

    def renew(self, stale: str) -> bool:
        """After a 401 for `stale`: whether there is another token to try."""
        ...


class Bearer:
    """A token from where it is kept; looked up again when the server has refused it, since others may renew it."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._token = sendable(read())

    def token(self) -> str:
        return self._token

    def renew(self, stale: str) -> bool:
        self._token = sendable(self._read())
        return self._token != stale


def sendable(value: str) -> str:
    """The value of a header, if HTTP allows it; else IssueError, which does not repeat it (RFC 9110, 5.5)."""
    if value.isascii() and value.isprintable() and value == value.strip():
        return value
    text = "a token or header for the server holds characters that HTTP does not allow"
    raise IssueError(Issue("fatal", "security", text))
