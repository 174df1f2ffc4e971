"""The few search parameters that a folder of resources can answer: ids, tokens and references.

Tokens and references as in https://hl7.org/fhir/R4/search.html#token and #reference. Anything else is refused, never
passed over, since a filter that is not applied returns too much.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fhir_ivig.issue import Issue, IssueError

# Search parameter to the elements it looks in; R4 and R5 names beside each other.
_TOKENS = {
    "_id": ("id",),
    "identifier": ("identifier",),
    "code": ("code", "medicationCodeableConcept", "medication"),
    "category": ("category",),
    "status": ("status",),
    "event": ("event",),
}
_REFERENCES = {
    "subject": ("subject",),
    "patient": ("subject", "patient"),
    "individual": ("individual",),
    "study": ("study",),
}
_ONLY_PAGING = {"_count", "_total", "_sort"}  # they change the pages, not what is found
_COMMA = re.compile(r"(?<!\\),")
_PIPE = re.compile(r"(?<!\\)\|")
Test = Callable[[Mapping[str, Any]], bool]


def selector(params: Mapping[str, str | Sequence[str]]) -> Test:
    """The test that a resource (decoded) answers a search; IssueError naming every parameter that is not known here.

    As in FHIR, a comma means or, a repeated parameter means and, a backslash takes away a comma's meaning.
    """
    unknown = sorted(params.keys() - _TOKENS.keys() - _REFERENCES.keys() - _ONLY_PAGING)
    if unknown:
        known = ", ".join(sorted(_TOKENS.keys() | _REFERENCES.keys()))
        text = f"a folder cannot be searched by {', '.join(unknown)}, only by {known}"
        raise IssueError(Issue("error", "not-supported", text))
    tests = [
        _token_test(_TOKENS[name], value) if name in _TOKENS else _reference_test(_REFERENCES[name], value)
        for name, values in params.items()
        if name not in _ONLY_PAGING
        for value in ([values] if isinstance(values, str) else values)
    ]
    return lambda resource: all(test(resource) for test in tests)


def _token_test(elements: Sequence[str], value: str) -> Test:
    wanted: set[tuple[str | None, str | None]] = set()  # system and code; None: any
    for choice in _COMMA.split(value):
        system, *code = (re.sub(r"\\(.)", r"\1", part) for part in _PIPE.split(choice, maxsplit=1))
        wanted.add((system, code[0] or None) if code else (None, system))

    def test(resource: Mapping[str, Any]) -> bool:
        return any(
            not wanted.isdisjoint(((system, code), (None, code), (system, None)))
            for element in elements
            for system, code in _tokens(resource.get(element))
        )

    return test


def _tokens(value: Any) -> Iterator[tuple[str | None, str | None]]:
    """System (empty where there is none) and code in an Identifier, Coding, CodeableConcept, CodeableReference, plain
    code, or a list of such; None for what is no text."""
    if isinstance(value, list):
        for item in value:
            yield from _tokens(item)
    elif isinstance(value, str):
        yield "", value
    elif isinstance(value, dict):
        system, code = value.get("system") or "", value.get("value", value.get("code"))
        yield system if isinstance(system, str) else None, code if isinstance(code, str) else None
        yield from _tokens(value.get("coding", []))
        yield from _tokens(value.get("concept", []))


def _reference_test(elements: Sequence[str], value: str) -> Test:
    wanted = set(_COMMA.split(value))

    def test(resource: Mapping[str, Any]) -> bool:
        for element in elements:
            found = resource.get(element)
            literal = found.get("reference") if isinstance(found, dict) else None
            if isinstance(literal, str) and (literal in wanted or "/".join(literal.split("/")[-2:]) in wanted):
                return True
        return False

    return test
