"""The key: what hashes and shifts are made from. It stays where the study is, in a file for its owner only.

Who has the key and the study can tell who a hash stands for (45 CFR 164.514(c) wants it kept from those who get the
data); who has only the data cannot: neither hash nor days can be computed from a subject's number without it.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import stat
from base64 import b32encode
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from fhir_ivig.fhir.folder import create
from fhir_ivig.fhir.secret import refuse_shared
from fhir_ivig.issue import Code, Issue, IssueError

KIND = "fhir-ivig de-identification key 1"
BYTES = 32  # as long as what the hash gives (RFC 2104, section 3)
LARGEST = 4096  # bytes of a key file
YEARS = (80, 130)  # how far dates are moved on
_FEWEST, _MOST = (round(years * 365.2425) for years in YEARS)


@dataclass(frozen=True, slots=True)
class Key:
    """A key of one study. Equal texts give equal hashes and days as long as the key is the same. new: just made."""

    secret: bytes = field(repr=False)
    new: bool = field(default=False, compare=False)

    def hashed(self, kind: str, text: str) -> str:
        """80 bits of an HMAC-SHA256 (RFC 2104) of a text among those of its kind, as 16 letters and digits."""
        return b32encode(self._digest(f"hash {kind}", text)[:10]).decode().lower()

    def days(self, subject: str) -> int:
        """By how many whole days the dates of a subject are moved on: some 80 to 130 years."""
        return _FEWEST + int.from_bytes(self._digest("days", subject)) % (_MOST - _FEWEST + 1)

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.digest(self.secret, f"{purpose}\0{text}".encode(), sha256().name)

    @classmethod
    def load(cls, path: Path, base: str) -> Key:
        """The key in a file, which is made (mode 0600) if it is not there. `base` is that of the study.

        IssueError for what is no file or cannot be read or written, that others can read, that is no key, damaged, or
        of another study.
        """
        try:
            new = _make(path, base)
            if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
                raise _refused(path, "structure", "This is no file: name the key file, or a new one to be made.")
            with path.open("rb") as file:
                refuse_shared(str(path), os.fstat(file.fileno()))
                raw = file.read(LARGEST)
        except OSError as error:
            why = error.strerror or type(error).__name__
            text = f"The key file cannot be read or made: {why}. Name a file in a folder where you may write."
            raise _refused(path, "no-store", text) from None
        return cls(_secret(path, raw, base), new)


def new_key(path: Path) -> Issue:
    """That a key was made: one whose name was mistyped, too."""
    text = (
        "A new key was made. If there was one before, take that: with another, hashes and dates are others. Keep it."
    )
    return Issue("information", "informational", text, str(path))


def _make(path: Path, base: str) -> bool:
    """Make a new key, unless there is a file: whole or not at all, and never over another. Whether it did."""
    if os.path.lexists(path):
        return False
    said = {"kind": KIND, "study": base, "key": secrets.token_hex(BYTES)}
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with create(part) as file:
            file.write((json.dumps(said, indent=2) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)
        return True
    except FileExistsError:
        return False  # another run was quicker: its key is read
    finally:
        part.unlink(missing_ok=True)


def _secret(path: Path, raw: bytes, base: str) -> bytes:
    try:
        said = json.loads(raw)
        secret = bytes.fromhex(said["key"])
        sound = said["kind"] == KIND and len(secret) == BYTES and isinstance(said["study"], str)
    except (ValueError, TypeError, KeyError, RecursionError):
        sound = False
    if not sound:
        text = "This is no key file of fhir-ivig, or it is damaged: take a copy of it, or a new name for a new key."
        raise _refused(path, "structure", text)
    if said["study"] != base:
        text = f"This is the key of another study ({said['study']}): one key is for one study."
        raise _refused(path, "conflict", text)
    return secret


def _refused(path: Path, code: Code, text: str) -> IssueError:
    return IssueError(Issue("fatal", code, text, str(path)))
