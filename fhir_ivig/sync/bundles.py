"""NDJSON files as Bundles: transactions that put every resource under its own id."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from fhir_ivig.fhir.bundle import Put, head
from fhir_ivig.fhir.files import fhir_files, read_blocks

ENTRIES = 500  # a Bundle


def to_bundles(folder: Path) -> None:
    """Replace the NDJSON files of a folder by `bundle-0001.json` and so on, in the order of their references.

    Each is a transaction Bundle (https://hl7.org/fhir/R4/http.html#transaction) of at most 500 resources, which stay
    as they were written, numbers too.
    """
    files = [path for path in fhir_files(folder) if path.name != "issues.ndjson"]
    lines = _lines(files)
    number = 0
    while group := list(islice(lines, ENTRIES)):
        number += 1
        with (folder / f"bundle-{number:04}.json").open("wb") as out:
            out.write(b'{"resourceType":"Bundle","type":"transaction","entry":[\n')
            out.write(b",\n".join(Put(head(resource).ref, resource).entry for resource in group))
            out.write(b"\n]}\n")
    for path in files:
        path.unlink()


def _lines(files: list[Path]) -> Iterator[bytes]:
    for block in read_blocks(files):
        yield from block.lines
