"""How each figure was reached, in words, and the papers behind that."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path

from fhir_ivig.endpoints.compute import KINDS
from fhir_ivig.report.material import Material
from fhir_ivig.yamltext import load, plain

HERE = Path(__file__).parent
GENERAL = (
    "Missing values are left out and counted unless an endpoint names another rule; who was left out stands with the "
    "endpoint. A value with a sign (<20), in another unit, or on a scale with another maximum is left out, "
    "not converted. Tests are two-sided. Estimates are computed in exact decimals and rounded half up "
    "for this page only."
)


@dataclass(frozen=True, slots=True)
class Method:
    """A method and the labels of the endpoints that use it."""

    words: str
    used_by: list[str]


@dataclass(frozen=True, slots=True)
class Reference:
    """A citation and its DOI, which may be empty."""

    text: str
    doi: str


def kinds(material: Material) -> list[Method]:
    """What each kind of endpoint in use computes; what methods.yaml does not tell, in the function's own words."""
    labels: dict[str, list[str]] = {}
    by_name = {result.endpoint: result.label for result in material.results}
    for name, entry in material.endpoints().items():
        if entry.get("kind") in KINDS and name in by_name:
            labels.setdefault(entry["kind"], []).append(by_name[name])
    told = plain(load(HERE / "methods.yaml"))
    return [Method(told.get(kind) or _prose(KINDS[kind].__doc__ or ""), used) for kind, used in labels.items()]


def methods(material: Material) -> list[Method]:
    """Each statistical method named by a result, with the endpoints that use it."""
    used: dict[str, dict[str, None]] = {}
    for result in material.results:
        if result.method and result.subject is None:
            used.setdefault(result.method, {})[result.label] = None
    return [Method(method, list(labels)) for method, labels in used.items()]


def references(material: Material) -> list[Reference]:
    """The study's own references, then those of the methods in use."""
    own = material.study.get("references", [])
    found = [Reference(entry.get("text", ""), entry.get("doi", "")) for entry in own if isinstance(entry, dict)]
    said = " ".join(method.words for method in [*kinds(material), *methods(material)])
    known = plain(load(HERE / "references.yaml"))
    return found + [Reference(entry["text"], entry.get("doi", "")) for entry in known if _names(said, entry["for"])]


def _names(said: str, words: Iterable[str]) -> bool:
    return any(word in said for word in words)


def _prose(docstring: str) -> str:
    """A docstring as running text: its paragraphs, without line ends."""
    return re.sub(r"\s+", " ", cleandoc(docstring)).replace("`", "").strip()
