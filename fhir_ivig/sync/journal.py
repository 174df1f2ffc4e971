"""What was sent to a target and what it held then: so a killed push goes on, and nobody's change is overwritten.

One SQLite file a study and target, by default `.fhir-ivig/` beside study.yaml. It holds ids, hashes and versions, no
bodies; and where a resource is at the target, if not under its own id. The intent is written before a request, the
outcome after it: whatever was under way when the program died is known, and is held against the target by the next
plan.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Literal

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.sync.lease import held

CONFLICTS = "conflicts"  # how many there were at the last push
FORMAT, EARLIER = "2", "1"  # an earlier one lacks the places of resources, and gets them when it is opened
# sent: on its way, nobody knows; confirmed: held as sent; failed: refused; kept: theirs was taken; withdrawn: marked.
State = Literal["sent", "confirmed", "failed", "kept", "withdrawn"]
# study: a resource of ours, which the target gave an id; hospital: a Patient of theirs, which one of ours stands for.
Whose = Literal["study", "hospital"]

_TABLES = {
    "about": "name TEXT PRIMARY KEY, value TEXT NOT NULL",
    "resource": "ref TEXT PRIMARY KEY, state TEXT NOT NULL, hash BLOB, intended BLOB, version TEXT, code TEXT",
    "home": "whose TEXT NOT NULL, ref TEXT NOT NULL, home TEXT NOT NULL, PRIMARY KEY (whose, ref)",
}
# What the place of a journal is to blame for; anything else is wrong in the file itself.
_OF_ITS_PLACE = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a resource at the target: `hash` of what it was last seen to hold, at `version`; the hash of
    what was `intended`, by the last request of which no outcome is known, or that theirs was kept against."""

    state: State
    hash: bytes | None = None
    version: str | None = None
    intended: bytes | None = None
    code: str | None = None  # of the Issue, where it failed


