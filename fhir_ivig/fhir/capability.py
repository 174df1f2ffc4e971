"""What a server says it can, what is known of its kind, what a probe saw, and how it will be treated for that.

CapabilityStatement: https://hl7.org/fhir/R4/capabilitystatement.html. It is a hint: what was seen counts most, then
what is known (presets.yaml), then what is said; what server.yaml states is done in any case.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from fhir_ivig.fhir.probe import Seen
from fhir_ivig.fhir.settings import ServerSettings, known_of, presets
from fhir_ivig.issue import Issue, IssueError

RELEASES = {"4.0": "R4", "4.1": "R4B", "4.3": "R4B", "5.0": "R5"}  # https://hl7.org/fhir/versions.html
KNOWN = ("update_create", "conditional_create", "if_match")
Says = Literal["yes", "no", "partly", "unsaid"]
NAMES = {
    "update_create": "update as create",
    "conditional_create": "conditional create",
    "if_match": "If-Match",
    "transaction": "transaction",
    "strict": "strict handling",
    "export": "bulk export",
    "smart": "SMART",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One ability: what the server says, what its preset knows (yes, no, unknown), what a probe saw."""

    says: Says
    known: str = "unknown"
    seen: Seen | None = None


@dataclass(frozen=True, slots=True)
class Capability:
    """What follows for one server: `settings` are to be used, `why` says where strategy and bundle come from."""

    settings: ServerSettings
    software: str
    fhir_version: str | None
    facts: Mapping[str, Fact]
    why: Mapping[str, str]
    issues: tuple[Issue, ...]

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON takes it; no secret, and nothing of where one is."""
        names = (
            "base",
            "preset",
            "strategy",
            "bundle",
            "batch_entries",
            "batch_bytes",
            "connections",
            "page",
            "strict",
        )
        return {
            **{name: getattr(self.settings, name) for name in names},
            "software": self.software,
            "fhir_version": self.fhir_version,
            "facts": {name: asdict(fact) for name, fact in self.facts.items()},
            "why": dict(self.why),
            "issues": [issue.as_dict() for issue in self.issues],
        }


def examine(
    statement: Mapping[str, Any],
    settings: ServerSettings,
    types: Collection[str] = (),
    seen: Mapping[str, Seen] | None = None,
) -> Capability:
    """What a CapabilityStatement, the presets and a probe's `seen` mean for writing resources of `types` (of any type
    if none is named). Where server.yaml names no preset, the server's own name may tell it."""
    named = software(statement) or "unnamed software"
    settings, by = _with_preset(settings, named)
    known = presets()[settings.preset]
    rolls_back = "yes" if known["bundle"] == "transaction" else "unknown"
    abilities = {**{name: known[name] for name in KNOWN}, "transaction": rolls_back}
    facts = {
        name: Fact(says, abilities.get(name, "unknown"), (seen or {}).get(name))
        for name, says in _said(statement, types).items()
    }
    title = known["title"]
    strategy, why_strategy = _strategy(settings, facts, title)
    bundle, why_bundle = _bundle(settings, facts, title)
    issues = tuple(_issues(statement, types))
    why = {"preset": by, "strategy": why_strategy, "bundle": why_bundle}
    return Capability(
        replace(settings, strategy=strategy, bundle=bundle), named, release(statement), facts, why, issues
    )


def release(statement: Mapping[str, Any]) -> str | None:
    """R4, R4B or R5, as the server says; None for any other version of FHIR."""
    return RELEASES.get(".".join(str(statement.get("fhirVersion")).split(".")[:2]))


def check_release(statement: Mapping[str, Any], version: str, base: str) -> None:
    """IssueError where the server at `base` says that it speaks another FHIR version than `version` (R4, R4B, R5)."""
    said = statement.get("fhirVersion")
    if said and release(statement) != version:
        text = f"{base} speaks FHIR {str(said)[:20]!a}, the study {version}: give --fhir-version, or another address."
        raise IssueError(Issue("fatal", "not-supported", text))


def software(statement: Mapping[str, Any]) -> str:
    """Name and version of the server's software, as far as it says them."""
    said = statement.get("software")
    said = said if isinstance(said, dict) else {}
    return " ".join(str(said[part])[:60] for part in ("name", "version") if part in said)


