"""Bulk Data export: asked for, waited for, fetched file by file to disk; killed anywhere, it goes on.

https://hl7.org/fhir/uv/bulkdata/export.html. What is done stands in `state.json` beside the files.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from fhir_ivig.fhir.body import json_body
from fhir_ivig.fhir.bulk import File, Manifest, deleted, read_manifest
from fhir_ivig.fhir.bundle import LOGICAL_ID, outcome_issues
from fhir_ivig.fhir.client import Client, RefusedError, Reply, UnansweredError
from fhir_ivig.fhir.retry import seconds
from fhir_ivig.fhir.server import ServerSettings, server_settings
from fhir_ivig.issue import Issue, IssueError, many
from fhir_ivig.sync.bulk_state import State, listed
from fhir_ivig.sync.download import Begun, Download

POLL_SECONDS = 300.0  # the longest pause between two looks, whatever the server wants
PATIENCE = 24 * 3600.0  # seconds; an export that takes longer is left, and can be gone on with
_LONGEST_OUTCOME = 1 << 20  # bytes
_GONE = {404, 410}
_EXPIRED = {401, 403, *_GONE}  # what servers answer to a link that is no longer good


@dataclass(frozen=True, slots=True)
class Bulk:
    """What to export: `system`, `patient` or `group/ID`; `origins` are others than the server's own that files may
    lie at, which get no credentials; `poll_seconds` the longest pause between two looks at the job."""

    level: str = "system"
    origins: Sequence[str] = ()
    poll_seconds: float = POLL_SECONDS

    @property
    def operation(self) -> str:
        """The operation's path. IssueError for a level that is none."""
        kind, _, name = self.level.partition("/")
        if self.level in ("system", "patient"):
            return {"system": "$export", "patient": "Patient/$export"}[self.level]
        if kind == "group" and LOGICAL_ID.fullmatch(name):
            return f"Group/{name}/$export"
        said = "There are bulk exports of `system`, `patient` and `group/ID` (the id of a Group on the server)."
        raise IssueError(Issue("fatal", "invalid", said))


def bulk_of(source: str | ServerSettings, level: str, poll_seconds: float | None = None) -> Bulk:
    """What to export from a source as a person gave it; a server.yaml says where else files may lie."""
    settings = server_settings(source)
    if settings is None:
        raise IssueError(Issue("fatal", "invalid", "A folder exports nothing: leave --bulk out, or name a server."))
    return Bulk(level, settings.bulk_origins, POLL_SECONDS if poll_seconds is None else poll_seconds)


@dataclass(slots=True)
class Exported:
    """`folder` holds the resources, so many `lines` of NDJSON; `gone` are those deleted (`Type/id`)."""

    folder: Path
    time: str
    lines: int = 0
    gone: set[str] = field(default_factory=set)
    issues: list[Issue] = field(default_factory=list)


