"""The words that may leave: those that somebody wrote into a file for everybody, and small numbers.

A column of codes without a list of values may hold anything, a name too. So a word leaves where the study file, a
mapping file or the data dictionary names it; it is then known to whoever gets the study anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fhir_ivig.yamltext import load, plain

_COUNTED = re.compile(r"[0-9]{1,3}")  # courses, days and events are counted from 1


def named(study: Any, mappings: Iterable[Path]) -> frozenset[str]:
    """All keys and texts of a study file (as plain values) and of mapping files."""
    return frozenset(text for document in (study, *map(_plain, mappings)) for _, text in scalars(document))


def may_leave(word: str, known: frozenset[str]) -> bool:
    """Whether a word says nothing but what the files for everybody say."""
    return word in known or _COUNTED.fullmatch(word) is not None


def scalars(document: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a document of nested dicts and lists, keys too, with its place: `populations.all.label`."""
    if isinstance(document, dict):
        for key, child in document.items():
            place = f"{where}.{key}".removeprefix(".")
            yield place, key
            yield from scalars(child, place)
    elif isinstance(document, list):
        for number, child in enumerate(document):
            yield from scalars(child, f"{where}[{number}]")
    else:
        yield where, document


def _plain(path: Path) -> Any:
    return plain(load(path))
