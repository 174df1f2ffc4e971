"""The report: one HTML page in which nothing is fetched from anywhere, and its figures."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from fhir_ivig.report import endpoint_table, methods, provenance, words
from fhir_ivig.report.material import Material

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Report:
    """The page."""

    html: str


def report(material: Material, progress: Callable[..., None] | None = None) -> Report:
    """The report on a study. Every text of the study and its patients is escaped: none becomes markup."""
    return Report(_page(material))


def _page(material: Material) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (HERE / "style.css").read_text("utf-8")
    context: dict[str, Any] = {
        "study": material.study,
        "incomplete": material.incomplete,
        "facts": provenance.facts(material),
        "received": provenance.manifest_sheet(material),
        "hashes": provenance.hash_sheet(material),
        "groups": endpoint_table.groups(material.results),
        "compared": any(result.published is not None for result in material.results),
        "kinds": methods.kinds(material),
        "methods": methods.methods(material),
        "general": methods.GENERAL,
        "references": methods.references(material),
        "issue_counts": provenance.issue_counts(material.issues),
        "issues": provenance.issue_sheet(material.issues),
        "counted": words.counted,
        "style": style,
        "style_hash": _hash(style),
    }
    return environment.get_template("report.html").render(context)


def _hash(text: str) -> str:
    """The source expression by which a Content-Security-Policy allows just this text."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
