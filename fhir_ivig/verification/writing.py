"""A comparison for a terminal, and as files: tables, queries and a page."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from fhir_ivig.issue import Issue, failed, many
from fhir_ivig.spreadsheet import harmless
from fhir_ivig.sync.whole import whole_folder, write_manifest
from fhir_ivig.verification.difference import Agreement, Difference, Verification, total
from fhir_ivig.verification.page import page
from fhir_ivig.verification.queries import QUERY, query
from fhir_ivig.verification.verdict import KINDS


def kinds_table(found: Verification) -> str:
    """How many differences there are of each kind, and of which outcome."""
    rows = [("kind", "how many", "what it is")]
    rows += [(kind, str(count), KINDS[kind]) for kind, count in found.kinds.items()]
    widths = [max(len(row[place]) for row in rows) for place in (0, 1)]
    return "\n".join(f"{kind.ljust(widths[0])}  {count.rjust(widths[1])}  {what}" for kind, count, what in rows)


def said(found: Verification) -> str:
    """All of it in one line."""
    sums = total(found.agreement)
    counts = {
        "equal": sums.equal,
        "different": sums.different,
        "only in the study": sums.only_study,
        "only in the record": sums.only_record,
        "not comparable": sums.not_comparable,
        "uncertain": sums.uncertain,
    }
    shown = ", ".join(f"{count} {name}" for name, count in counts.items() if count or name == "equal")
    left_out = f" Not compared: {'; '.join(found.left_out)}." if found.left_out else ""
    percent = f" ({sums.percent} %)" if sums.cells else ""
    return f"{sums.cells} cells: {shown}{percent}; {many(len(found.differences), 'difference')}.{left_out}"


def write_verification(found: Verification, out: Path, inputs: Iterable[Path]) -> list[Issue]:
    """differences.csv, queries.csv, agreement.csv and diff.html in a folder (0700), whole or not at all.

    Cells that a spreadsheet would run as formulas get an apostrophe; how many is an Issue.
    """
    issues: list[Issue] = []
    with whole_folder(out, inputs) as folder:
        differences = [one.as_dict() for one in found.differences]
        agreement = [one.as_dict() for one in found.agreement]
        queries = [query(one) for one in found.differences]
        for name, rows, columns in (
            ("differences", differences, [field.name for field in fields(Difference)]),
            ("queries", queries, QUERY),
            ("agreement", agreement, list(Agreement("", "", "").as_dict())),
        ):
            issues += _write(folder / f"{name}.csv", rows, columns)
        (folder / "diff.html").write_text(page(found), "utf-8")
        manifest = {
            "complete": not failed(found.issues),
            "differences": len(found.differences),
            "issues": len(found.issues),
        }
        write_manifest(folder, manifest)
    return issues


def _write(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> list[Issue]:
    changed = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            cells = [_text(row[name]) for name in columns]
            made = [harmless(cell) for cell in cells]
            changed += sum(cell != other for cell, other in zip(cells, made, strict=True))
            writer.writerow(made)
    if not changed:
        return []
    text = f"An apostrophe stands before {many(changed, 'cell')} that would run as a formula in a spreadsheet."
    return [Issue("information", "security", text, path.name)]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
