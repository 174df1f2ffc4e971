"""Rows made from the mappings themselves: right ones, of which every one must go both ways, and wrong ones.

What a cell may be is said here a second time, in words of its own, so that the package is held against FHIR and not
against itself. Rows are put together at random from a few cells a column, so that a batch of many rows costs
hypothesis few draws, and columns with few and with many distinct cells both occur.
"""

from __future__ import annotations

import random
import re
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pyarrow as pa
import yaml
from hypothesis import strategies as st

from fhir_ivig.mapping.collection import Bound, Mappings
from fhir_ivig.mapping.mapping import Mapping
from fhir_ivig.mapping.template import Constant, Hole, Items, Template, holes

VERSIONS = ("R4", "R4B", "R5")
FEATURES = Path(__file__).parent / "features"
BASE = "https://example.org/studies/hara2003"
PARAMETERS = {"mrn_system": "https://hospital.example.org/mrn", "study": "hara2003"}

CELLS: dict[str, list[str]] = yaml.safe_load((Path(__file__).parent / "cases/cells.yaml").read_text("utf-8"))
TEXTS = [*CELLS["texts"], "x" * 3000, "字" * 700]
WRONG = [*CELLS["wrong"], "y" * 70_000]
_BREAKS_KEY = re.compile(r"[/|,$\\\x00-\x1f\x7f-\x9f]")


@cache
def mappings(version: str) -> Mappings:
    """The shipped mappings with the one that shows every feature of the language."""
    return Mappings.load(version, [FEATURES])


@cache
def bound(version: str) -> Bound:
    return mappings(version).bind(BASE, PARAMETERS)


NAMES = list(mappings("R4").by_name)


def is_key(text: str) -> bool:
    """Whether a cell may be part of a key: nothing that separates, nothing that is not seen, one spelling."""
    hidden = any(unicodedata.category(sign) in ("Cc", "Cf") for sign in text)
    ends = {unicodedata.category(sign)[0] for sign in (text[0], text[-1])}
    return not (hidden or _BREAKS_KEY.search(text) or "Z" in ends) and unicodedata.normalize("NFC", text) == text


def _texts() -> st.SearchStrategy[str]:
    signs = st.characters(
        exclude_categories=["Cs"], exclude_characters=[chr(n) for n in range(32) if n not in (9, 10, 13)]
    )
    return st.sampled_from(TEXTS) | st.text(signs, min_size=1, max_size=12).filter(lambda text: not text.isspace())


def _numbers() -> st.SearchStrategy[str]:
    made = st.from_regex(
        r"\A-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][-+]?[0-9]{1,2})?\Z", alphabet=string.printable
    )
    plain = st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=0, max_value=9999).map(str)
    return st.sampled_from(CELLS["decimals"]) | plain | made


def _dates() -> st.SearchStrategy[str]:
    return st.sampled_from([*CELLS["dates"], "2003", "2003-05", "0001", "9999-12"]) | st.dates().map(str)


def _instants() -> st.SearchStrategy[str]:
    return st.tuples(
        st.sampled_from(CELLS["dates"]), st.sampled_from(CELLS["times"]), st.sampled_from(CELLS["zones"])
    ).map(lambda parts: f"{parts[0]}T{parts[1]}{parts[2]}")


def _whole(least: int) -> st.SearchStrategy[str]:
    return st.integers(least, 2**31 - 1).map(str)


TYPES: dict[str, st.SearchStrategy[str]] = {
    "string": _texts(),
    "markdown": _texts(),
    "decimal": _numbers(),
    "integer": _whole(-(2**31) + 1),
    "unsignedInt": _whole(0),
    "positiveInt": _whole(1),
    "date": _dates(),
    "dateTime": _dates() | _instants(),
    "instant": _instants(),
    "time": st.sampled_from(CELLS["times"]),
    "boolean": st.sampled_from(["true", "false"]),
    "id": st.sampled_from(["placebo", "IVIG-2.0", "1", "a" * 64]),
    "code": st.sampled_from(["a", "a b", "<", "in-progress", '"q"', "\\", "日本"]),
    "uri": st.sampled_from(
        ["urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7", "http://example.org/a?b=c#d", "日本", '"']
    ),
}
ANYTHING = st.sampled_from(WRONG) | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)


@dataclass(frozen=True)
class Column:
    """What one column takes: the words of a list, else the values of a type; several of them; part of a key.

    The types are those of all versions of FHIR: an arm is any string in R4, an id in R5, and rows fit both.
    """

    types: tuple[str, ...]
    words: frozenset[str] | None
    several: bool
    key: bool
    scaled: bool

    def right(self) -> st.SearchStrategy[str]:
        if self.words is not None:
            one = st.sampled_from(sorted(self.words))
        else:
            narrow = min(self.types, key=list(TYPES)[::-1].index)
            one = st.sampled_from(["1", "0.25", "12.345", "-7"]) if self.scaled else TYPES[narrow]
        if self.several:
            several = st.lists(one.filter(lambda word: ";" not in word), min_size=1, max_size=4)
            return several.map(";".join)
        if self.key:
            return (one if self.typed else one | st.sampled_from(["S-01", "week 8", "1", "字"])).filter(is_key)
        return one

    @property
    def typed(self) -> bool:
        return self.words is not None or any(kind not in ("string", "markdown") for kind in self.types)


@cache
def pools(version: str, mapping_name: str, most: int) -> st.SearchStrategy[dict[str, list[str]]]:
    """A few right cells for each column that a row of a mapping may choose.

    Kept, as hypothesis takes longer to make a strategy than to draw from it.
    """
    mapping = mappings(version).by_name[mapping_name]
    kinds = {name: _column(mapping, name).right() for name in mapping.columns if name not in mapping.rows}
    return st.fixed_dictionaries({name: st.lists(kind, min_size=1, max_size=most) for name, kind in kinds.items()})


