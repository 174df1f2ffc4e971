"""Resources that no mapping takes: what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fhir_ivig.issue import SEVERITIES, Issue, from_outcome
from fhir_ivig.mapping.elements import elements
from fhir_ivig.mapping.strictjson import codings, strict_json

if TYPE_CHECKING:
    from fhir_ivig.mapping.columns import Lines


def unclaimed(kind: str, version: str, lines: Lines, place: int, names: list[str], claims: int) -> list[Issue]:
    """Why a resource gives no row, without file and line.

    `kind` is its type (empty: it has none), `names` the elements that mappings of that type claim it by, `claims` how
    many did. A code that nobody asked for is information, no code to know it by a warning, and what is no resource of
    this FHIR version, or is claimed twice, an error. An OperationOutcome where data should be gives its own issues.
    """
    if claims > 1:
        said = f"Several mappings claim this {kind}: their `claims` must tell them apart."
        return [Issue("error", "conflict", said, path=kind)]
    if not kind:
        return [Issue("error", "structure", "It has no resourceType: this is no FHIR resource.")]
    if kind == "OperationOutcome":
        return _outcome(lines.text(place))
    if "implicitRules" not in elements(version, kind):  # which every resource has, and no data type
        return [Issue("error", "not-supported", f"`{kind[:60]}` is no resource type of FHIR {version}.")]
    if not names:
        return [Issue("information", "not-supported", f"No mapping reads a {kind}; it gives no row.", path=kind)]
    for name in names:
        try:
            found = _codings(lines, name, place)
        except ValueError as error:
            return [Issue("error", "structure", f"This is not FHIR JSON: {error}.", path=f"{kind}.{name}")]
        if found:
            said = f"No mapping claims this {kind} with {', '.join(found[:3])}; it gives no row."
            return [Issue("information", "not-supported", said, path=f"{kind}.{name}")]
    said = f"No code with its system in {' or '.join(names)} says what this {kind} is; it gives no row."
    return [Issue("warning", "not-supported", said, path=f"{kind}.{names[0]}")]


def _codings(lines: Lines, name: str, place: int) -> list[str]:
    found = lines.raw(name)
    return codings(strict_json(bytes(found[place]))) if found and len(found[place]) else []


def _outcome(text: bytes) -> list[Issue]:
    """The issues of an OperationOutcome that stands where data should."""
    unread = Issue("error", "structure", "This OperationOutcome cannot be read.")
    try:
        found = from_outcome(strict_json(text))
    except (ValueError, AttributeError, TypeError, KeyError, IndexError):
        return [unread]
    sound = all(issue.severity in SEVERITIES and _texts(issue.code, issue.text, issue.path or "") for issue in found)
    return found if sound and found else [unread]


def _texts(*values: Any) -> bool:
    return all(isinstance(value, str) for value in values)
