"""What a person gave as source or target: the base address of a server, or a folder."""

from __future__ import annotations

import re
from pathlib import Path

from fhir_ivig.issue import Issue, IssueError


def is_address(text: str) -> bool:
    """Whether it is a server's base address (http or https); else it is a folder.

    IssueError for what looks like an address and is none, so that nothing is written to a folder by mistake: another
    scheme, blanks around it, nothing at all (a variable that is not set), or a folder whose own folder is not there
    (`hospital.example.org/fhir`).
    """
    if re.match(r"(?i)https?://[^/\\s]", text):
        return True
    folder = Path(text)
    if not text or text != text.strip() or re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", text):
        said = "This is neither a folder nor an address that begins with https:// (or http:// on this machine)."
    elif not folder.parent.exists():
        said = f"There is no folder {folder.parent}: make it first; a server's address begins with https://."
    else:
        return False
    raise IssueError(Issue("fatal", "not-found", said, text))