class Export:
    """An export kept in `folder` while it goes on."""

    def __init__(
        self, client: Client, bulk: Bulk, folder: Path, progress: Callable[[str, int], None] | None = None
    ) -> None:
        self.client, self.bulk, self.folder, self.progress = client, bulk, folder, progress
        self.state = State({})

    def run(self, types: Sequence[str], since: str | None = None) -> Exported:
        """Exports resources of some types, changed `since`, to `folder`/output; goes on where an earlier call was.

        What the server could not export, and files with another number of lines than promised, are error Issues.
        IssueError when the server exports nothing so, or cannot be reached; then the same call goes on later.
        """
        asked = {"source": self.client.gate.base, "operation": self.bulk.operation, "_type": ",".join(types)}
        if since:
            asked["_since"] = since
        manifest = self.job(asked)
        try:
            return self.exported(self.fetched(manifest))
        except RefusedError as refused:
            if refused.status not in _GONE:
                raise
        self.kick_off(asked)  # the server took its files away: once more, all of it
        try:
            return self.exported(self.fetched(self.wait()))
        except RefusedError as refused:
            text = "the server takes the files of its export away before they are fetched: pull without --bulk"
            raise IssueError(Issue("fatal", "incomplete", text), *refused.issues) from None

    def job(self, asked: dict[str, str]) -> Manifest:
        """The manifest of the job that was begun earlier, if it is still there and well, else of a new one."""
        if self.resume(asked):
            try:
                return self.wait()
            except (RefusedError, UnansweredError) as failed:
                if failed.status in (401, 403) or not (isinstance(failed, RefusedError) or failed.status == 500):
                    raise
        self.kick_off(asked)
        return self.wait()

    def fetched(self, manifest: Manifest) -> Manifest:
        """The manifest, all files of which are here now."""
        if self.state.listed != listed(manifest):  # begun anew, or the server lists its files otherwise than before
            self.state.listed, self.state.lines, self.state.begun = listed(manifest), {}, {}
        for name, _ in list(manifest.files()):
            if name not in self.state.lines:
                manifest = self.fetch(name, manifest)
        return manifest

    def exported(self, manifest: Manifest) -> Exported:
        """What is here now, held against the manifest."""
        found, lines = Exported(self.folder / "output", manifest.transactionTime), self.state.lines
        wrong: list[str] = []
        for name, file in manifest.files():
            if name.startswith("output") and (said := self.outcome(name)):
                text = f"the server gave an OperationOutcome in place of a file of {file.kind}: pull again"
                found.issues += [Issue("error", "processing", text), *said]
                wrong.append(name)
            elif file.count is not None and file.count != lines[name]:
                promised = many(file.count, "line")
                text = f"the export promised {promised} of {file.kind} and gave {lines[name]}: pull again"
                found.issues.append(Issue("error", "incomplete", text))
                wrong.append(name)
        found.lines = sum(count for name, count in lines.items() if name.startswith("output"))
        for path in sorted(self.folder.glob("error-*.ndjson")):
            with path.open("rb") as stream:
                found.issues += dict.fromkeys(issue for line in stream for issue in self.said(line))
        for path in sorted(self.folder.glob("deleted-*.ndjson")):
            with path.open("rb") as stream:
                found.gone.update(*map(deleted, stream))
        if wrong:  # to be fetched again by the next call
            self.state.lines = {name: count for name, count in lines.items() if name not in wrong}
            self.state.save(self.folder)
        return found

    def said(self, line: bytes) -> list[Issue]:
        return self.client.transport.masked(outcome_issues(line))

    def outcome(self, name: str) -> list[Issue]:
        """The issues of an OperationOutcome that a file of resources begins with."""
        if not self.state.lines[name]:
            return []
        with (self.folder / "output" / name).open("rb") as file:
            return self.said(file.readline(_LONGEST_OUTCOME))

    def forget(self) -> None:
        """Takes the files away, here and at the server, which may have done so already."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.cancel()

    def cancel(self) -> None:
        """The server need keep the job no longer; it may have left it already."""
        if self.state.status:
            with suppress(IssueError):
                self.client.transport.ask("DELETE", self.state.status)

    def resume(self, asked: Mapping[str, str]) -> bool:
        """Whether there is an export of the same, begun earlier."""
        self.state = State.load(self.folder)
        return self.state.asked == asked and bool(self.state.status)

    def kick_off(self, asked: dict[str, str]) -> None:
        found = {path.name for path in self.folder.iterdir()} if self.folder.exists() else set()
        if "state.json" not in found and found - {"output", "state.part"}:
            text = "Something else is where the export is kept while it goes on: move it, or choose another OUT."
            raise IssueError(Issue("fatal", "conflict", text, str(self.folder)))
        self.cancel()  # one that is begun anew, or asked for something else
        query = {name: value for name, value in asked.items() if name.startswith("_")}
        link = f"{asked['operation']}?{urlencode({'_outputFormat': 'application/fhir+ndjson', **query})}"
        reply = self.client.transport.ask("GET", link, headers={"Prefer": "respond-async"}, idempotent=False)
        place = reply.headers.get("Content-Location")
        if reply.status != 202 or not place:
            text = "the server did not take up the bulk export (no 202 with Content-Location): pull without --bulk"
            raise IssueError(Issue("fatal", "not-supported", text))
        self.state = State(asked, self.client.gate.admit(place))
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "output").mkdir(mode=0o700, parents=True)
        self.folder.chmod(0o700)
        self.state.save(self.folder)

    def wait(self) -> Manifest:
        """The manifest, once the job is done."""
        until, pause = time.monotonic() + PATIENCE, 1.0
        while True:
            reply = self.client.transport.ask("GET", self.state.status, headers={"Accept": "application/json"})
            if reply.status != 202:
                return self.manifest(reply)
            if self.progress:
                self.progress("bulk export", 0)
            wait = min(max(pause, seconds(reply.headers)), self.bulk.poll_seconds)
            if time.monotonic() + wait > until:
                text = "the bulk export takes longer than a day: the same command goes on with it"
                raise IssueError(Issue("fatal", "timeout", text))
            time.sleep(wait)
            pause *= 1.5

    def manifest(self, reply: Reply) -> Manifest:
        """The manifest in an answer; RefusedError if it is none: then the job will not give one later either."""
        try:
            return read_manifest(json_body(reply))
        except IssueError as error:
            raise RefusedError(reply.status, *self.client.transport.masked(error.issues)) from None

    def fetch(self, name: str, manifest: Manifest) -> Manifest:
        """Fetches a file; where its link is no longer good, the manifest once more, whose links may be."""
        try:
            self.download(name, dict(manifest.files())[name], manifest)
        except RefusedError as refused:
            if refused.status not in _EXPIRED:
                raise
            fresh = self.wait()
            if listed(fresh) != self.state.listed:
                text = "the server's manifest is another than it was: pull again"
                raise IssueError(Issue("fatal", "conflict", text)) from None
            manifest = fresh
            self.download(name, dict(manifest.files())[name], manifest)
        return manifest

    def download(self, name: str, file: File, manifest: Manifest) -> None:
        """One file to disk."""
        target = self.folder / ("output" if name.startswith("output") else "") / name
        part = target.with_suffix(".part")

        def note(begun: Begun) -> None:
            self.state.begun = {name: begun} if begun else {}
            self.state.save(self.folder)

        begun = self.state.begun.get(name)
        download = Download(self.client.transport, part, (begun[0], begun[1]) if begun else None, note)
        origins, pause = tuple(self.bulk.origins), self.bulk.poll_seconds
        lines = download.run(file, origins=origins, credentials=manifest.requiresAccessToken, longest_pause=pause)
        part.replace(target) if lines else part.unlink()
        self.state.lines[name], self.state.begun = lines, {}
        self.state.save(self.folder)
        if self.progress:
            self.progress(file.kind, lines)
