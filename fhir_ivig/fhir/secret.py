"""Where a secret is kept: in the environment, in a file of its own, or in a keyring; never in a settings file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fhir_ivig.issue import Code, Issue, IssueError

LARGEST = 65_536  # bytes


@dataclass(frozen=True, slots=True)
class Secret:
    """The place of a secret: `name` is that of a variable, of a file, or `service/user` in the keyring."""

    kind: Literal["env", "file", "keyring"]
    name: str

    def read(self) -> str:
        """The secret, without the line's end that editors put behind it; IssueError that names the place only."""
        found = {"env": _of_environment, "file": _of_file, "keyring": _of_keyring}[self.kind](self.name)
        if not found.strip():
            raise _missing(f"{self.name} is empty: put the secret there")
        return found.rstrip("\r\n")


def _of_environment(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise _missing(f"the environment variable {name} is not set: put the secret there") from None


def _of_file(name: str) -> str:
    """Of a file that nobody but its owner may read (where the system knows such modes)."""
    try:
        with Path(name).open("rb") as file:
            refuse_shared(name, os.fstat(file.fileno()))
            return file.read(LARGEST).decode()
    except OSError as error:
        raise _missing(f"{name} with a secret cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _missing(f"{name} with a secret is no text", "value") from None


def refuse_shared(name: str, found: os.stat_result) -> None:
    """IssueError for a file that others than its owner may read or write, where the system knows such modes."""
    if os.name == "posix" and found.st_mode & 0o077:
        raise _missing(f"{name} may be read or written by others: chmod 600 it", "security")


def _of_keyring(name: str) -> str:
    try:
        import keyring  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise _missing('the keyring needs a package of its own: pip install "keyring"') from None
    service, _, user = name.rpartition("/")
    try:
        found = keyring.get_password(service, user)
    except Exception as error:  # whatever the system's keyring raises
        raise _missing(f"the keyring could not be asked for {name} ({type(error).__name__})") from None
    if found is None:
        raise _missing(f"the keyring holds nothing for {name}: put the secret there")
    return str(found)


def _missing(text: str, code: Code = "not-found") -> IssueError:
    return IssueError(Issue("fatal", code, text))
