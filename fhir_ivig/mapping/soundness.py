"""Whether a mapping runs both ways: what no single element of its template tells, asked of the whole.

Every word of a code map must be known again by what is written for it, a hole that repeats must have a list item to
itself, what a mapping claims must be written in every row, and no mapping may claim what another writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations
from typing import TYPE_CHECKING

from fhir_ivig.issue import Code, Issue
from fhir_ivig.mapping.primitives import expected, fits
from fhir_ivig.mapping.template import (
    ALSO,
    Constant,
    Group,
    Hole,
    Items,
    Template,
    constants,
    holes,
    marks,
    parameters,
    repeats,
)

if TYPE_CHECKING:
    from fhir_ivig.mapping import mapping as language

Problem = tuple[int, str, str, Code]  # line, FHIRPath, what is wrong, what kind of thing that is


def unsound(mapping: language.Mapping) -> Iterator[Issue]:
    """What is wrong with a mapping by itself, as fatal Issues."""
    for template in mapping.templates:
        for problem in (*_repeats(template), *_code_maps(template), *_units(template), *_local_links(template)):
            yield _issue(mapping, *problem)
    for problem in _claims(mapping):
        yield _issue(mapping, *problem)
    if (own := mapping.resource.members.get("id")) is not None:
        yield _issue(mapping, own.line, own.path, "The id is made from the key: take it out.", "structure")


def confused(loaded: Mapping[str, language.Mapping]) -> Iterator[Issue]:
    """The mappings that claim the resources of another."""
    for one, other in permutations(loaded.values(), 2):
        same_type = one.resource_type == other.resource_type
        if same_type and _claimed(one) <= marks(other.resource):
            said = f"{one.name} claims its resources too: the `claims` of both must tell them apart."
            yield _issue(other, other.resource.line, other.resource_type, said, "conflict")


def misfits(mapping: language.Mapping, given: dict[str, str]) -> Iterator[Issue]:
    """The constants that a study's parameters make something else than FHIR wants there."""
    for constant in (each for template in mapping.templates for each in constants(template)):
        if parameters(constant) and not fits(constant.type, text := constant.bound(given)):
            said = f"With the study's parameters this is `{text}`, and not {expected(constant.type)}."
            yield _issue(mapping, constant.line, constant.path, said, "value")


def _issue(mapping: language.Mapping, line: int, path: str, said: str, code: Code) -> Issue:
    return Issue("fatal", code, said, mapping.file, line, path=path.replace(ALSO, ""))


def _repeats(template: Template) -> Iterator[Problem]:
    alone = {id(hole) for _, hole in repeats(template)}
    for hole in holes(template):
        if hole.repeat and hole.target:
            yield hole.line, hole.path, "A Reference does not repeat: name one resource.", "structure"
        elif hole.repeat and id(hole) not in alone:
            said = "A hole that repeats needs a list item of its own, with no other hole in it."
            yield hole.line, hole.path, said, "structure"


def _code_maps(template: Template) -> Iterator[Problem]:
    for hole in holes(template):
        for cell, values in hole.entries.items():
            if not marks(values[0]):
                said = f"Nothing tells `{cell}` of `{hole.via}` when it is read: give it a code."
                yield values[0].line, hole.path, said, "structure"
        for (cell, written), (other, known) in permutations(hole.entries.items(), 2):
            if any(marks(each) and marks(each) <= marks(written[0]) for each in known):
                said = f"What is written for `{cell}` of `{hole.via}` is read as `{other}` too."
                yield written[0].line, hole.path, said, "structure"


def _units(template: Template) -> Iterator[Problem]:
    """Quantities are read in the unit of their fixed code: its name can then be one word only."""
    if isinstance(template, Group) and template.type == "Quantity":
        unit = template.members.get("unit")
        if isinstance(template.members.get("code"), Constant) and isinstance(unit, Hole) and len(unit.entries) != 1:
            said = "The code of this unit is fixed: go `via` a code map with one word for it."
            yield unit.line, unit.path, said, "structure"
    elif isinstance(template, Group | Items):
        for child in template.members.values() if isinstance(template, Group) else template.items:
            yield from _units(child)


def _local_links(template: Template) -> Iterator[Problem]:
    known = {f"#{each.text}" for each in constants(template) if each.path.endswith(".contained.id")}
    for each in constants(template):
        if each.path.endswith(".reference") and each.text.startswith("#") and each.text not in known:
            yield each.line, each.path, f"Nothing contained has the id `{each.text[1:]}`.", "not-found"


def _claims(mapping: language.Mapping) -> Iterator[Problem]:
    always = {*mapping.key, *mapping.required}
    for name in mapping.claims:
        node = mapping.resource.members[name]
        inside = list(holes(node))
        fixed = isinstance(node, Items) and any(next(holes(item), None) is None for item in node.items)
        if not marks(node):
            said = f"`{name}` has nothing fixed in it that a resource could be claimed by."
            yield node.line, node.path, said, "structure"
        elif inside and not fixed and not any(always.issuperset(_columns(hole)) for hole in inside):
            said = (
                f"`{name}` is not written where its columns are empty: require one of them, or claim something else."
            )
            yield node.line, node.path, said, "structure"


def _columns(hole: Hole) -> set[str]:
    return {name for name in hole.columns if name[0] != "$"}


def _claimed(mapping: language.Mapping) -> set[tuple[str, str]]:
    """What a mapping knows its resources by, besides their type."""
    return {mark for name in mapping.claims for mark in marks(mapping.resource.members[name])}
