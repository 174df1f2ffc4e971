"""Cells that do not leave, found in the files that somebody wrote for everybody.

Where a rule asks for a hashed cell, the hash stands there instead (`translated`). A study with a cell anywhere else,
such as a subject's number in a label, does not leave (`refuse_named`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fhir_ivig.deidentify.key import Key
from fhir_ivig.deidentify.words import scalars
from fhir_ivig.issue import Issue, IssueError

Originals = Mapping[str, frozenset[str]]  # column name -> the cells that do not leave

_ASKING = ("populations", "endpoints")
_PROSE = re.compile(rf"({'|'.join(_ASKING)})\.[^.]+|(.*\.)?(label|title|about)")  # places of names and of free words
_SOUGHT = re.compile(r"endpoints\..*\.words\[\d+\]")  # the words of a watch list are those of events, of no subject
# Signs of what is looked for everywhere, one more where they are digits: shorter ones stand for other things too.
_SHORTEST = 4
_OTHER = re.compile(r"[\W_]+")


def translated(text: dict[str, Any], hashed: Originals, key: Key) -> dict[str, Any]:
    """The study file with hashes where a key is a hashed column's name: of every word that a `where` asks it for, and
    of what is a cell of it elsewhere."""

    def walk(part: Any, column: str | None) -> Any:
        if isinstance(part, dict):
            return {
                name: asked(child) if name == "where" else walk(child, name if name in hashed else column)
                for name, child in part.items()
            }
        if isinstance(part, list):
            return [walk(child, column) for child in part]
        return key.hashed(column, part) if column and part in hashed[column] else part

    def asked(conditions: Any) -> Any:
        if not isinstance(conditions, dict):
            return conditions
        return {name: words(child, name) if name in hashed else child for name, child in conditions.items()}

    def words(part: Any, column: str) -> Any:
        if isinstance(part, list):
            return [words(child, column) for child in part]
        return key.hashed(column, part) if isinstance(part, str) else part

    return {name: walk(child, None) if name in _ASKING else child for name, child in text.items()}


def refuse_named(documents: Mapping[str, Any], cells: Mapping[str, str]) -> Iterator[Issue]:
    """IssueError for each of these cells (with its column) that stands in a document (by its file, as plain values),
    however it is written: `HARA-03` is found in `without_hara 03`. Out: a warning where one that is too short to tell
    stands among a document's labels and names."""
    by_length: tuple[dict[str, str], dict[str, str]] = {}, {}
    for cell in cells:
        if plain := _plain(cell):
            by_length[len(cell) >= _SHORTEST + cell.isdigit()][plain] = cell
    short, long = by_length
    named = [
        Issue("fatal", "security", _NAMED.format(where, cell, cells[cell]), file)
        for file, document in documents.items()
        for where, cell in _found((one for one in scalars(document) if not _SOUGHT.fullmatch(one[0])), long)
    ]
    if named:
        raise IssueError(*named)
    for file, document in documents.items():
        if found := list(_found(_prose(document), short)):
            some = ", ".join(f"{where} `{cell}`" for where, cell in found[:3]) + " ..." * (len(found) > 3)
            yield Issue("warning", "security", _PERHAPS.format(some), file)


_NAMED = (
    "{} names `{}`, a cell of {} that does not leave: take it out there, since this file leaves, or name it under "
    "`deidentify: words` if it may leave."
)
_PERHAPS = (
    "{}: cells that do not leave are written so, but are too short to tell whether they are meant. This file leaves: "
    "read these texts before."
)


def _found(texts: Iterable[tuple[str, str]], cells: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Where in texts with their places a cell stands; the cells by their plain texts."""
    every = [(place, _plain(text)) for place, text in texts]
    said = "\n".join(text for _, text in every)
    for known in sorted(known for known in cells if known in said):
        pattern = re.compile(f"{_edge(known[0], '<!')}{re.escape(known)}{_edge(known[-1], '!')}")
        yield from ((place, cells[known]) for place, text in every if pattern.search(text))


def _plain(text: str) -> str:
    """A text without capitals, and with one blank for all that is neither letter nor digit."""
    return _OTHER.sub(" ", text.casefold()).strip()


def _edge(sign: str, way: str) -> str:
    """Beside a digit stands no digit, and beside a letter no letter: HARA-1 is not in HARA-10, but in HARA-1s."""
    return rf"(?{way}\d)" if sign.isdigit() else rf"(?{way}[^\W\d_])"


def _prose(document: Any) -> Iterator[tuple[str, str]]:
    """What is written freely: labels, names of populations and endpoints. A visit `week 12` is no subject 12."""
    visits = "|".join(re.escape(visit["visit"]) for visit in document.get("visits", ()))
    for place, text in scalars(document):
        if _PROSE.fullmatch(place):
            yield place, re.sub(visits, "", text) if visits else text
