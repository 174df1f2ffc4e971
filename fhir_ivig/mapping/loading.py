"""The mapping files of a FHIR version: which there are, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from graphlib import CycleError, TopologicalSorter
from importlib.resources import files
from pathlib import Path

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.mapping.elements import VERSIONS
from fhir_ivig.mapping.mapping import Mapping, load_mapping
from fhir_ivig.mapping.soundness import confused


def shipped() -> Path:
    """The folder of the mapping files that come with the package: in a wheel inside it, in a checkout beside it."""
    inside = Path(str(files("fhir_ivig"))) / "mappings"
    return inside if inside.is_dir() else inside.parent.parent / "mappings"


def load_all(version: str, folders: Iterable[Path]) -> dict[str, Mapping]:
    """The mappings of the shipped folder and of further ones by name, those that others refer to first.

    `Mappings.load` says how. Raises IssueError with the problems of all files.
    """
    paths: dict[str, Path] = {}
    issues: list[Issue] = []
    for folder in (shipped(), *folders):
        if not folder.is_dir():
            issues.append(Issue("fatal", "not-found", "There is no such folder of mapping files.", str(folder)))
        paths |= {path.stem: path for path in sorted(folder.glob("*.yaml"))}
        if VERSIONS.get(version) == "R5":
            paths |= {path.stem: path for path in sorted((folder / "R5").glob("*.yaml"))}
    loaded: dict[str, Mapping] = {}
    for name, path in paths.items():
        try:
            loaded[name] = load_mapping(path, version)
        except IssueError as error:
            issues += error.issues
    if issues:
        raise IssueError(*issues)
    return {name: loaded[name] for name in _ordered(loaded)}


def _ordered(loaded: dict[str, Mapping]) -> list[str]:
    """Names of mappings, those that others refer to first; a wrong reference or a circle is an error."""
    wrong = [issue for mapping in loaded.values() for issue in _wrong_references(mapping, loaded)]
    if issues := wrong or list(confused(loaded)):
        raise IssueError(*issues)
    try:
        return list(TopologicalSorter({name: mapping.targets for name, mapping in loaded.items()}).static_order())
    except CycleError as error:
        first, second, *_ = circle = error.args[1]  # the second refers to the first
        hole = next(hole for hole in loaded[second].references if hole.target == first)
        said = f"These mappings refer to each other: {', '.join(dict.fromkeys(circle))}."
        raise IssueError(Issue("fatal", "structure", said, loaded[second].file, hole.line, path=hole.path)) from None


def _wrong_references(mapping: Mapping, loaded: dict[str, Mapping]) -> Iterator[Issue]:
    """The References to a mapping that is not there, has another key, or makes what FHIR does not allow there."""
    for hole in mapping.references:
        wrong = partial(Issue, "fatal", file=mapping.file, row=hole.line, path=hole.path)
        target = loaded.get(hole.target or "")
        if target is None:
            yield wrong("not-found", f"It refers to `{hole.target}`, and there is no such mapping.")
        elif hole.types and target.resource_type not in hole.types:
            allowed = ", ".join(hole.types)
            yield wrong("structure", f"`{hole.target}` is a {target.resource_type}: FHIR allows here {allowed}.")
        elif len(hole.columns) != len(target.key):
            key = ", ".join(target.key)
            yield wrong("structure", f"The key of `{hole.target}` is {key}: name a column for each.")
