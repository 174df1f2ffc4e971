"""Output folders are written whole or not at all: under a temporary name first, renamed at the end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fhir_ivig.issue import Issue, IssueError

MARKER = "manifest.json"  # what tells a folder of ours, which may be replaced, from anybody's


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A new folder (0700) to write in, which becomes `out` when the block ends without an exception.

    An earlier folder of ours at `out` (one with a manifest.json) is replaced. IssueError if something else is there,
    if it cannot be written, or if the disk is full; then `out` is as it was.
    """
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / MARKER).exists())):
        text = "Something else is here already, not an earlier output: choose another folder."
        raise IssueError(Issue("fatal", "conflict", text, str(out)))
    part, earlier = out.with_name(f".{out.name}.part"), out.with_name(f".{out.name}.earlier")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700, parents=True)
        yield part
        shutil.rmtree(earlier, ignore_errors=True)
        if out.exists():
            out.rename(earlier)
        part.rename(out)
        shutil.rmtree(earlier, ignore_errors=True)
    except OSError as error:
        text = f"Cannot write: {error.strerror or error}."
        raise IssueError(Issue("fatal", "no-store", text, str(out))) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