def _with_preset(settings: ServerSettings, software: str) -> tuple[ServerSettings, str]:
    """The settings with what the preset knows wherever server.yaml says nothing, and where the preset comes from."""
    if settings.preset != "generic" or "preset" in settings.stated:
        return settings, "named by you"
    for name, known in presets().items():
        if "software" in known and software.lower().startswith(known["software"]):
            found = {key: value for key, value in known_of(name).items() if key not in settings.stated}
            return replace(settings, **found), "told by the server's name"
    return settings, "the server's name tells nothing"


def _said(statement: Mapping[str, Any], types: Collection[str]) -> dict[str, Says]:
    rest = _rest(statement)
    resources = [entry for entry in _list(rest.get("resource")) if not types or entry.get("type") in types]
    interactions = {entry.get("code") for entry in _list(rest.get("interaction"))}
    operations = {
        entry.get("name") for part in (rest, *_list(rest.get("resource"))) for entry in _list(part.get("operation"))
    }
    bulk = any("bulk-data" in str(url) for url in statement.get("instantiates") or ())
    security = rest.get("security")
    return {
        "update_create": _of_all([entry.get("updateCreate") for entry in resources]),
        "conditional_create": _of_all([entry.get("conditionalCreate") for entry in resources]),
        "if_match": _of_all([_versioning(entry.get("versioning")) for entry in resources]),
        "transaction": "yes" if "transaction" in interactions else "no" if interactions else "unsaid",
        "strict": "unsaid",
        "export": "yes" if bulk or operations & {"export", "$export"} else "unsaid",
        "smart": "yes" if "smart" in str(security).lower() else "unsaid",
    }


def _of_all(said: list[Any]) -> Says:
    if not any(value is True or value is False for value in said):
        return "unsaid"
    return "yes" if all(value is True for value in said) else "partly" if True in said else "no"


def _versioning(said: Any) -> bool | None:
    """`versioned-update` takes If-Match: https://hl7.org/fhir/R4/valueset-versioning-policy.html"""
    return None if said is None else said == "versioned-update"


def _rest(statement: Mapping[str, Any]) -> dict[str, Any]:
    servers = [entry for entry in _list(statement.get("rest")) if entry.get("mode", "server") == "server"]
    return servers[0] if servers else {}


def _list(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _strategy(settings: ServerSettings, facts: Mapping[str, Fact], title: str) -> tuple[str, str]:
    if "strategy" in settings.stated:
        return settings.strategy, "stated by you"
    update, conditional = facts["update_create"], facts["conditional_create"]
    if update.seen and update.seen.does == "yes":
        return "client-id", "the probe saw update as create"
    if update.seen and conditional.seen:
        if conditional.seen.does == "yes":
            return "conditional-create", "the probe saw conditional create, and no update as create"
        return "search-create", "the probe saw neither update as create nor conditional create"
    if settings.preset != "generic":
        return settings.strategy, f"known of {title}"
    if update.says == "yes":
        return "client-id", "the server says that it takes update as create"
    if conditional.says == "yes":
        return "conditional-create", "the server says that it takes conditional create, but not update as create"
    return "search-create", "the server says neither of update as create nor of conditional create that it takes them"


def _bundle(settings: ServerSettings, facts: Mapping[str, Fact], title: str) -> tuple[str, str]:
    if "bundle" in settings.stated:
        return settings.bundle, "stated by you"
    transaction = facts["transaction"]
    if transaction.seen and transaction.seen.does != "unclear":
        done = transaction.seen.does == "yes"
        rolled = "was rolled back" if done else "was not rolled back"
        return "transaction" if done else "batch", f"the probe saw that a refused transaction {rolled}"
    if settings.bundle == "transaction" and transaction.says == "no":
        return "batch", "the server says that it takes no transactions"
    known = f"known of {title}" if settings.preset != "generic" else "nobody has seen that it rolls transactions back"
    return settings.bundle, known


def _issues(statement: Mapping[str, Any], types: Collection[str]) -> Iterator[Issue]:
    if release(statement) is None:
        said = statement.get("fhirVersion")
        speaks = f"speaks FHIR {str(said)[:20]!a}" if said else "does not say which FHIR version it speaks"
        yield Issue("error", "not-supported", f"the server {speaks}: R4, R4B and R5 are known here")
    named = {entry.get("type") for entry in _list(_rest(statement).get("resource"))}
    missing = sorted(set(types) - named)
    if missing and named:
        yield Issue("warning", "not-supported", f"the server names no {', '.join(missing)}: those may be refused")
