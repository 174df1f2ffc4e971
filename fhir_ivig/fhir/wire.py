"""One HTTP exchange: sent, answered, read within limits. Nothing from the environment, no redirect, no second try.

HTTP: RFC 9110; content codings 8.4. TLS is verified always.
"""

from __future__ import annotations

import logging
import ssl
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fhir_ivig.fhir.retry import BusyError
from fhir_ivig.fhir.secret import refuse_shared
from fhir_ivig.issue import Issue, IssueError

if TYPE_CHECKING:
    from requests import Session
    from urllib3 import BaseHTTPResponse

BODY_LIMIT = 256 << 20  # bytes, decoded
RATIO = 200  # decoded to sent; FHIR JSON comes to about 30
SLOWEST = 1000  # bytes a second of a file that may take as long as it takes
_PIECE = 1 << 16
_SMALL = 1 << 20  # bytes; whatever its ratio, this much does no harm


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: HTTP status, headers (by name in any case), decoded body."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(slots=True)
class Stream:
    """An answer whose body is still to come, in decoded pieces."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]


class Wire:
    """Connections to servers, a session for each thread. Timeouts are seconds: to connect, and for the head of an
    answer, as between two bytes of its body.

    `ca_file` holds the certificates to trust in place of the system's; `certificate` and `key` are the client's own
    (PEM), `proxy` the address of one that https goes through. IssueError when these cannot be read.
    """

    def __init__(
        self,
        timeout: tuple[float, float] = (10.0, 120.0),
        ca_file: Path | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
        proxy: str | None = None,
    ) -> None:
        # At DEBUG it logs every URL, and the next links of some servers hold what was searched for.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
        self._timeout, self._files, self._proxy, self._own = timeout, (ca_file, certificate, key), proxy, local()
        if ca_file or certificate:
            _ = self._context  # what is wrong with them is told before anything is asked

    @cached_property
    def _context(self) -> ssl.SSLContext:
        """Made where it is needed: reading the system's certificates takes its time."""
        return _trust(*self._files)

    def _session(self, url: str) -> Session:
        from fhir_ivig.fhir.session import new_session

        scheme, own = urlsplit(url).scheme, vars(self._own)
        if scheme not in own:
            own[scheme] = new_session(self._context if scheme == "https" else None, self._proxy)
        session: Session = own[scheme]
        return session

    def exchange(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], until: float, place: str = ""
    ) -> Reply:
        """The whole answer; BusyError when the same may be asked again, IssueError when it may not be taken."""
        with self.open(method, url, body, headers, until, place) as stream:
            return Reply(stream.status, stream.headers, b"".join(stream.pieces))

    @contextmanager
    def open(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        until: float | None,
        place: str = "",
        limit: int | None = BODY_LIMIT,
    ) -> Iterator[Stream]:
        """An answer to read piece by piece, of at most `limit` decoded bytes, up to the moment `until`; without one,
        as long as it brings SLOWEST bytes a second, looked at each time that a byte may take.

        `place` is how Issues name the server, its origin if not given.
        """
        place = place or origin(url)
        connecting, head = self._timeout
        if until is not None:
            head = min(head, max(until - time.monotonic(), 0.1))
        with _told(place):
            response = self._session(url).request(
                method,
                url,
                data=body,
                headers={"Accept-Encoding": "gzip", **headers},
                timeout=(connecting, head),
                allow_redirects=False,
                stream=True,
            )
        pieces = _pieces(response.raw, place, until, limit)
        if until is None:
            pieces = _brisk(pieces, place, self._timeout[1])
        try:
            yield Stream(response.status_code, response.headers, pieces)
        finally:
            response.close()  # does nothing to the connection of a body that was read whole


