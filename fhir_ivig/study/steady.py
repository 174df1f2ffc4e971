"""A study's files that somebody saves, or a pull replaces, while they are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.study.study import Study


@contextmanager
def steady(study: Study) -> Iterator[None]:
    """IssueError if a file of the study's tables is another when the block ends than it was before: what was read may
    be half of the one and half of the other."""
    before = _stamps(study)
    yield
    after = _stamps(study)
    if changed := [path for path in after | before if after.get(path) != before.get(path)]:
        text = "It was written while it was read: give the same command again when it is whole."
        raise IssueError(*(Issue("fatal", "conflict", text, str(path)) for path in changed))


def _stamps(study: Study) -> dict[Path, tuple[int, int]]:
    """The size and time of each file."""
    found = {}
    for path in study.files:
        with suppress(OSError):  # those that cannot be read are told by who reads them
            about = path.stat()
            found[path] = (about.st_size, about.st_mtime_ns)
    return found
