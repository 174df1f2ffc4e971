"""What may become of a cell that is held against another, and the names of what differs."""

from __future__ import annotations

from typing import NamedTuple

# What became of a cell, in the order of the counts; NOTHING is empty on both sides and counted nowhere.
NOTHING, EQUAL, DIFFERENT, ONLY_STUDY, ONLY_RECORD, NOT_COMPARABLE, UNCERTAIN = range(7)

OUTCOMES = {
    DIFFERENT: "different",
    ONLY_STUDY: "only in the study",
    ONLY_RECORD: "only in the record",
    NOT_COMPARABLE: "not comparable",
}

# What a difference is called, and what that means.
KINDS = {
    "value": "another value",
    "decimal shift": "the same digits, the point elsewhere",
    "unit": "as if in another unit, or in one that cannot be converted",
    "rounded": "one is the other, rounded",
    "digits exchanged": "two digits next to each other changed places",
    "date": "another day",
    "day and month": "day and month changed places",
    "time": "the same day, another time",
    "exactness": "one date is less exact than the other and may mean it",
    "empty": "a cell is empty on one side",
    "unreadable": "a cell is not what its column holds",
    "row": "a row is missing on one side",
    "missing day": "a day of a course is missing on one side",
    "subject": "a subject is missing on one side",
    "duplicate": "several rows claim one key",
    "swapped subjects": "what is one subject's is filed under the other, and the reverse",
    "other subject": "the same is filed under another subject",
    "other visit": "the same is filed under another visit",
    "numbered otherwise": "the same has another number or key",
    "uncertain match": "rows with other keys that may be the same",
}


class Verdict(NamedTuple):
    """What became of two cells, what the difference is called, and more in words."""

    status: int
    kind: str = ""
    why: str = ""


SAME = Verdict(EQUAL)
