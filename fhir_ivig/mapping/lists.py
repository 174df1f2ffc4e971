"""A list of anyone's resource against the items of a template: none, one, or (repeating) all that fit each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fhir_ivig.mapping.match import Match, own_holes
from fhir_ivig.mapping.reads import Reads
from fhir_ivig.mapping.strictjson import shown
from fhir_ivig.mapping.template import SEVERAL, Hole, Items, Template, holes

if TYPE_CHECKING:
    from fhir_ivig.mapping.matching import Matcher


def match_items(matcher: Matcher, node: Items, value: Any, match: Match, reads: Reads) -> None:
    """Adds what the items hold to `match`; an item that fits nothing is a warning where cells are lacking."""
    if reads.ignored and next(holes(node), None) is None:
        return
    if not isinstance(value, list) or not value:
        match.fits = False
        said = f"FHIR has a list here, with something in it; this is `{shown(value)}`."
        matcher.issue(match, "structure", said, node)
        return
    taken: set[int] = set()
    for item in node.items:
        trials = {place: matcher.trial(item, each) for place, each in enumerate(value) if place not in taken}
        broken = [issue for trial in trials.values() if not trial.fits for issue in trial.issues]
        match.issues += [issue for issue in broken if issue.code == "structure" and issue not in match.issues]
        taken |= {place for place, trial in trials.items() if trial.fits}
        fitting = [trial for trial in trials.values() if trial.fits]
        if isinstance(item, Hole) and item.via:  # among codes of other systems the one that the map has
            fitting = [trial for trial in fitting if trial.clean] or fitting
        _take(matcher, item, fitting, value, match)
    unread = [hole.columns[0] for hole in own_holes(node) if hole.columns[0] not in match.cells]
    if len(taken) < len(value) and unread and not node.path.endswith((".identifier", ".extension")):
        columns = ", ".join(dict.fromkeys(unread))
        matcher.issue(match, "incomplete", f"An item here fits no mapping; {columns} may be lost.", node, "warning")


def _take(matcher: Matcher, item: Template, fitting: list[Match], value: Any, match: Match) -> None:
    """What the items that fit one item of the template hold."""
    repeat = next((hole for hole in holes(item) if hole.repeat), None)
    if repeat and fitting:
        _several(matcher, repeat, fitting, match)
    elif any(trial.cells != fitting[0].cells for trial in fitting):
        matcher.issue(match, "conflict", f"{len(fitting)} items fit where one is expected.", item)
    elif fitting:
        match.add(fitting[0])
    elif next(holes(item), None) is None:
        match.fits = False
        said = f"No item of `{shown(value)}` has the fixed values that the mapping expects."
        matcher.issue(match, "required", said, item)


def _several(matcher: Matcher, hole: Hole, fitting: list[Match], match: Match) -> None:
    """The words of a hole that repeats, in one cell."""
    words = [str(trial.cells.pop(hole.columns[0])) for trial in fitting if hole.columns[0] in trial.cells]
    if any(SEVERAL in word for word in words):
        matcher.issue(match, "value", f"A `{SEVERAL}` in a word would make two of it.", hole)
        return
    for trial in fitting:
        match.add(trial)
    if words:
        matcher.fill(hole, hole.columns[0], SEVERAL.join(words), match)