class Journal:
    """An open journal. Every method is one transaction, on the disk when it returns; IssueError if it cannot be."""

    def __init__(self, path: Path, connection: sqlite3.Connection, about: Mapping[str, str], new: bool) -> None:
        self.path, self._db, self.about, self._new = path, connection, about, new
        self._writing = Lock()

    @classmethod
    def open(cls, path: Path, about: Mapping[str, str], *, write: bool = True) -> Journal:
        """The journal at `path`, made if there is none. `about` names the study and the target that it must be of.
        Without `write` it must be there, is only read, and stays as it is, wherever that may be.

        IssueError if it belongs to others, is of a later version, is damaged, or cannot be written.
        """
        with _reported(path), ExitStack() as stack:
            new = write and not path.exists()  # what is only read is never ours to take away
            connection = _to_write(path) if write else _to_read(path)
            stack.callback(connection.close)
            journal = cls(path, connection, {"format": FORMAT, **about}, new)
            journal._check(write)
            stack.pop_all()
        return journal

    def _check(self, write: bool) -> None:
        """Nothing is changed in what is not ours, or not whole."""
        known = {name for (name,) in self._db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if known and "resource" not in known:
            raise sqlite3.DatabaseError("another program's")
        found = dict(self._db.execute("SELECT name, value FROM about")) if known else {}
        form = found.get("format", FORMAT)
        if form.isdecimal() and int(form) > int(FORMAT):
            text = (
                f"A later version of fhir-ivig wrote this journal (its format is {form}, this version knows {FORMAT}"
            )
            raise IssueError(Issue("fatal", "not-supported", f"{text}): install that version.", str(self.path)))
        wrong = [
            f"its {name} is {found.get(name)}, expected {value}"
            for name, value in self.about.items()
            if found and found.get(name) != value and (name, found.get(name)) != ("format", EARLIER)
        ]
        if wrong:
            text = f"This journal is another's: {'; '.join(wrong)}. Name the right one under --journal."
            raise IssueError(Issue("fatal", "conflict", text, str(self.path)))
        if self._db.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("damaged")
        if write:
            self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")
        for name in _TABLES.keys() - known:
            kind = "TABLE" if write else "TEMP TABLE"  # what an earlier or a new one lacks
            self._db.execute(f"CREATE {kind} IF NOT EXISTS {name} ({_TABLES[name]}) WITHOUT ROWID")
        if write and found != {**found, **self.about}:
            self._all("INSERT OR REPLACE INTO about VALUES (?, ?)", self.about.items())

    def recall(self, name: str) -> str | None:
        """What `remember` was told last."""
        with _reported(self.path):
            found = self._db.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return str(found[0]) if found else None

    def remember(self, name: str, value: str) -> None:
        """Keep a setting that the next push is to go on with."""
        with _reported(self.path):
            self._all("INSERT OR REPLACE INTO about VALUES (?, ?)", [(name, value)])

    def homes(self, whose: Whose) -> dict[str, str]:
        """Where resources are at the target (`Type/id`, by ours)."""
        with _reported(self.path):
            return dict(self._db.execute("SELECT ref, home FROM home WHERE whose = ?", (whose,)))

    def settle(self, whose: Whose, homes: Mapping[str, str]) -> None:
        """Note where resources are. All Patients of the hospital are told at once: the others are no more linked."""
        with _reported(self.path):
            if whose == "hospital":
                gone = self.homes(whose).keys() - homes.keys()
                self._all("DELETE FROM home WHERE whose = ? AND ref = ?", [(whose, ref) for ref in gone])
            self._all("INSERT OR REPLACE INTO home VALUES (?, ?, ?)", [(whose, *each) for each in homes.items()])

    def entries(self, refs: Iterable[str]) -> dict[str, Entry]:
        """What is known of these resources (`Type/id`)."""
        asked = "SELECT ref, state, hash, version, intended, code FROM resource"
        asked += " WHERE ref IN (SELECT value FROM json_each(?))"
        with _reported(self.path):
            rows = self._db.execute(asked, (json.dumps(list(refs)),))
            return {ref: Entry(*rest) for ref, *rest in rows}

    def refs(self, *states: State) -> Iterator[str]:
        """The resources that are in one of the states."""
        with _reported(self.path):
            marks = ",".join("?" * len(states))
            for (ref,) in self._db.execute(f"SELECT ref FROM resource WHERE state IN ({marks})", states):  # noqa: S608
                yield ref

    def counts(self) -> dict[str, int]:
        """How many resources are in each state."""
        with _reported(self.path):
            return dict(self._db.execute("SELECT state, count(*) FROM resource GROUP BY state ORDER BY state"))

    def write(self, entries: Mapping[str, Entry]) -> None:
        """Note what is now known of some resources."""
        rows = [(ref, e.state, e.hash, e.intended, e.version, e.code) for ref, e in entries.items()]
        if rows:
            with _reported(self.path):
                self._all("INSERT OR REPLACE INTO resource VALUES (?, ?, ?, ?, ?, ?)", rows)

    def _all(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        """All rows, or none; one thread at a time."""
        with self._writing:
            self._db.execute("BEGIN IMMEDIATE")
            with self._db:  # ends the transaction, as is right
                self._db.executemany(statement, rows)

    def close(self) -> None:
        """Close the file; one that is new and knows nothing is taken away."""
        idle = self._new and not self.counts()
        self._db.close()
        if idle:
            self.path.unlink(missing_ok=True)


@contextmanager
def held_journal(path: Path) -> Iterator[None]:
    """Keeps other pushes of the journal at `path` away until the block ends, or the process, however it does.

    It is opened and closed within: who comes second must not take a new journal for an idle one. IssueError while
    another holds it, or where nothing can be written.
    """
    try:
        with ExitStack() as stack:
            with _reported(path):
                said = "Another push of this study to this target is under way: wait until it has ended."
                stack.enter_context(held(path, said))
            yield
    finally:
        with suppress(OSError):
            path.parent.rmdir()  # if nothing else is in it


def journal_path(folder: Path, target: str) -> Path:
    """Where the journal of a study in `folder` for a target stands, if nobody says otherwise."""
    return folder / ".fhir-ivig" / f"{blake2b(target.encode(), digest_size=6).hexdigest()}.journal"


def _to_write(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    return sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)


def _to_read(path: Path) -> sqlite3.Connection:
    """It is not made, and no file is left beside it, as `mode=ro` would. Where SQLite can have no files beside it and
    none is there, nobody is writing, and it is read without."""
    address = path.absolute().as_uri()
    connection = sqlite3.connect(f"{address}?mode=rw", uri=True, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("SELECT name FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        if path.with_name(f"{path.name}-wal").exists():
            raise
        address = f"{address}?mode=ro&immutable=1"
        connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    return connection


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        damaged = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF not in _OF_ITS_PLACE
        text = f"The journal cannot be used ({error}): make room, see that it may be written, or name another place"
        text += " under --journal."
        if damaged:
            text = "This is no journal, or it is damaged: restore it from a copy, or move it away. Without it a push"
            text += " can tell new from stored, but takes every difference for somebody else's change."
        raise IssueError(Issue("fatal", "exception" if damaged else "no-store", text, str(path))) from None
    except OSError as error:
        text = f"The journal cannot be written ({error.strerror}): make room, or name another place under --journal."
        raise IssueError(Issue("fatal", "no-store", text, str(path))) from None
