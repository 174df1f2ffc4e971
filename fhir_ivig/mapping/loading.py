"""The mapping files of a FHIR version: which there are, and in which order."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from graphlib import CycleError, TopologicalSorter
from importlib.resources import files
from pathlib import Path

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.mapping.elements import VERSIONS
from fhir_ivig.mapping.mapping import Mapping, load_mapping


def shipped() -> Path:
    """The folder of the mapping files that come with the package: in a wheel inside it, in a checkout beside it."""
    inside = Path(str(files("fhir_ivig"))) / "mappings"
    return inside if inside.is_dir() else inside.parent.parent / "mappings"


def load_all(version: str, folders: Iterable[Path], only: Collection[str] | None) -> dict[str, Mapping]:
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
        if only is None or name in only:
            try:
                loaded[name] = load_mapping(path, version)
            except IssueError as error:
                issues += error.issues
    if issues:
        raise IssueError(*issues)
    return {name: loaded[name] for name in _ordered(loaded)}


def _ordered(loaded: dict[str, Mapping]) -> list[str]:
    """Names of mappings, those that others refer to first; a missing target or a circle is an error."""
    issues = [
        Issue("fatal", "not-found", f"It refers to `{target}`, and there is no such mapping.", mapping.file)
        for mapping in loaded.values()
        for target in mapping.targets
        if target not in loaded
    ]
    if issues:
        raise IssueError(*issues)
    try:
        return list(TopologicalSorter({name: mapping.targets for name, mapping in loaded.items()}).static_order())
    except CycleError as error:
        named = ", ".join(error.args[1])
        raise IssueError(Issue("fatal", "structure", f"These mappings refer to each other: {named}.")) from None
