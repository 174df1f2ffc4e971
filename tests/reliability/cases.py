"""Every fault that is tried, and where it strikes. Data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from faults.fault import Fault, Kind
from faults.kinds import KINDS
from faults.proxy import When

Way = Literal["push", "pull", "bulk"]
STATUSES = (408, 429, 500, 502, 503, 504)
ANSWER_SECONDS, DEADLINE_SECONDS = 3, 5  # the patience of a client in a hurry: for a byte, for a request's attempts
LONG_SECONDS = 60  # longer than a busy machine needs for an answer
BATCH = r"/fhir/?$"
_ENTRIES: tuple[Kind, ...] = ("entries_missing", "entries_extra", "entries_reordered", "entry_status")
_PAGES: tuple[Kind, ...] = ("page_repeated", "page_lost", "next_endless", "next_elsewhere")
_FILES: tuple[Kind, ...] = ("file_elsewhere", "file_short")
_NO_BULK: tuple[Way, ...] = ("push", "pull")
_NOWHERE: set[tuple[Kind, Way]] = {
    *((kind, "pull") for kind in _ENTRIES),
    *((kind, "bulk") for kind in (*_ENTRIES, *_PAGES)),
    ("location_elsewhere", "push"),
    ("location_elsewhere", "pull"),
    *((kind, way) for kind in _FILES for way in _NO_BULK),
}


@dataclass(frozen=True, slots=True)
class Case:
    """A fault, and what it is called in the table; `more` tells it from others of its kind."""

    fault: Fault
    more: str = ""

    @property
    def name(self) -> str:
        return f"{self.fault.kind}, {self.more}" if self.more else self.fault.kind

    @property
    def waits(self) -> bool:
        """Whether the fault is that an answer takes too long."""
        return self.fault.kind in ("latency", "drip")

    @property
    def says(self) -> str:
        return KINDS[self.fault.kind].says


@dataclass(frozen=True, slots=True)
class Place:
    """Which requests a fault strikes in one run; `lasting` ones go on until the run has ended."""

    name: str
    when: When

    @property
    def lasting(self) -> bool:
        return self.when.times is None


def patience(case: Case, place: Place) -> tuple[int, int]:
    """How long a client under the fault waits for a byte, and for a request with all its attempts, in seconds.

    Little where waiting is what is tried, or a fault that does not end has to; else so much that no slow machine is
    taken for a fault.
    """
    hurry = case.waits or place.lasting
    return ANSWER_SECONDS if hurry else LONG_SECONDS, DEADLINE_SECONDS if place.lasting else LONG_SECONDS


def _statuses() -> list[Case]:
    return [
        case
        for status in STATUSES
        for case in (
            Case(Fault("status", status=status), f"{status}"),
            Case(Fault("status", status=status, retry_after=1), f"{status}, Retry-After: 1"),
            Case(Fault("status", status=status, retry_after=1, as_date=True), f"{status}, Retry-After: a date"),
        )
    ]


CASES = [
    Case(Fault("refuse")),
    *_statuses(),
    Case(Fault("status", status=503, retry_after=3600), "503, Retry-After: 3600"),
    Case(Fault("status_committed")),
    Case(Fault("html")),
    Case(Fault("outcome")),
    Case(Fault("redirect_elsewhere")),
    Case(Fault("bulk_expired")),
    Case(Fault("latency", seconds=0.05), "a moment"),
    Case(Fault("latency", seconds=ANSWER_SECONDS + 2), "longer than we wait"),
    Case(Fault("drip", seconds=0.005, piece=1024), "slow"),
    Case(Fault("drip", seconds=0.5, piece=16), "slower than we wait"),
    Case(Fault("cut"), "before its end"),
    Case(Fault("cut", until=40), "in its head"),
    Case(Fault("cut_committed")),
    Case(Fault("gzip_truncated")),
    Case(Fault("gzip_corrupt")),
    Case(Fault("content_type")),
    Case(Fault("location_elsewhere")),
    Case(Fault("page_repeated")),
    Case(Fault("page_lost")),
    Case(Fault("next_endless")),
    Case(Fault("next_elsewhere")),
    Case(Fault("entries_missing")),
    Case(Fault("entries_extra")),
    Case(Fault("entries_reordered")),
    Case(Fault("entry_status"), "304"),
    Case(Fault("entry_status", entry_status="500 Internal Server Error"), "500"),
    Case(Fault("entry_status", entry_status=""), "none"),
    Case(Fault("file_elsewhere")),
    Case(Fault("file_short")),
]


def places(case: Case, way: Way) -> list[Place]:
    """The runs of a case. On push, the first creates the study and each other changes something in it."""
    kind = case.fault.kind
    places = _places(way, "pages" if kind.startswith(("page", "next")) else "all")
    if (kind, way) in _NOWHERE:
        return places[-1:]  # there is no answer that it fits, which the run shows
    if case.fault.retry_after == 1:
        return [places[2]]
    if kind == "status" and case.fault.status != 503:
        return [places[2], places[3 if way == "push" else -1]]
    if kind == "file_elsewhere":
        return places[-1:]  # which look at the job finds the manifest is not known before
    if kind == "file_short":
        return [place for place in places if "file" in place.name]
    if way == "push" and kind.startswith("entr"):
        return [place for place in places if "batch" in place.name]
    return places


def _places(way: Way, fit: str) -> list[Place]:
    match way, fit:
        case "push", "pages":
            # The study has seven types: with the eighth search the server is asked what it stored.
            return [
                Place("a look at what was stored", When(path="_search", nth=9)),
                Place("the first look", When(path="_search")),
                Place("every look", When(path="_search", times=None)),
            ]
        case "push", _:
            return [
                Place("a middle batch", When("POST", BATCH, 4)),
                Place("the first request", When()),
                Place("the first batch", When("POST", BATCH)),
                Place("every batch", When("POST", BATCH, times=None)),
                Place("every request", When(times=None)),
            ]
        case "bulk", _:
            return [
                Place("the kick-off", When(path=r"\$export")),
                Place("a look at the job", When(path="bulk-status")),
                Place("the second file", When(path="bulk-files", nth=2)),
                Place("every file", When(path="bulk-files", times=None)),
                Place("every request", When(times=None)),
            ]
    first = [] if fit == "pages" else [Place("the first request", When())]
    return [
        *first,
        Place("the first search", When(path="Patient/_search")),
        Place("a second page", When(path=r"Observation\?")),
        Place("the last page", When(path=r"MedicationAdministration\?")),
        Place("every search", When(path="_search", times=None)),
        Place("every request", When(times=None)),
    ]
