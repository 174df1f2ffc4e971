"""In which order resource types are sent: each after all that it refers to."""

from __future__ import annotations

from collections.abc import Mapping, Set

# What others refer to goes first where the references themselves leave it open.
_USUAL = ("Organization", "Practitioner", "ResearchStudy", "Patient", "ResearchSubject", "Condition", "Medication")


def waves(needs: Mapping[str, Set[str]]) -> list[list[str]]:
    """Resource types in levels, each after all it refers to; a circle is opened where the usual order says."""

    def rank(kind: str) -> tuple[int, str]:
        return (_USUAL.index(kind) if kind in _USUAL else len(_USUAL), kind)

    left, levels = sorted(needs, key=rank), list[list[str]]()
    while left:
        free = [kind for kind in left if not (needs[kind] - {kind}) & set(left)]
        levels.append(free or left[:1])
        left = [kind for kind in left if kind not in levels[-1]]
    return levels
