"""Asking again: which failures deserve it, how long to wait, when to give up, and how many may ask at once.

Full jitter and budgets: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/;
Retry-After: RFC 9110, 10.2.3; what an issue code means for it: https://hl7.org/fhir/R4/valueset-issue-type.html
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Condition
from typing import TypeVar

from fhir_ivig.issue import Code, Issue, IssueError, Severity

ATTEMPTS = 5
LONGEST = 30.0  # seconds of our own waiting
PATIENCE = 120.0  # seconds; a server that wants a longer wait than this is left
BUDGET = 20.0  # attempts beyond the first that all requests together may make; a good answer gives a tenth back
BUSY = {408, 425, 429, 500, 502, 503, 504}
_SLOW_DOWN = {429, 503}
_TRANSIENT = {"lock-error", "throttled", "timeout", "transient", "exception"}

T = TypeVar("T")


class BusyError(Exception):
    """Why a request may be tried again: what to say if not, the seconds the server wants left before, its status
    (None: no answer), and whether the server may have got the request."""

    def __init__(self, *issues: Issue, wait: float = 0.0, status: int | None = None, sent: bool = True) -> None:
        super().__init__(*(issue.text for issue in issues))
        self.issues, self.wait, self.status, self.sent = issues, wait, status, sent


class UnansweredError(IssueError):
    """No good answer, after all attempts. With `sent`, the server may have done what was asked all the same.

    `status` is that of the last answer, None without any.
    """

    def __init__(self, *issues: Issue, sent: bool, status: int | None) -> None:
        super().__init__(*issues)
        self.sent, self.status = sent, status


class Pace:
    """How many requests may be under way at once, for all threads of a client: additive increase, multiplicative
    decrease, from and up to `connections`; and how many more attempts all of them together may make."""

    def __init__(self, connections: int) -> None:
        self._most, self._limit, self._under_way = connections, float(connections), 0
        self._cut, self._not_before, self._budget = 0.0, 0.0, BUDGET
        self._changed = Condition()

    @property
    def limit(self) -> int:
        """How many requests may be under way now."""
        return int(self._limit)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits until a request may go, and holds its place while it does."""
        with self._changed:
            while (pause := self._not_before - time.monotonic()) > 0 or self._under_way >= self.limit:
                self._changed.wait(pause if pause > 0 else None)
            self._under_way += 1
        started = time.monotonic()
        try:
            yield
        except BusyError as busy:
            self._slow_down(busy, started)
            raise
        else:
            with self._changed:
                self._limit = min(self._most, self._limit + 1 / self._limit)
                self._budget = min(BUDGET, self._budget + 0.1)
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def _slow_down(self, busy: BusyError, started: float) -> None:
        """Half as many, once for all that were under way; and nobody before the time that the server named."""
        if busy.status not in _SLOW_DOWN:
            return
        with self._changed:
            if started > self._cut:
                self._cut, self._limit = time.monotonic(), max(1.0, self._limit / 2)
            if busy.wait <= PATIENCE:
                self._not_before = max(self._not_before, time.monotonic() + busy.wait)

    def spend(self) -> bool:
        """Takes one attempt from the budget; whether there was one."""
        with self._changed:
            if self._budget < 1:
                return False
            self._budget -= 1
            return True


def persist(attempt: Callable[[float], T], pace: Pace, deadline: float, *, idempotent: bool = True) -> T:
    """What `attempt` gives, after as many attempts as it takes and is sensible within `deadline` seconds.

    `attempt` gets the moment (`time.monotonic`) at which to give up. What is not idempotent is tried again only where
    the server cannot have got it. UnansweredError when no attempt was good.
    """
    until, number, sent = time.monotonic() + deadline, 0, False
    while True:
        number += 1
        try:
            with pace.turn():
                return attempt(until)
        except BusyError as error:
            busy = error
        sent = sent or busy.sent
        jitter = random.uniform(0, min(LONGEST, 0.25 * 2**number))  # noqa: S311 (spreads load, keeps no secret)
        wait = max(busy.wait, jitter)
        hopeless = busy.wait > PATIENCE or time.monotonic() + wait > until or (sent and not idempotent)
        # A server that names a time is not down: waiting for it takes nothing from the budget.
        if hopeless or number >= ATTEMPTS or not (busy.wait or pace.spend()):
            raise UnansweredError(*busy.issues, sent=sent, status=busy.status)
        time.sleep(wait)


def busy_answer(status: int, headers: Mapping[str, str], said: list[Issue], place: str) -> BusyError | None:
    """The error for an answer after which the same may be asked again; None for any other answer.

    `said` are the issues of its OperationOutcome: some servers say with status 400 or 409 what is only passing.
    """
    passing = any(issue.code in _TRANSIENT and issue.severity in ("error", "fatal") for issue in said)
    if status not in BUSY and not (passing and status >= 400 and status not in (401, 403)):
        return None
    code: Code = "throttled" if status == 429 else "transient"
    # A server that says 500 or gives reasons is there: others of its answers may be good.
    severity: Severity = "fatal" if status in BUSY - {500} else "error"
    text = f"{place} is busy or down (HTTP {status}): try again later"
    wait = seconds(headers)
    # Who limits a rate does so before anything is done; the others may have done it.
    return BusyError(Issue(severity, code, text), *said, wait=wait, status=status, sent=status != 429)


def seconds(headers: Mapping[str, str]) -> float:
    """Seconds from a Retry-After header, which is seconds or a date; 0 when it is neither or past.

    A date is held against the server's own clock (the Date header), for ours may be wrong.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    now = _date(headers.get("Date", "")) or datetime.now(UTC)
    then = _date(text) or now
    return max(0.0, (then - now).total_seconds())


def _date(text: str) -> datetime | None:
    """An HTTP date (RFC 9110, 5.6.7)."""
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return found if found.tzinfo else None
