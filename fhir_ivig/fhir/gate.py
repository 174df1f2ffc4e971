"""Which URL may be asked. Every request passes here, so that a token never leaves the server it was issued for."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from fhir_ivig.issue import Issue, IssueError

_PORTS = {"https": 443, "http": 80}
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")


@dataclass(frozen=True, slots=True)
class Gate:
    """The one place that may be asked: an origin (scheme, host, port) and a path, the FHIR base."""

    base: str

    @classmethod
    def of(cls, base: str, *, insecure_http: bool = False) -> Gate:
        """The gate of a FHIR base address; IssueError if it is none, or is http and neither loopback nor allowed."""
        parts = _split(base)
        if parts is None or parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment:
            raise _closed("the address must look like https://host/path, without user name, ? or #")
        if parts.scheme == "http" and not insecure_http and not _is_loopback(parts.hostname):
            raise _closed(f"{_origin(parts)} is not encrypted: use its https address")
        return cls(base.rstrip("/"))

    def admit(self, link: str) -> str:
        """The absolute URL of a link, resolved against the base; IssueError if it leads anywhere else.

        Scheme, host and port must be equal to the base's and the path lie under its path, after percent-decoding
        and without dot segments.
        """
        own = urlsplit(self.base)
        parts = _split(link, self.base + "/")
        if parts is None or _key(parts) != _key(own):
            named = _origin(parts) if parts is not None and parts.hostname else "an address that cannot be read"
            raise _closed(f"a link of the server leads to {named}, not to {_origin(own)}: it was not followed")
        path = unquote(parts.path)
        if ".." in path.split("/") or not f"{path}/".startswith(f"{unquote(own.path)}/"):
            raise _closed(f"a link of the server leads outside its FHIR address {self.base}: it was not followed")
        return link if urlsplit(link).scheme else parts.geturl()

    def admit_file(self, link: str, allowed_origins: Collection[str]) -> str:
        """The absolute URL of a bulk file: one that `admit` admits, or one of an allowed origin (`https://host`).

        Only to what `owns` may credentials go along. IssueError for all other links, and for http to another machine.
        """
        parts = _split(link, self.base + "/")
        origins = {_key(urlsplit(origin)) for origin in allowed_origins}
        if parts is None or _key(parts) not in origins:
            return self.admit(link)
        if parts.scheme != "https" and not _is_loopback(parts.hostname or "") and not self.owns(link):
            raise _closed(f"{_origin(parts)} is not encrypted: no file was fetched from it")
        return parts.geturl()

    def owns(self, link: str) -> bool:
        """Whether a link leads to the base's own origin, where its credentials may go."""
        parts = _split(link, self.base + "/")
        return parts is not None and _key(parts) == _key(urlsplit(self.base))

    def admit_token_endpoint(self, link: str, allowed_origins: Collection[str]) -> str:
        """The URL where tokens are issued: on the base's own host, or of an allowed origin; https, or loopback."""
        parts = _split(link)
        if parts is None or not parts.hostname or parts.scheme not in _PORTS:
            raise _closed("the server names a token endpoint that is no address: nothing was sent to it")
        origins = {_key(urlsplit(origin)) for origin in allowed_origins}
        if parts.scheme != "https" and not _is_loopback(parts.hostname):
            raise _closed(f"the token endpoint at {_origin(parts)} is not encrypted: nothing was sent to it")
        if parts.hostname != urlsplit(self.base).hostname and _key(parts) not in origins:
            text = (
                f"the server names a token endpoint at {_origin(parts)}: if that is right, name it in `token_origins`"
            )
            raise _closed(text)
        return link


def is_origin(text: str) -> bool:
    """Whether a text is an origin such as `https://host:8443`, with nothing behind it."""
    parts = _split(text)
    return parts is not None and parts.scheme in _PORTS and bool(parts.hostname) and text == _origin(parts)


def _split(link: str, base: str = "") -> SplitResult | None:
    """The parts of a URL, or nothing if it has unsafe characters, user information or a port that is none."""
    try:
        parts = urlsplit(urljoin(base, link))
        parts.port  # noqa: B018 (raises ValueError when it is no number)
    except ValueError:
        return None
    return None if _UNSAFE.search(link) or "@" in parts.netloc else parts


def _key(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _origin(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _closed(text: str) -> IssueError:
    return IssueError(Issue("fatal", "security", text))
