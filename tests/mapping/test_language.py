"""What a mapping file must not say: each mistake is refused when it is loaded, with its line and FHIRPath.

Two ways: cases written down (`cases/language.yaml`), and every shipped file with every mistake of a few kinds in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.mapping.collection import Mappings
from fhir_ivig.mapping.elements import Element, elements
from fhir_ivig.mapping.loading import shipped
from fhir_ivig.mapping.mapping import load_mapping
from fhir_ivig.mapping.primitives import TEXT_TYPES
from fhir_ivig.mapping.template import Constant, parameters

CASES: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "cases/language.yaml").read_text("utf-8"))
SOUND: str = CASES["sound"]


def changed(replace: list[list[str]]) -> str:
    """The sound file with passages replaced, each of which stands in it once."""
    text = SOUND
    for old, new in replace:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def refused(text: str, version: str = "R4") -> list[Issue]:
    """The Issues of a text; none if it is loaded."""
    try:
        load_mapping(text, version, "case")
    except IssueError as error:
        return error.issues
    return []


def compare(issues: list[Issue], expected: list[list[Any]]) -> None:
    """Exactly the Issues that a case tells: their places, and a fragment of what each says."""
    told = "\n".join(map(str, issues))
    assert sorted(map(place, issues)) == sorted((str(row), str(path)) for row, path, _ in expected), told
    for row, path, fragment in expected:
        said = [issue.text for issue in issues if place(issue) == (str(row), str(path))]
        assert any(fragment in text for text in said), told
    assert all(issue.severity == "fatal" and issue.text.endswith((".", "?")) for issue in issues), told


def place(issue: Issue) -> tuple[str, str]:
    return str(issue.row), str(issue.path)


def test_the_sound_file_is_sound() -> None:
    assert refused(SOUND) == []
    assert load_mapping(SOUND, name="case").columns == (
        *("subject", "visit", "date", "value", "unit", "missing_reason", "measure"),
    )


def test_doubled_braces_are_literal_and_parameters_are_not() -> None:
    constant = Constant("{{$base}} {{{$base}}}", "string", "Annotation.text", 1)
    assert constant.bound({"base": "b}}"}) == "{$base} {b}}}"
    assert parameters(constant) == {"base"}


@pytest.mark.parametrize("name", CASES["files"])
def test_a_mistake_in_a_file(name: str) -> None:
    case = CASES["files"][name]
    text = case["text"] if "text" in case else changed(case["replace"])
    issues = refused(text, case.get("version", "R4"))
    compare(issues, case["issues"])
    assert {issue.file for issue in issues} == {"case.yaml"}


@pytest.mark.parametrize("name", CASES["folders"])
def test_a_mistake_among_files(name: str, tmp_path: Path) -> None:
    case = CASES["folders"][name]
    for file, said in case["files"].items():
        (tmp_path / f"{file}.yaml").write_text(said if isinstance(said, str) else changed(said), "utf-8")
    with pytest.raises(IssueError) as caught:
        Mappings.load(case.get("version", "R4"), [tmp_path]).bind(
            "https://example.org", {"study": "s", "mrn_system": "m", "title": "two words"}
        )
    compare(caught.value.issues, [issue[1:] for issue in case["issues"]])
    assert {Path(str(issue.file)).stem for issue in caught.value.issues} == {issue[0] for issue in case["issues"]}


def test_what_is_right_among_files(tmp_path: Path) -> None:
    (tmp_path / "extra.yaml").write_text(SOUND.replace("case-1", "case-2"), "utf-8")
    assert "extra" in Mappings.load("R4", [tmp_path]).by_name


# Every shipped file, with a mistake in every place.


@dataclass(frozen=True)
class Mutant:
    """A shipped file with one mistake on one line."""

    kind: str
    line: int
    text: str


@dataclass(frozen=True)
class Place:
    """A scalar of the `resource` part: a name with `element` None, or a value of `element`; `bound`: its code must be
    one of a value set."""

    node: Any
    element: Element | None
    bound: bool


def places(node: Any, version: str, type_name: str, bound: bool = False) -> Iterator[Place]:
    """Every scalar below a YAML mapping node of a FHIR type."""
    known = elements(version, type_name)
    for key, value in node.value:
        yield Place(key, None, False)
        if key.value == "resourceType":
            yield Place(value, Element("resourceType", "code", False, True, None, False, ()), True)
            continue
        element = known[key.value]
        for item in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if isinstance(item, yaml.ScalarNode):
                inside = type_name == "Coding" and key.value == "code" and bound
                yield Place(item, element, inside or (element.type == "code" and element.codes is not None))
            else:
                inner = {k.value: v.value for k, v in item.value}.get("resourceType", element.type)
                yield from places(item, version, inner, element.codes is not None or (bound and inner == "Coding"))


@cache
def mutants(version: str, path: Path) -> list[Mutant]:
    """A file with every mistake, one at a time.

    Names: the last letter missing, the first in the other case. Codes bound to a value set (and `resourceType`):
    another word. Values: in a list, in a mapping; constants whose type has a grammar: what no grammar allows.
    """
    text = path.read_text("utf-8")
    top = {key.value: value for key, value in yaml.compose(text, Loader=yaml.SafeLoader).value}
    resource = top["resource"]
    found = []
    for each in places(resource, version, {k.value: v.value for k, v in resource.value}["resourceType"]):
        start, end = each.node.start_mark.index, each.node.end_mark.index
        written, value = text[start:end], each.node.value
        wrong: list[tuple[str, str]] = []
        if each.element is None:
            wrong += [("misspelt", value[:-1]), ("misspelt", value[0].swapcase() + value[1:])]
        else:
            wrong += [("list", f"[{written}]"), ("mapping", f"{{wrong: {written}}}")]
            if "{" not in value and each.bound:
                wrong.append(("code", "no-such-code"))
            if "{" not in value and each.element.type not in TEXT_TYPES:
                wrong.append(("grammar", "'two  blanks'"))
        line = each.node.start_mark.line + 1
        found += [Mutant(kind, line, text[:start] + new + text[end:]) for kind, new in wrong]
    return found


def files(version: str) -> dict[str, Path]:
    """The shipped files of a version by name."""
    found = {path.stem: path for path in sorted(shipped().glob("*.yaml"))}
    if version == "R5":
        found |= {path.stem: path for path in sorted((shipped() / "R5").glob("*.yaml"))}
    return found


EVERY_FILE = [(version, name) for version in ("R4", "R5") for name in files(version)]


@pytest.mark.parametrize(("version", "name"), EVERY_FILE)
def test_every_mistake_in_a_shipped_file_is_refused_on_its_line(version: str, name: str) -> None:
    survived = []
    for mutant in mutants(version, files(version)[name]):
        issues = refused(mutant.text, version)
        if mutant.line not in {issue.row for issue in issues}:
            line = mutant.text.splitlines()[mutant.line - 1].strip()
            survived.append(f"{mutant.kind}, line {mutant.line}: {line}: {'; '.join(map(str, issues)) or 'loaded'}")
    assert not survived, "\n".join(survived)


def test_there_are_many_mistakes_of_every_kind() -> None:
    kinds = [mutant.kind for version, name in EVERY_FILE for mutant in mutants(version, files(version)[name])]
    counts = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
    assert counts.keys() == {"misspelt", "code", "grammar", "list", "mapping"}
    assert counts["misspelt"] > 300, counts
    assert counts["code"] > 50, counts
    assert counts["grammar"] > 150, counts
    assert min(counts["list"], counts["mapping"]) > 300, counts
