"""Where the data came from, and what was wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from fhir_ivig.issue import SEVERITIES, Issue, ranked
from fhir_ivig.report import words
from fhir_ivig.report.material import Material
from fhir_ivig.report.sheet import Sheet

SHOWN = 200  # Issues in the report; their counts are of all


def facts(material: Material) -> list[tuple[str, str]]:
    """Name and value of what identifies the study, the source and the software."""
    study, manifest = material.study, material.manifest
    versions = manifest.get("versions", {})
    pulled = [
        ("Source", _text(manifest.get("source"))),
        ("Time of the server", _text(manifest.get("server_time"))),
        ("Time of the pull", _text(manifest.get("time"))),
        ("Software of the source", ", ".join(f"{name} {version}" for name, version in _items(versions))),
        ("Completeness", _completeness(manifest)),
    ]
    local = [("Source", "tables on disk, not pulled from a server: no resource stands behind their rows")]
    found = [
        ("Study", _text(study.get("study"))),
        ("Status", _text(study.get("status"))),
        ("Identifiers begin with", _text(study.get("base"))),
        ("FHIR version", _text(study.get("fhir_version"))),
        *(pulled if manifest else local),
        ("Report made", material.made),
        ("Made by", f"fhir-ivig {material.version}"),
    ]
    return [(name, value) for name, value in found if value]


def source(material: Material) -> str:
    """One sentence: from where, as of when, whether whole."""
    manifest = material.manifest
    if not manifest:
        return "From tables on disk."
    when = manifest.get("server_time") or manifest.get("time") or "an unknown time"
    return f"Pulled from {_text(manifest.get('source'))} as of {when}, {_completeness(manifest)}."


def manifest_sheet(material: Material) -> Sheet | None:
    """What the server promised and what came, by resource type; None for tables that were not pulled."""
    expected, received = (dict(_items(material.manifest.get(name, {}))) for name in ("expected", "received"))
    if not received and not expected:
        return None
    rows = [
        (name, _text(expected.get(name)) or "not said", _text(received.get(name)) or "0")
        for name in sorted(expected.keys() | received.keys())
    ]
    return Sheet("Resources asked for and received", ("Resource", "Promised", "Received"), rows, numbers=(1, 2))


def hash_sheet(material: Material) -> Sheet:
    """The files that were read, each with its SHA-256."""
    return Sheet("Files read", ("File", "SHA-256"), list(material.hashes.items()))


def issue_counts(issues: list[Issue]) -> list[tuple[str, int]]:
    """How many Issues of each severity, the worst first."""
    counts = Counter[str](issue.severity for issue in issues)
    return [(severity, counts[severity]) for severity in SEVERITIES if counts[severity]]


def issue_sheet(issues: list[Issue]) -> Sheet | None:
    """The Issues, the worst first, none dropped without a word; None where there is none."""
    if not issues:
        return None
    rows = [(issue.severity, issue.place, issue.text) for issue in ranked(issues)[:SHOWN]]
    more = len(issues) - SHOWN
    note = f"{words.counted(more, 'further issue')} not shown here; the worst come first." if more > 0 else ""
    return Sheet("Issues", ("Severity", "Place", "What, and what to do"), rows, note=note)


def _completeness(manifest: Mapping[str, Any]) -> str:
    refused, failed = manifest.get("refused"), manifest.get("failed")
    said = ["complete" if manifest.get("complete") is True else "NOT complete"]
    said += [f"{refused} refused"] if refused else []
    said += [f"{len(failed)} requests failed"] if isinstance(failed, list) and failed else []
    return ", ".join(said)


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _text(value: Any) -> str:
    return "" if value is None else str(value)
