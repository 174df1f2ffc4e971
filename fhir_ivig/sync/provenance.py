"""Who sent what: one Provenance resource a push (https://hl7.org/fhir/R4/provenance.html), if somebody wants it.

R4 and R5 both take `target`, `recorded` and `agent.who.display`; it names the stored resources with their versions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import uuid4

from fhir_ivig.fhir.bundle import Put
from fhir_ivig.fhir.compare import UnreadableError, compare
from fhir_ivig.issue import Issue, IssueError, failed
from fhir_ivig.sync.plan import Target

TARGETS = 1000  # a resource
_VERSION = re.compile(rb'/_history/[^"/]+"')


def record(store: Target, agent: str, stored: Mapping[str, str | None]) -> list[Issue]:
    """Store at the target who (`agent`, as a person reads it) sent these resources (`Type/id` -> version), now; of
    very many, in several resources. The Issues of what was not stored."""
    refs = list(stored)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    issues: list[Issue] = []
    for start in range(0, len(refs), TARGETS):
        name = str(uuid4())
        targets = [_reference(ref, stored[ref]) for ref in refs[start : start + TARGETS]]
        resource = {
            "resourceType": "Provenance",
            "id": name,
            "target": targets,
            "recorded": now,
            "agent": [{"who": {"display": agent}}],
        }
        put = Put(f"Provenance/{name}", json.dumps(resource, ensure_ascii=False).encode())
        try:
            [answer] = store.put([put])
            said = list(answer.issues)
            if failed(said) and _only_versions_lost(store, put):
                text = (
                    "Who sent what (Provenance) is stored without the versions: the server keeps none in references."
                )
                said = [Issue("warning", "not-supported", text)]
        except IssueError as error:
            said = error.issues
        if failed(said):
            text = "The resources are stored, but not who sent them (Provenance)."
            issues.append(Issue("warning", "incomplete", text))
        issues += [issue.at(severity="warning") for issue in said]
    return issues


def _only_versions_lost(store: Target, put: Put) -> bool:
    """Whether the target has it with references to the same resources, of no version; some strip these (HAPI)."""
    kind, _, name = put.ref.partition("/")
    held = store.look_up(kind, {name: put.resource}).get(name)
    ours = _VERSION.sub(b'"', put.resource)
    try:
        return isinstance(held, bytes) and not compare(ours, held, store.base).content
    except UnreadableError:
        return False


def _reference(ref: str, version: str | None) -> dict[str, str]:
    return {"reference": f"{ref}/_history/{version}" if version else ref}
