"""What is to be done with one resource: ours, theirs and what the journal knows, held against each other. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from fhir_ivig.fhir.compare import UnreadableError, compare, fingerprint, version
from fhir_ivig.sync.journal import Entry
from fhir_ivig.sync.withdraw import withdrawn

# left: no row of the study any more; digits: differs in the digits of decimals only; refused: cannot be sent;
# linked: a Patient of the hospital stands for it.
State = Literal["create", "update", "unchanged", "conflict", "left", "digits", "refused", "linked"]
Take = Literal["ours", "theirs"]


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done with a resource, and why.

    `changes` are FHIRPath -> (theirs, ours). `version` is the target's, to be replaced and no other; `before` the
    hash of what the target holds; `mark` what is sent for a row that left (None: its type has no way to say so).
    `adopt` is what the journal should know of an unchanged one. `exact`: theirs shows that the target keeps digits.
    """

    state: State
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    version: str | None = None
    before: bytes | None = None
    mark: bytes | None = None
    adopt: Entry | None = None
    exact: bool = False


def step_of(ours: bytes, theirs: bytes | None, entry: Entry | None, base: str, take: Take | None) -> Step:
    """The step for a resource of the study. What the journal does not know (no `entry`) is not ours."""
    if theirs is None:
        return _step_of_missing(ours, entry, base, take)
    try:
        found = compare(ours, theirs, base)
    except UnreadableError:
        return Step("update" if take == "ours" else "conflict", version=version(theirs))
    held = version(theirs)
    if not found.content and not found.digits:
        known = entry and entry.state == "confirmed" and entry.version == held and held is not None
        return Step("unchanged", exact=found.exact, adopt=None if known else _seen(theirs, base, held))
    changes = {path: (other, mine) for path, (mine, other) in {**found.content, **found.digits}.items()}
    before = fingerprint(theirs, base)
    if take == "theirs":
        return Step("unchanged", adopt=Entry("kept", before, held, fingerprint(ours, base)))
    if entry and entry.state == "kept" and (entry.hash, entry.intended) == (before, fingerprint(ours, base)):
        return Step("unchanged")
    if take != "ours" and not _ours_before(entry, before, held):
        return Step("conflict", changes, held, before)
    return Step("update" if found.content else "digits", changes, held, before, exact=found.exact)


def _step_of_missing(ours: bytes, entry: Entry | None, base: str, take: Take | None) -> Step:
    """What was never there is new; what was, somebody deleted."""
    if entry is None or entry.hash is None or take == "ours":
        kept = entry and entry.state == "kept" and entry.intended == fingerprint(ours, base) and take != "ours"
        return Step("unchanged" if kept else "create")
    if take == "theirs":
        return Step("unchanged", adopt=Entry("kept", None, None, fingerprint(ours, base)))
    return Step("conflict")


def step_of_left(
    resource_type: str, theirs: bytes | None, entry: Entry, base: str, fhir_version: str, take: Take | None
) -> Step | None:
    """The step for what the study has no more; None if there is nothing to do. Once theirs is taken, it stays as it
    is."""
    if theirs is None:
        return None
    held = version(theirs)
    try:
        before = fingerprint(theirs, base)
    except UnreadableError:
        return Step("conflict", version=held)
    if take == "theirs":
        return Step("unchanged", adopt=Entry("kept", before, held))
    if take != "ours" and not _ours_before(entry, before, held):
        return Step("conflict", {}, held, before)
    mark = withdrawn(theirs, resource_type, fhir_version)
    if mark == theirs:  # stored by a push that died before it heard so
        return Step("unchanged", adopt=Entry("withdrawn", before, held))
    return Step("left", {}, held, before, mark)


def _ours_before(entry: Entry | None, before: bytes, held: str | None) -> bool:
    """Whether what the target holds is what we sent last."""
    if entry is None or entry.state == "kept":
        return False
    return before in (entry.hash, entry.intended) or (held is not None and held == entry.version)


def _seen(theirs: bytes, base: str, held: str | None) -> Entry:
    return Entry("confirmed", fingerprint(theirs, base), held)
