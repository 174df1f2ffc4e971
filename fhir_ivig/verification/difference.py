"""What a comparison finds: the differences, and how far both sides agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from fhir_ivig.issue import Issue, failed
from fhir_ivig.verification.verdict import (
    DIFFERENT,
    EQUAL,
    KINDS,
    NOT_COMPARABLE,
    ONLY_RECORD,
    ONLY_STUDY,
    UNCERTAIN,
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not equal, at its place on both sides.

    kind: one of KINDS. outcome: different, only in the study, only in the record, not comparable. key: which row of
    the subject's it is, where visit and measure do not say it. column: None where it is about whole rows. study,
    record: the values, or what a whole row says. rows: how many rows it is about; the places are those of the first.
    certain: whether it is certain that the rows belong together. why: more, in words. private: whether a value names
    or describes a person.
    """

    kind: str
    outcome: str
    table: str
    subject: str
    site: str
    visit: str
    measure: str
    key: str
    column: str | None
    study: str | None
    record: str | None
    study_file: str | None
    study_row: int | None
    study_column: str | None
    record_file: str | None
    record_row: int | None
    resource: str | None
    certain: bool = True
    rows: int = 1
    why: str = ""
    private: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For JSON and CSV."""
        return asdict(self)

    @property
    def study_place(self) -> str:
        """`assessments.csv:17, column CK`, or nothing."""
        return _place(self.study_file, self.study_row, self.study_column)

    @property
    def record_place(self) -> str:
        """`assessments.csv:17, Observation/…`, or nothing."""
        behind = self.resource.replace(";", "; ") if self.resource else None
        return ", ".join(filter(None, (_place(self.record_file, self.record_row, None), behind)))


def _place(file: str | None, row: int | None, column: str | None) -> str:
    where = f"{file}:{row}" if file and row else ""
    return f"{where}, column {column}" if where and column else where


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the filled cells of a table (of assessments, a measure) agree at a site.

    compared: held against each other, one of them equal or different. Cells of rows that are filed elsewhere are
    different; cells of rows of which it is uncertain whether they belong together are `uncertain`, never equal.
    """

    table: str
    measure: str
    site: str
    equal: int = 0
    different: int = 0
    only_study: int = 0
    only_record: int = 0
    not_comparable: int = 0
    uncertain: int = 0

    @property
    def compared(self) -> int:
        return self.equal + self.different

    @property
    def cells(self) -> int:
        """All that are filled on one side or both."""
        return self.compared + self.only_study + self.only_record + self.not_comparable + self.uncertain

    @property
    def percent(self) -> str:
        """Equal ones of all cells, cut to one decimal: 100.0 means all."""
        return f"{self.equal * 1000 // self.cells / 10:.1f}" if self.cells else ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON and CSV."""
        counts = ("equal", "different", "only_study", "only_record", "not_comparable", "uncertain")
        named = {name: getattr(self, name) for name in ("table", "measure", "site", "cells", "compared", *counts)}
        return {**named, "percent": self.percent}


_COUNTS = {
    "equal": EQUAL,
    "different": DIFFERENT,
    "only_study": ONLY_STUDY,
    "only_record": ONLY_RECORD,
    "not_comparable": NOT_COMPARABLE,
    "uncertain": UNCERTAIN,
}


def agreements(counts: Counter[tuple[str, str, str, int]]) -> list[Agreement]:
    """The counts by table, measure, site and what became of the cells, in that order."""
    groups = sorted({group[:3] for group in counts})
    return [Agreement(*group, *(counts[(*group, status)] for status in _COUNTS.values())) for group in groups]


def total(found: Iterable[Agreement]) -> Agreement:
    """All of them together."""
    counts: Counter[str] = Counter()
    for one in found:
        counts.update({name: getattr(one, name) for name in _COUNTS})
    return Agreement("", "", "", *(counts[name] for name in _COUNTS))


@dataclass(slots=True)
class Verification:
    """A study held against a hospital's record: every difference, the agreement, the Issues met on the way.

    rows: of each table, how many the study and the record have. left_out: what was not compared, and why: columns
    (`table.column`) that one side does not have at all, and what no mapping carries.
    """

    study: str
    title: str
    against: str
    differences: list[Difference] = field(default_factory=list)
    agreement: list[Agreement] = field(default_factory=list)
    rows: dict[str, tuple[int, int]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether all was compared, and all is equal."""
        return not self.differences and not failed(self.issues)

    @property
    def kinds(self) -> dict[str, int]:
        """How many differences of each kind there are, in the order of KINDS."""
        counts = Counter(one.kind for one in self.differences)
        return {kind: counts[kind] for kind in KINDS if counts[kind]}

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "study": self.study,
            "against": self.against,
            "equal": self.equal,
            "kinds": self.kinds,
            "rows": {table: {"study": ours, "record": theirs} for table, (ours, theirs) in self.rows.items()},
            "left_out": self.left_out,
            "agreement": [one.as_dict() for one in self.agreement],
            "differences": [one.as_dict() for one in self.differences],
            "issues": [issue.as_dict() for issue in self.issues],
        }
