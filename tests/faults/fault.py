"""A fault as plain data, and what the function of a kind is given to bring it about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from faults.wire import Request, Response

Kind = Literal[
    "refuse",
    "status",
    "status_committed",
    "html",
    "outcome",
    "redirect_elsewhere",
    "bulk_expired",
    "latency",
    "drip",
    "cut",
    "cut_committed",
    "gzip_truncated",
    "gzip_corrupt",
    "content_type",
    "location_elsewhere",
    "page_repeated",
    "page_lost",
    "next_endless",
    "next_elsewhere",
    "entries_missing",
    "entries_extra",
    "entries_reordered",
    "entry_status",
    "file_elsewhere",
    "file_short",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong; the table of KINDS says which fields a kind reads.

    `seconds` is a time to wait. `status` is an HTTP status, None for the kind's usual one. `retry_after` is whole
    seconds, sent as they are or, with `as_date`, as the HTTP date so far ahead (rounded up). `until` is the number
    of bytes (head and body; negative: all but so many) after which an answer is cut, `piece` that of one drop.
    `entry_status` is the text that an entry gets as its status.
    """

    kind: Kind
    seconds: float = 0.2
    status: int | None = None
    retry_after: int | None = None
    as_date: bool = False
    until: int = -10
    piece: int = 64
    entry_status: str = "304 Not Modified"


@dataclass(frozen=True, slots=True)
class Call:
    """A request under way, and what a fault may do about it.

    `ask` forwards a request and gives the answer. `here` and `elsewhere` are the base addresses of the proxy and of
    another origin. `keep` gives the URL at which the proxy will answer what a function makes. `shut` closes the port
    for so many seconds.
    """

    request: Request
    ask: Callable[[Request], Awaitable[Response]]
    here: str
    elsewhere: str
    keep: Callable[[Callable[[], Response]], str]
    shut: Callable[[float], None]


class MisfitError(Exception):
    """The fault has nothing to act on in this answer (a page fault, and no page): it is passed on as it is."""

    def __init__(self, answer: Response) -> None:
        super().__init__("the fault does not fit the answer")
        self.answer = answer
