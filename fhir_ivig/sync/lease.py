"""One at a time: a lock that ends with the process that holds it, however that ends."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from fhir_ivig.issue import Issue, IssueError


@contextmanager
def lease(path: Path, said: str) -> Iterator[None]:
    """Keeps others away from what the file `path` stands for until the block ends; IssueError (`said`) where another
    holds it, or where the file cannot be written. OSError where it cannot be made.

    Only who holds it may take the file away: who waited at a file that is gone, or another's by now, holds nothing.
    """
    refused = IssueError(Issue("fatal", "lock-error", said, str(path)))
    with ExitStack() as stack:
        try:
            path.touch(mode=0o600)
            file = path.stat()
            connection = stack.enter_context(closing(sqlite3.connect(path, isolation_level=None, timeout=0)))
            connection.execute("BEGIN EXCLUSIVE")
        except FileNotFoundError:  # its holder took it away just now, or its folder
            raise refused from None
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY and _is_at(file, path):
                text = f"Cannot write ({error}): make room, see that it may be written, or choose another place."
                raise IssueError(Issue("fatal", "no-store", text, str(path))) from None
            raise refused from None
        if not _is_at(file, path):
            raise refused
        yield


@contextmanager
def held(path: Path, said: str) -> Iterator[None]:
    """A lease on what is at `path`, or is to be: on a file beside it, which goes with the block if nothing is there
    then."""
    file = path.with_name(f"{path.name}.lease")
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with lease(file, said):
        try:
            yield
        finally:
            if not path.exists():
                file.unlink(missing_ok=True)


def _is_at(file: os.stat_result, path: Path) -> bool:
    try:
        return os.path.samestat(file, path.stat())
    except FileNotFoundError:
        return False