def _column(mapping: Mapping, name: str) -> Column:
    own = [hole for hole in holes(mapping.resource) if name in hole.columns]
    every = [hole for version in VERSIONS for hole in holes(mappings(version).by_name[mapping.name].resource)]
    lists = [frozenset(hole.entries) for hole in own if hole.via] + [hole.codes for hole in own if hole.codes]
    return Column(
        types=tuple({hole.type for hole in every if name in hole.columns and not hole.target and not hole.via})
        or ("string",),
        words=frozenset.intersection(*lists) if lists else None,
        several=any(hole.repeat for hole in own),
        key=name in mapping.key or any(hole.target for hole in own),
        scaled=any(hole.factor for hole in own),
    )


@cache
def demands(version: str, mapping_name: str) -> list[tuple[list[set[str]], list[set[str]]]]:
    """Where one of some sets of columns is filled, one of others must be: for an object, what FHIR demands of it; for
    half a key, its other half. (The study's parameters are left out: an empty set is always filled.)"""
    mapping = mappings(version).by_name[mapping_name]
    found = objects(mapping.resource, [set()])
    named = [(hole, name) for hole in holes(mapping.resource) for name in own(hole)]
    for hole in holes(mapping.resource):
        for name in own(hole) - {other for each, other in named if each is not hole} - set(mapping.key):
            found.append(([{name}], [own(hole)]))
    return found


def objects(node: Template, begun: list[set[str]] | None = None) -> list[tuple[list[set[str]], list[set[str]]]]:
    """The objects of a template: where they are there, and what they need."""
    if isinstance(node, Hole | Constant):
        return []
    if isinstance(node, Items):
        return [each for item in node.items for each in objects(item)]
    begun = begun or [own(hole) for hole in holes(node)]
    needed = set(node.required) & node.members.keys()
    if node.type == "Quantity":  # neither is said by half: a value without its unit, a unit without a value
        needed |= node.members.keys() - {"comparator"}
    below = [[own(hole) for hole in holes(node.members[name])] for name in needed]
    rest = [each for child in node.members.values() for each in objects(child)]
    return [*((begun, each) for each in below if each), *rest]


def own(hole: Hole) -> set[str]:
    return {name for name in hole.columns if name[0] != "$"}


def batches(
    mapping: Mapping, least: int = 100, most: int = 130, wrong: bool = False
) -> st.SearchStrategy[pa.RecordBatch]:
    """Rows of a mapping; `wrong`: with cells among them that no row may have, or that it lacks."""
    spoilt = st.lists(ANYTHING, min_size=1, max_size=40) if wrong else st.just([])
    make = partial(made, mapping, least, most)
    return st.builds(make, pools(mapping.version, mapping.name, 14), st.integers(0, 2**32 - 1), spoilt)


def made(
    mapping: Mapping, least: int, most: int, cells: dict[str, list[str]], seed: int, spoilt: Sequence[str] = ()
) -> pa.RecordBatch:
    """Rows put together at random from a few cells a column.

    In every second batch all rows fill the same columns: then lines are read by writing them (see `echo`).
    """
    chance = random.Random(seed)
    uniform = {name: float(chance.randint(0, 1)) for name in cells} if chance.random() < 1 / 2 else None
    carried = chance.choice([name for name in cells if name not in mapping.key])
    rows = []
    for _ in range(chance.randint(least, most)):
        likely = uniform or dict.fromkeys(cells, chance.choice([0.0, 0.5, 0.9, 1.0]))
        if mapping.optional and chance.random() < 0.95:  # nothing is written for only few rows
            likely = {**likely, carried: 1.0}
        row = _row(mapping, cells, chance, likely)
        for name in chance.sample(sorted(row), chance.randint(0, min(2, len(row)))) if spoilt else ():
            row[name] = chance.choice(spoilt) if chance.random() < 0.8 else None
        for hole in holes(mapping.resource.members.get("identifier", Items((), "", 0))):
            [name] = hole.columns  # no two subjects share one
            row[name] = row[name] and f"{row[name]}|{'/'.join(str(row[each]) for each in mapping.key)}"
        rows.append(row)
    return batch(mapping, rows)


def _row(
    mapping: Mapping, pools: dict[str, list[str]], chance: random.Random, likely: dict[str, float]
) -> dict[str, str | None]:
    """A right row, its cells filled as is `likely`, and what they or the mapping need besides."""
    kept = {*mapping.key, *mapping.required}
    row = {
        name: chance.choice(pool) if name in kept or chance.random() < likely[name] else None
        for name, pool in pools.items()
    }
    chosen = (
        set(chance.choices(mapping.either, [likely[name] + 1e-9 for name in mapping.either]))
        if mapping.either
        else set()
    )
    barred = set(mapping.either) - chosen
    row |= dict.fromkeys(barred) | {name: chance.choice(pools[name]) for name in chosen}

    def filled(places: list[set[str]]) -> bool:
        return any(all(row[name] is not None for name in names) for names in places)

    everything = demands(mapping.version, mapping.name)
    while lacking := [(begun, needed) for begun, needed in everything if filled(begun) and not filled(needed)]:
        for begun, needed in lacking:
            if any(names & barred for names in needed):
                row |= {name: None for names in begun for name in names - set(mapping.key)}
            else:
                row |= {name: row[name] or chance.choice(pools[name]) for name in needed[0]}
    return row


def batch(mapping: Mapping, rows: list[dict[str, str | None]]) -> pa.RecordBatch:
    """Rows as the mapping's columns, in its order."""
    full = [{**row, **mapping.rows} for row in rows]
    return pa.record_batch({name: pa.array([row[name] for row in full], pa.string()) for name in mapping.columns})
