"""A search for many Patients, asked for group by group, in any order and by several threads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

from fhir_ivig.fhir.client import RefusedError
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.sync.asking import UNKNOWN_PARAMETER, Asking, StoppedError, incomplete
from fhir_ivig.sync.portions import Portion
from fhir_ivig.sync.search import Known, Search


@dataclass(slots=True)
class Got:
    """What a group's search gave: `portions` in the order in which they were asked for, `expected` by type.

    `changed_only` if only what changed was asked for; `whole` if, in place of the group's, it is all of the search's;
    `error` is why there is no more of it.
    """

    portions: list[Portion] = field(default_factory=list)
    expected: Counter[str] = field(default_factory=Counter)
    issues: list[Issue] = field(default_factory=list)
    changed_only: bool = False
    whole: bool = False
    error: IssueError | None = None


class Grouped:
    """A pull's `place`th search, and its groups of at most `size` Patients or values each (none if it is 0); of
    Patients known before, what changed."""

    def __init__(
        self,
        asking: Asking,
        place: int,
        search: Search,
        patients: Sequence[str],
        known: Known | None,
        *,
        page: int,
        size: int,
        filter_here: bool,
    ) -> None:
        self.asking, self.place, self.filter_here = asking, place, filter_here
        self.search = replace(search, parameters={"_count": str(page), **search.parameters})
        self.everyone = search.values or patients
        self.groups = list(self._groups(patients, known, size)) if size else []
        self._last = len(self.groups)  # further ones are wanted no more
        self._wide: Got | None = None
        self._lock = Lock()

    def _groups(
        self, patients: Sequence[str], known: Known | None, size: int
    ) -> Iterator[tuple[Search, Sequence[str]]]:
        search, before = self.search, known.patients if known else frozenset()
        if search.any_of:
            yield from ((search, group) for group in _cut(search.values, size))
        elif not search.subjects:
            yield search, ()
        else:
            yield from ((search, group) for group in _cut([ref for ref in patients if ref not in before], size))
            time = known.time if known else ""
            changed = replace(search, parameters={**search.parameters, "_lastUpdated": f"ge{time}"})
            yield from ((changed, group) for group in _cut([ref for ref in patients if ref in before], size))

    def got(self, number: int) -> Got:
        """What the group of that number gives. After an error, only groups before it are asked for."""
        got = Got()
        try:
            if self.asking.lost.is_set() or number > self._last:
                raise StoppedError
            self._ask(*self.groups[number], got)
        except _UnknownParameterError:
            got = self._widened()
        except IssueError as error:
            got.error = error
            if lost(error):
                self.asking.lost.set()
            with self._lock:
                self._last = min(self._last, number)
        return got

    def _ask(self, search: Search, group: Sequence[str], got: Got) -> None:
        """One group, or its halves where it comes short. IssueError when it fails."""
        kind = search.resource_type
        changed = "_lastUpdated" in search.parameters
        try:
            portion = self.asking.fetch(self.place, kind, search.of(group))
        except IssueError as error:
            unknown = isinstance(error, RefusedError) and error.status in UNKNOWN_PARAMETER
            if changed and (unknown or error.issues[0].code == "not-supported"):
                self._ask(_unchanged_too(search, got), group, got)
                return
            if not (unknown and self.filter_here):
                raise
            raise _UnknownParameterError from None
        got.changed_only = got.changed_only or changed
        got.portions.append(portion)
        end = portion.end
        if end.flaw and len(group) > 1:
            middle = len(group) // 2
            self._ask(search, group[:middle], got)
            self._ask(search, group[middle:], got)
            return
        if end.total is not None:
            got.expected[kind] += end.total - end.left_out
        if end.flaw:
            raise incomplete(end.flaw)

    def _widened(self) -> Got:
        """All of the type, filtered here; once for all groups."""
        with self._lock:
            self._wide = self._wide or self._wide_search()
        return self._wide

    def _wide_search(self) -> Got:
        kind = self.search.resource_type
        text = f"the server cannot search {kind} so: all were asked for, and filtered here"
        got = Got(issues=[Issue("information", "informational", text)], whole=True)
        try:
            plain = {"_count": self.search.parameters["_count"]}
            portion = self.asking.fetch(self.place, kind, plain, only=self.search.of(self.everyone))
            got.portions.append(portion)
            if portion.end.flaw:
                raise incomplete(portion.end.flaw)
        except IssueError as error:
            got.error = error
            if lost(error):
                self.asking.lost.set()
        return got


class _UnknownParameterError(Exception):
    """The server does not know a parameter of a search, and may be asked for all instead."""


def lost(error: IssueError) -> bool:
    """Whether there is no server to ask any more."""
    return not isinstance(error, RefusedError) and any(issue.severity == "fatal" for issue in error.issues)


def _unchanged_too(search: Search, got: Got) -> Search:
    text = f"the server cannot tell which {search.resource_type} changed: all of them were asked for"
    got.issues.append(Issue("information", "informational", text))
    plain = {name: value for name, value in search.parameters.items() if name != "_lastUpdated"}
    return replace(search, parameters=plain)


def _cut(values: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (values[start : start + size] for start in range(0, len(values), size))
