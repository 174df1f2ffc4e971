"""A plan as one HTML page to read and print, with nothing fetched from anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fhir_ivig.issue import Issue
from fhir_ivig.pages import template
from fhir_ivig.sync.planned import Change, Planned, shown

ALIKE = 3  # Issues that say the same; more are one, with their places folded
LISTED = 2000  # resources of a state on the page; all are in plan.json
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
# What a person must decide comes first.
_SECTIONS = {
    "conflict": (
        "Changed by somebody else",
        "These stay as they are at the target; where no field is shown, they were deleted there. Decide for each: "
        "--take ours=TYPE/ID sends the study's, --take theirs=TYPE/ID leaves the target's.",
    ),
    "update": ("Changed in the study", "What is at the target will be replaced by what is in the study."),
    "left": ("Left the study", "These are in the tables no more. Only --withdraw marks them as entered in error."),
}


@dataclass(frozen=True, slots=True)
class _Section:
    """The changes of one state, and how many more there are than a page has room for."""

    title: str
    lead: str
    changes: list[Change]
    more: int


def page(planned: Planned) -> str:
    """The page: how many of each, what is wrong, then each resource that changes, with its old and new values. Every
    text of a study, a patient or a server is escaped: none becomes markup."""
    return template(Path(__file__).parent / "page.html").render(
        planned=planned,
        states=_STATES,
        issues=list(_gathered(planned.issues)),
        sections=[section for state in _SECTIONS if (section := _section(planned, state)).changes],
        created=dict(sorted(Counter(ref.partition("/")[0] for ref in planned.created).items())),
        shown=lambda value: shown(value, None),
    )


def _gathered(issues: Sequence[Issue]) -> Iterator[tuple[Issue, list[str]]]:
    """The Issues; of many that say the same only the first, without a place, and the places of all."""
    alike: dict[tuple[str, str], list[Issue]] = {}
    for issue in issues:
        alike.setdefault((issue.severity, issue.text), []).append(issue)
    for found in alike.values():
        if len(found) > ALIKE and all(issue.place for issue in found):
            bare = Issue(found[0].severity, found[0].code, found[0].text)
            yield bare, list(dict.fromkeys(issue.place for issue in found))
        else:
            yield from ((issue, []) for issue in found)


def _section(planned: Planned, state: str) -> _Section:
    changes = [change for change in planned.changes if change.state == state]
    return _Section(*_SECTIONS[state], changes[:LISTED], len(changes[LISTED:]))
