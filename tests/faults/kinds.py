"""The table of everything that the fault proxy can do wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from faults import bulk, bundles, transport
from faults.fault import Call, Fault, Kind
from faults.wire import Response


class Row(NamedTuple):
    """What a kind does, as a function and in words."""

    act: Callable[[Fault, Call], Awaitable[Response]]
    says: str


KINDS: dict[Kind, Row] = {
    "refuse": Row(transport.refuse, "the connection closes unanswered, and the port refuses new ones for `seconds`"),
    "status": Row(
        transport.status, "`status` (503) in place of the server, with `retry_after` in seconds or `as_date`"
    ),
    "status_committed": Row(
        transport.status_committed, "the server does what was asked, the answer is `status` (504) all the same"
    ),
    "html": Row(transport.html, "an HTML page with status 200 in place of the server"),
    "outcome": Row(transport.outcome, "an OperationOutcome (error) with status 200 in place of the server"),
    "redirect_elsewhere": Row(transport.redirect_elsewhere, "a redirect (`status`, 307) to another origin"),
    "bulk_expired": Row(transport.bulk_expired, "a link that has expired: `status` (410) and an OperationOutcome"),
    "latency": Row(transport.latency, "the server does what was asked, its answer comes `seconds` late"),
    "drip": Row(transport.drip, "the answer drips: `piece` bytes, then `seconds` of nothing, again and again"),
    "cut": Row(transport.cut, "the connection closes after `until` bytes of the answer (negative: all but so many)"),
    "cut_committed": Row(
        transport.cut_committed, "the server does what was asked, the connection closes without an answer"
    ),
    "gzip_truncated": Row(transport.gzip_truncated, "the answer is compressed, and half of that is missing"),
    "gzip_corrupt": Row(transport.gzip_corrupt, "the answer is compressed, and a byte of that is wrong"),
    "content_type": Row(transport.content_type, "the right answer, called text/html"),
    "location_elsewhere": Row(transport.location_elsewhere, "Content-Location names another origin"),
    "page_repeated": Row(bundles.page_repeated, "the next link leads to the same page once more, then on"),
    "page_lost": Row(bundles.page_lost, "the page after it comes in its place; of a last page, no entries"),
    "next_endless": Row(bundles.next_endless, "every page has a next link, each with a new address"),
    "next_elsewhere": Row(bundles.next_elsewhere, "the next link names another origin"),
    "entries_missing": Row(bundles.entries_missing, "the last entry of a batch's answer is missing"),
    "entries_extra": Row(bundles.entries_extra, "the last entry of a batch's answer comes twice"),
    "entries_reordered": Row(bundles.entries_reordered, "the first entry of a batch's answer comes last"),
    "entry_status": Row(bundles.entry_status, "the first entry of a batch's answer has `entry_status` as its status"),
    "file_elsewhere": Row(bulk.file_elsewhere, "the first file of a bulk export lies at another origin"),
    "file_short": Row(bulk.file_short, "a file of a bulk export comes without its last line"),
}
