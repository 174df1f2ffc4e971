"""What a server says of a bulk export: the manifest, its files, and what was deleted.

https://hl7.org/fhir/uv/bulkdata/export.html#response---complete-status
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import msgspec

from fhir_ivig.fhir.bundle import RESOURCE_TYPE, outcome_issues
from fhir_ivig.issue import Issue, IssueError


class File(msgspec.Struct):
    """A file of the manifest."""

    url: str
    type: str = ""
    count: int | None = None

    @property
    def kind(self) -> str:
        """The resource type, if it is one."""
        return self.type if RESOURCE_TYPE.fullmatch(self.type) else "resources"


class Manifest(msgspec.Struct):
    """What the server says it exported. HAPI leaves `output` out where nothing was found."""

    transactionTime: str = ""  # noqa: N815 (the element's name)
    requiresAccessToken: bool = True  # noqa: N815
    output: list[File] = msgspec.field(default_factory=list)
    deleted: list[File] = msgspec.field(default_factory=list)
    error: list[File] = msgspec.field(default_factory=list)

    def files(self) -> Iterator[tuple[str, File]]:
        """Every file, under the name that it gets here: a counter, for a server's words name no files."""
        for what in ("output", "deleted", "error"):
            for place, file in enumerate(getattr(self, what)):
                yield f"{what}-{place:04}.ndjson", file


def read_manifest(body: bytes) -> Manifest:
    """The manifest; IssueError if it is none, with what the server says instead."""
    said = outcome_issues(body)
    with suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        found = msgspec.json.decode(body, type=Manifest)
        if (found.transactionTime or found.output) and not said:
            return found
    text = "the server's answer is no manifest of a bulk export: pull again, or without --bulk"
    raise IssueError(Issue("fatal", "structure", text), *said)


class _Request(msgspec.Struct):
    method: str = ""
    url: str = ""


class _Entry(msgspec.Struct):
    request: _Request = msgspec.field(default_factory=_Request)


class _Bundle(msgspec.Struct):
    entry: list[_Entry] = msgspec.field(default_factory=list)


def deleted(line: bytes) -> set[str]:
    """The resources (`Type/id`) that a Bundle of deletions names."""
    try:
        entries = msgspec.json.decode(line, type=_Bundle).entry
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return set()
    return {entry.request.url for entry in entries if entry.request.method == "DELETE"}
