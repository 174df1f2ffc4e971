"""A plan as one HTML page to read and print, with nothing fetched from anywhere."""

from __future__ import annotations

from html import escape

from fhir_ivig.sync.planned import Change, Planned, shown

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #8888; }
td { overflow-wrap: anywhere; } .number { text-align: right; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .3rem 0; }
@media print { body { margin: 0; } tr { break-inside: avoid; } }
"""
_STATES = {
    "create": "new: will be created",
    "update": "changed in the study: will be updated",
    "unchanged": "equal: not sent",
    "linked": "Patients of the hospital: pointed at, not sent",
    "conflict": "changed at the target by somebody else: will not be overwritten",
    "left": "left the study: marked as entered in error only with --withdraw",
    "refused": "cannot be sent",
    "withheld": "rows withheld: something in them is wrong",
}


def page(planned: Planned) -> str:
    """The page: how many of each, then each resource that changes, with its old and new values, then the Issues."""
    counts = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="number">{count}</td><td>{_STATES[name]}</td></tr>'
        for name, count in planned.counts.items()
    )
    issues = "".join(f"<li>{escape(str(issue))}</li>" for issue in planned.issues)
    changes = "".join(map(_change, planned.changes))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Plan of a push to {escape(planned.target)}</title><style>{_STYLE}</style></head><body>
<h1>What a push would do</h1>
<p>Study <b>{escape(planned.study)}</b> to <b>{escape(planned.target)}</b>. Nothing has been sent.</p>
<table><caption>Resources, by what becomes of them</caption>
<thead><tr>{_heads("State", "How many", "Meaning")}</tr></thead>
<tbody>{counts}</tbody></table>
<h2>Changes</h2>
{changes or "<p>None.</p>"}
<h2>Issues</h2>
{f"<ul>{issues}</ul>" if issues else "<p>None.</p>"}
</body></html>
"""


def _change(change: Change) -> str:
    place = f"{escape(change.file)}, row {change.row}: " if change.file else ""
    rows = "".join(
        f'<tr><th scope="row">{escape(column or "")}</th><td>{escape(path)}</td>'
        f"<td>{escape(shown(theirs, None))}</td><td>{escape(shown(ours, None))}</td></tr>"
        for path, column, theirs, ours in change.values
    )
    caption = f"<caption>{place}{escape(change.ref)}, <b>{escape(change.state)}</b></caption>"
    heads = _heads("Column", "FHIRPath", "At the target", "In the study")
    return f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _heads(*names: str) -> str:
    return "".join(f'<th scope="col">{name}</th>' for name in names)
