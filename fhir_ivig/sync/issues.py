"""Issues of a long run: all counted and written to a file, the first ones kept to be shown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from fhir_ivig.issue import Issue

KEPT = 1000


class IssueLog:
    """Takes Issues as they come. `first` are the first thousand, `counts` how many there were by severity.

    With a `path`, every Issue is a line of JSON there. With `once`, what several tables say of one place of a file
    that they share is taken once, as long as it is among the first. Memory stays flat however many there are.
    """

    def __init__(self, path: Path | None = None, once: bool = False) -> None:
        self.first: list[Issue] = []
        self._once = once
        self._placed: set[Issue] = set()
        self.counts: Counter[str] = Counter()
        self._file: IO[str] | None = path.open("w", encoding="utf-8") if path else None

    def add(self, issues: Iterable[Issue], ahead: bool = False) -> None:
        """Take some Issues; with `ahead`, they are to be shown before those that are here."""
        if ahead:
            before, self.first = self.first, []
            self.add(issues)
            self.first = [*self.first, *before][:KEPT]
            return
        for issue in issues:
            if issue in self._placed:
                continue
            self.counts[issue.severity] += 1
            if len(self.first) < KEPT:
                self.first.append(issue)
                if self._once and issue.file:
                    self._placed.add(issue)
            if self._file:
                self._file.write(json.dumps(issue.as_dict(), ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Finish the file."""
        if self._file:
            self._file.close()

    @property
    def failed(self) -> bool:
        """Whether any of them was an error or fatal."""
        return bool(self.counts["error"] or self.counts["fatal"])


def read_issues(path: Path) -> Iterator[Issue]:
    """The Issues that a log wrote to a file."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield Issue(**json.loads(line))
