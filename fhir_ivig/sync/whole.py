"""Output folders are written whole or not at all: under a temporary name first, renamed at the end."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fhir_ivig.issue import Issue, IssueError

MARKER = "manifest.json"  # what tells a folder of ours, which may be replaced, from anybody's
_OURS = re.compile(r"manifest\.json|study\.yaml|fhir|resources|.*\.(ndjson|csv|parquet)|bundle-\d+\.json")


@contextmanager
def whole_folder(out: Path, inputs: Iterable[Path] = ()) -> Iterator[Path]:
    """A new folder (0700) to write in, which becomes `out` when the block ends without an exception.

    An earlier folder of ours at `out` is replaced. IssueError if something else is there or among it, if one of the
    `inputs` lies in it, if it cannot be written, or if the disk is full; then `out` is as it was. Two runs at once
    each write their own; the one that ends last stays.
    """
    out = out.resolve()
    _check(out, inputs)
    part, earlier = (out.with_name(f".{out.name}.{os.getpid()}.{what}") for what in ("part", "earlier"))
    try:
        _clear_dead(out)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700, parents=True)
        yield part
        if out.exists():
            out.rename(earlier)
        part.rename(out)
        shutil.rmtree(earlier, ignore_errors=True)
    except OSError as error:
        text = f"Cannot write: {error.strerror or error}."
        raise IssueError(Issue("fatal", "no-store", text, str(out))) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _check(out: Path, inputs: Iterable[Path]) -> None:
    for path in inputs:
        if path.resolve().is_relative_to(out):
            text = f"{path} is read and lies in the folder to write: choose another folder."
            raise IssueError(Issue("fatal", "conflict", text, str(out)))
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    others = [path.name for path in out.iterdir() if not _OURS.fullmatch(path.name)] if out.is_dir() else [out.name]
    if others or not _is_ours(out / MARKER):
        named = f" Not ours: {', '.join(sorted(others)[:5])}." if others else ""
        text = f"Something else is here already, not an earlier output: choose another folder.{named}"
        raise IssueError(Issue("fatal", "conflict", text, str(out)))


def _is_ours(manifest: Path) -> bool:
    """Whether a manifest.json is one that this package wrote."""
    try:
        found = json.loads(manifest.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and {"complete", "issues"} <= found.keys()


def _clear_dead(out: Path) -> None:
    """Take away what killed runs left beside the folder."""
    for path in out.parent.glob(f".{out.name}.*.part"):
        process = path.name.split(".")[-2]
        if process.isdigit() and not _alive(int(process)):
            shutil.rmtree(path, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
