"""A comparison as one HTML page to read, filter and print, with nothing fetched from anywhere."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path

from fhir_ivig.pages import template
from fhir_ivig.verification.difference import Agreement, Difference, Verification, total
from fhir_ivig.verification.verdict import KINDS

HERE = Path(__file__).parent
BETWEEN = ", "
LISTED = 20_000  # differences on the page; all are in differences.csv


@dataclass(frozen=True, slots=True)
class _Filter:
    """One thing to filter by: its name in the rows' data, its label, and each value with how many there are."""

    name: str
    label: str
    values: list[tuple[str, int]]


def page(found: Verification) -> str:
    """The page: how far both sides agree, by measure and site, then each difference with both values and places.
    Every text of a study or a record is escaped: none becomes markup. Without scripts all rows are shown."""
    style, script = ((HERE / name).read_text("utf-8") for name in ("page.css", "page.js"))
    sites = sorted({one.site for one in found.agreement})
    return template(HERE / "page.html").render(
        found=found,
        sums=total(found.agreement),
        sites=sites,
        lines=_lines(found.agreement, sites),
        groups=[
            (key, list(some))
            for key, some in groupby(found.differences[:LISTED], lambda one: (one.site, one.subject))
        ],
        filters=_filters(found.differences[:LISTED]),
        more=len(found.differences[LISTED:]),
        kinds={kind: KINDS[kind] for kind in found.kinds},
        topic=topic,
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
    )


def topic(one: Difference) -> str:
    """What a difference is filtered by: its measures, else its table."""
    return one.measure or one.table


def _lines(agreement: Iterable[Agreement], sites: list[str]) -> list[tuple[str, Agreement, list[Agreement | None]]]:
    """The agreement of each measure or table: in all, and by site."""
    found: dict[tuple[str, str], dict[str, Agreement]] = {}
    for one in agreement:
        found.setdefault((one.table, one.measure), {})[one.site] = one
    return [
        (measure or table, total(by_site.values()), [by_site.get(site) for site in sites])
        for (table, measure), by_site in found.items()
    ]


def _filters(differences: Iterable[Difference]) -> list[_Filter]:
    rows = list(differences)
    every = {
        ("subject", "Subject"): [one.subject for one in rows],
        ("topic", "Measure or table"): [topic(one) for one in rows],
        ("site", "Site"): [one.site for one in rows],
        ("kind", "Kind"): [one.kind for one in rows],
    }
    found = []
    for (name, label), texts in every.items():
        counts = Counter(
            part for text in texts for part in (text.split(BETWEEN) if name in ("subject", "topic") else [text])
        )
        found.append(_Filter(name, label, sorted((text, count) for text, count in counts.items() if text)))
    return found


def _hash(text: str) -> str:
    """The source expression by which a Content-Security-Policy allows just this text."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
