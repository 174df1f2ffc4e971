"""Output folders are written whole or not at all: under a temporary name first, renamed at the end."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fhir_ivig.fhir.folder import create
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.sync.lease import lease

MARKER = "manifest.json"  # what tells a folder of ours, which may be replaced, from anybody's
_PASSING, _LEASE = "fhir-ivig-", "lease"
_BEGUN = 60  # seconds after which a run has its lease
_OURS = re.compile(
    r"study\.yaml|fhir|mappings|resources|(diff|define)\.html|.*\.(json|ndjson|csv|parquet|xlsx|xlsm|xpt|svg|png)"
)


@contextmanager
def whole_folder(out: Path, inputs: Iterable[Path] = (), *, keep_complete: bool = False) -> Iterator[Path]:
    """A new folder (0700) to write in, which becomes `out` when the block ends without an exception.

    With `keep_complete`, what is less complete than an earlier folder (see `landing`) does not replace it: it becomes
    `OUT.incomplete`.

    An earlier folder of ours at `out` is replaced. IssueError if something else is there or among it, if one of the
    `inputs` lies in it, if it cannot be written, or if the disk is full; then `out` is as it was. Two runs at once
    each write their own; the one that ends last stays.
    """
    out = real(out)
    check_place(out, inputs)
    part = _beside(out, "part")
    try:
        _clear_dead(out)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700, parents=True)
        yield part
        target = landing(out, part) if keep_complete else out
        if target != out:
            check_place(target, inputs)
        _land(part, target)
    except OSError as error:
        raise _unwritten(out, error) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _beside(out: Path, what: str) -> Path:
    return out.with_name(f".{out.name}.{os.getpid()}.{what}")


def _land(part: Path, target: Path) -> None:
    """Puts a folder in the place of the earlier one, and of what another run puts there meanwhile. OSError if it
    cannot be; then the earlier one is there."""
    earlier = _beside(target, "earlier")
    try:
        while True:
            if target.exists():
                with suppress(FileNotFoundError):  # another run is about to take its place
                    target.rename(earlier)
            try:
                part.rename(target)
                return
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
            shutil.rmtree(earlier, ignore_errors=True)
    finally:
        _clear(earlier, target)


def _clear(earlier: Path, target: Path) -> None:
    """Away with an earlier folder, or back if nothing took its place."""
    if earlier.exists() and not target.exists():
        earlier.rename(target)
    shutil.rmtree(earlier, ignore_errors=True)


def _unwritten(path: Path, error: OSError) -> IssueError:
    text = f"Cannot write: {error.strerror or error}. Make room, or choose another place."
    return IssueError(Issue("fatal", "no-store", text, str(path)))


def landing(out: Path, part: Path) -> Path:
    """Where a new folder goes: to `out`, or beside it as `OUT.incomplete` if what is there is more complete.

    By the manifests: `complete`, and among those that are not, `all_received` (a pull that got all, some of which is
    wrong).
    """

    def wholeness(folder: Path) -> list[bool]:
        manifest = read_manifest(folder)
        return [manifest.get(name) is True for name in ("complete", "all_received")]

    return out.with_name(f"{out.name}.incomplete") if wholeness(part) < wholeness(out) else out


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest.json in a folder; empty where there is none that can be read."""
    try:
        found = json.loads((folder / MARKER).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def beside(out: Path, part: Path) -> Path | None:
    """Where a new folder goes instead of `out` with `keep_complete`; None if it goes there."""
    there = landing(real(out), part)
    return None if there == real(out) else there


def write_manifest(folder: Path, said: Mapping[str, Any]) -> None:
    """What `read_manifest` reads. `complete` and `issues` in it tell a folder of ours (see `check_place`)."""
    write_private(folder / MARKER, json.dumps(said, indent=2, ensure_ascii=False) + "\n")


def check_place(out: Path, inputs: Iterable[Path]) -> None:
    """IssueError if a folder cannot go to `out`: what is there is no earlier output, or an input is in it."""
    out = real(out)
    for path in inputs:
        if real(path).is_relative_to(out):
            text = f"{path} is read and lies in the folder to write: choose another folder."
            raise IssueError(Issue("fatal", "conflict", text, str(out)))
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    others = [path.name for path in out.iterdir() if not _OURS.fullmatch(path.name)] if out.is_dir() else [out.name]
    if others or not {"complete", "issues"} <= read_manifest(out).keys():
        named = f" Not ours: {', '.join(sorted(others)[:5])}." if others else ""
        text = f"Something else is here already, not an earlier output: choose another folder.{named}"
        raise IssueError(Issue("fatal", "conflict", text, str(out)))


def real(path: Path) -> Path:
    """A path without its links; of links in a circle, which `Path.resolve` takes for a fault, as far as it goes."""
    return Path(os.path.realpath(path))


def _clear_dead(out: Path) -> None:
    """Take away what killed runs left beside the folder; what one had moved aside comes back if nothing took its
    place."""
    for path in out.parent.glob(f".{out.name}.*"):
        process, _, what = path.name.removeprefix(f".{out.name}.").partition(".")
        if process.isdigit() and not _alive(int(process)):
            if what == "earlier":
                _clear(path, out)
            elif what == "part":
                shutil.rmtree(path, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


@contextmanager
def passing_folder() -> Iterator[Path]:
    """A folder (0700) among the temporary files for patients' data, which ends with the block. What killed runs of
    this user left there is taken away."""
    with TemporaryDirectory(prefix=_PASSING) as name:
        folder = Path(name)
        with lease(folder / _LEASE, "This folder is another's."):
            for left in folder.parent.glob(f"{_PASSING}*/{_LEASE}"):
                if left.parent != folder:
                    _clear_left(left, folder.lstat().st_uid)
            yield folder


def _clear_left(held: Path, owner: int) -> None:
    """Take away the folder of a run of this user's that holds its lease no more, or never came to hold it."""
    with suppress(OSError, IssueError):
        about = held.parent.lstat()
        if about.st_uid == owner and time.time() - about.st_mtime > _BEGUN:
            with lease(held, ""):
                shutil.rmtree(held.parent, ignore_errors=True)


def write_private(path: Path, text: str | bytes) -> None:
    """A file with patients' data, whole or not at all, for its owner only. IssueError if it cannot be written."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with create(part) as file:
            file.write(text.encode() if isinstance(text, str) else text)
        part.replace(path)
    except OSError as error:
        raise _unwritten(path, error) from None
    finally:
        part.unlink(missing_ok=True)