def origin(url: str) -> str:
    """Scheme, host and port of a URL: all of it that may be shown."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _trust(ca_file: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        if certificate:
            private = key or certificate
            refuse_shared(str(private), private.stat())
            context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        named = " or ".join(str(path) for path in (ca_file, certificate, key) if path)
        text = f"{named} cannot be read as certificates and key in PEM ({type(error).__name__}): give other files"
        raise IssueError(Issue("fatal", "security", text)) from None
    return context


def _no_password() -> str:
    """For a key with a password, which nobody is there to type."""
    return ""


@contextmanager
def _told(place: str) -> Iterator[None]:
    """What goes wrong on the wire, as BusyError or as an Issue, in words that name the place alone."""
    from requests import exceptions as told
    from urllib3 import exceptions as wrong

    text = f"{place} cannot be reached or broke off its answer: is the address right, is it running?"
    lost = Issue("fatal", "transient", text)
    try:
        yield
    except (told.SSLError, wrong.SSLError) as error:
        if "certificate" in str(error).lower():
            text = f"the certificate of {place} is not trusted, or it wants one from us: nothing was sent"
            raise IssueError(Issue("fatal", "security", text)) from None
        raise BusyError(lost) from None
    except told.ConnectTimeout:
        raise BusyError(_late(place), sent=False) from None
    except (told.Timeout, wrong.TimeoutError):
        raise BusyError(_late(place)) from None
    except told.ProxyError:
        text = f"the proxy on the way to {place} cannot be reached or did not let us through: is it the right one?"
        raise BusyError(Issue("fatal", "transient", text), sent=False) from None
    except told.ConnectionError as error:
        reason = getattr(error.args[0] if error.args else None, "reason", None)
        raise BusyError(lost, sent=not isinstance(reason, wrong.NewConnectionError)) from None
    except (told.InvalidURL, told.InvalidHeader, told.InvalidSchema, wrong.LocationParseError) as error:
        text = f"asking {place} failed ({type(error).__name__})"
        raise IssueError(Issue("fatal", "processing", text)) from None
    except (told.RequestException, wrong.ProtocolError, zlib.error, OSError):
        raise BusyError(lost) from None
    except wrong.HTTPError as error:
        text = f"asking {place} failed ({type(error).__name__})"
        raise IssueError(Issue("fatal", "processing", text)) from None


def _late(place: str) -> Issue:
    return Issue("fatal", "timeout", f"{place} did not answer in time: try again later")


def _pieces(response: BaseHTTPResponse, place: str, until: float | None, limit: int | None) -> Iterator[bytes]:
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip"):
        text = f"{place} packed its answer as {coding[:40]!a}, which was not asked for: it was not taken"
        raise IssueError(Issue("fatal", "not-supported", text))
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if "gzip" in coding else None
    packed = size = 0
    with _told(place):
        while part := response.read1(_PIECE, decode_content=False):
            packed += len(part)
            for piece in _unpacked(unpack, part) if unpack else (part,):
                size += len(piece)
                if (limit is not None and size > limit) or (size > _SMALL and size > RATIO * packed):
                    text = f"the answer of {place} is longer than we take: ask for smaller pages"
                    raise IssueError(Issue("fatal", "too-long", text))
                yield piece
            if until is not None and time.monotonic() > until:
                raise BusyError(_late(place))
        if unpack and packed and (not unpack.eof or unpack.unused_data):
            raise zlib.error


def _brisk(pieces: Iterator[bytes], place: str, window: float) -> Iterator[bytes]:
    """The pieces, as long as they bring SLOWEST bytes a second, over so many seconds at a time."""
    began, size = time.monotonic(), 0
    for piece in pieces:
        yield piece
        size, spent = size + len(piece), time.monotonic() - began
        if spent > window:
            if size < SLOWEST * spent:
                raise BusyError(_late(place))
            began, size = time.monotonic(), 0


def _unpacked(unpack: zlib._Decompress, part: bytes) -> Iterator[bytes]:
    """The content of a packed part, never more at once than a piece."""
    while True:
        piece = unpack.decompress(part, _PIECE)
        yield piece
        part = unpack.unconsumed_tail
        if len(piece) < _PIECE and not part:
            return
