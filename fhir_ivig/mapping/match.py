"""What matching an element gives: cells, issues, whether its constants fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fhir_ivig.issue import Issue
from fhir_ivig.mapping.references import Lookup
from fhir_ivig.mapping.strictjson import shown
from fhir_ivig.mapping.template import Constant, Hole, Template, holes


@dataclass(slots=True)
class Match:
    """What an element holds: `cells` by column; `issues` without a row; `fits` is False where a constant differs.

    `void` tells of the status that says there is no such thing; `names` are others' identifiers, `system|value`.
    Besides columns, `cells` has `#id` for a local link, and the key of our own identifier under the empty name.
    """

    cells: dict[str, str | Lookup] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)
    fits: bool = True
    void: Issue | None = None
    names: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether nothing makes the row unusable."""
        return (
            self.fits
            and self.void is None
            and all(issue.severity in ("warning", "information") for issue in self.issues)
        )

    def add(self, other: Match) -> None:
        """Take over what another part of the element holds; cells that differ from those here are an error."""
        for column, cell in other.cells.items():
            before = self.cells.setdefault(column, cell)
            if before != cell and isinstance(before, str) and isinstance(cell, str):
                said = f"Two places differ: `{shown(before)}` and `{shown(cell)}`."
                self.issues.append(Issue("error", "conflict", said, column=column))
        self.issues += other.issues
        self.fits &= other.fits
        self.void = self.void or other.void


def own_holes(node: Template) -> Iterator[Hole]:
    """The holes that a row fills, not a study's parameter."""
    return (hole for hole in holes(node) if not hole.columns[0].startswith("$"))


def local_link(node: Constant) -> str | None:
    """The name that a contained resource's id and the reference to it share; None: the constant is neither."""
    if node.path.endswith(".contained.id"):
        return f"#{node.text}"
    return node.text if node.text.startswith("#") and node.path.endswith(".reference") else None
