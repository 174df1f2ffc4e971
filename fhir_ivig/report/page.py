"""The report: one HTML page in which nothing is fetched from anywhere, and its figures."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from fhir_ivig.pages import template
from fhir_ivig.report import endpoint_table, events, methods, provenance, words
from fhir_ivig.report.baseline import baseline
from fhir_ivig.report.drawing import Figures, draw
from fhir_ivig.report.figures.figure import Figure
from fhir_ivig.report.figures.palette import dark_style
from fhir_ivig.report.material import Material
from fhir_ivig.report.series import Clock, everyone
from fhir_ivig.report.sheet import Sheet
from fhir_ivig.report.steps import steps

HERE = Path(__file__).parent
LISTED = 300  # rows of a figure's values on the page; all are in its file


@dataclass(frozen=True, slots=True)
class Report:
    """The page, and its figures for files of their own."""

    html: str
    figures: list[Figure]


def report(material: Material, progress: Callable[..., None] | None = None) -> Report:
    """The report on a study. Every text of the study and its patients is escaped: none becomes markup."""
    clock = Clock(material, everyone(material))
    figures = draw(material, clock, progress or (lambda name, *counts: None))
    return Report(_page(material, clock, figures), figures.every())


def shortened(sheet: Sheet) -> Sheet:
    """A figure's values as far as a page has room for them, the rest named."""
    more = len(sheet.rows) - LISTED
    if more <= 0:
        return sheet
    note = f"{words.counted(more, 'further row')}: all are in the file that --figures writes."
    return replace(sheet, rows=sheet.rows[:LISTED], note=note)


def _page(material: Material, clock: Clock, figures: Figures) -> str:
    style = (HERE / "style.css").read_text("utf-8") + dark_style()
    script = (HERE / "script.js").read_text("utf-8")
    context: dict[str, Any] = {
        "study": material.study,
        "incomplete": material.incomplete,
        "facts": provenance.facts(material),
        "received": provenance.manifest_sheet(material),
        "hashes": provenance.hash_sheet(material),
        "flow": steps(material),
        "source": provenance.source(material),
        "figures": figures,
        "baseline": baseline(material),
        "events": events.summary(material),
        "listing": events.listing(material, clock),
        "shortened": shortened,
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
        "script": script,
        "script_hash": _hash(script),
    }
    return template(HERE / "report.html").render(context)


def _hash(text: str) -> str:
    """The source expression by which a Content-Security-Policy allows just this text."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
