"""Which rows and columns of a file belong to which part of which table, and what belongs to none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhir_ivig.issue import Issue, many
from fhir_ivig.study.block import Block
from fhir_ivig.study.cells import Flaw
from fhir_ivig.study.dictionary import Table
from fhir_ivig.study.source import Source
from fhir_ivig.study.texts import shown, strings

NAMED = 5  # rows that an Issue names
SIGNED = r"^[<>]=? ?"


def header_issues(table: Table, source: Source, names: list[str], file: str) -> list[Issue]:
    """What is wrong with a file's header: columns that are there twice, that nobody knows, that are missing."""
    wanted, row = _wanted(table, source), source.header[-1]
    if not wanted.keys() & {*names} and (hint := _elsewhere(source, names)):
        text = f"No column that is read stands in the header, which begins {shown(names[0])}: {hint}."
        return [Issue("error", "structure", text, file, row)]
    issues = [
        Issue("error", "duplicate", f"{shown(name)} stands twice in the header: rename one.", file, row, name)
        for name, times in Counter(names).items()
        if times > 1
    ]
    if not source.shared or source.beside:  # else another part looks
        known = {*wanted, *(name for reader in (source, *source.beside) for name in reader.named())}
        for name in dict.fromkeys(names):
            if name not in known:
                text = f"{shown(name)} is no column of {table.name}: name it under `dictionary:`, or, for this table,"
                text += " under `columns:` as another name of ours or under `ignore:`."
                issues.append(Issue("error", "not-found", text, file, row, name))
    for theirs, (ours, needed) in wanted.items():
        if needed and theirs not in names:
            named = f", our {ours}," if theirs != ours else ""
            text = f"The column {shown(theirs)}{named} is missing: add it, or name theirs under `columns:`."
            issues.append(Issue("error", "required", text, file, row, ours))
    for name in table.required if source.shared else ():
        if any(
            not (name in leaf.constants or leaf.theirs(name) or name in leaf.checkboxes) for leaf in source.leaves
        ):
            text = f"Nothing says our {name}: several parts read this file, so name its column under `columns:`."
            issues.append(Issue("error", "required", text, file, row, name))
    return issues


def _elsewhere(source: Source, names: list[str]) -> str:
    """Where a header's names may be, if none of them is known."""
    if (source.file or "").lower().endswith((".xlsx", ".xlsm")):
        return "say under `header` which row holds the names of the columns"
    if len(names) == 1 and re.search("[;,|\t]", names[0]):
        return "name the sign between its cells under `delimiter`"
    return ""


def _wanted(table: Table, source: Source) -> dict[str, tuple[str, bool]]:
    """The file's columns that a part reads: what they are of ours, and whether they must be there."""
    wanted: dict[str, tuple[str, bool]] = {}
    for leaf in source.leaves:
        for name in table.columns:
            if theirs := leaf.theirs(name):
                _, before = wanted.get(theirs, (name, False))
                wanted[theirs] = name, before or name in table.required or name in leaf.columns
            for box in leaf.checkboxes.get(name, {}).values():
                wanted[box] = name, True
        for theirs in (*leaf.where, *leaf.copies, *leaf.sequence, *leaf.sequence.values()):
            wanted.setdefault(theirs, (theirs, True))
    return wanted


def taken(source: Source, block: Block) -> np.ndarray:
    """Which rows of a block belong to a source: what stands in the columns of `where`, and that not all of its own
    cells are empty. (Those that hold only what means empty are found when they are read.)"""
    mine = np.ones(len(block.numbers), dtype=bool)
    for theirs, words in source.where.items() if block.columns else ():
        mine &= _among(block.columns[theirs], words)
    own = [block.columns[theirs] for name in source.own for theirs in _cells(source, name) if theirs in block.columns]
    if own:
        mine &= np.logical_or.reduce([cells.is_valid().to_numpy(zero_copy_only=False) for cells in own])
    return mine


def _cells(source: Source, name: str) -> Iterable[str]:
    return source.checkboxes[name].values() if name in source.checkboxes else (source.columns[name],)


def _among(cells: pa.Array, words: Iterable[str]) -> np.ndarray:
    found: np.ndarray = pc.is_in(cells, strings(word or None for word in words).cast(cells.type)).to_numpy(
        zero_copy_only=False
    )
    return found


def boxes(
    name: str, source: Source, theirs: Mapping[str, pa.Array], length: int
) -> tuple[pa.StringArray, list[Flaw]]:
    """A column of several words out of the file's checkboxes: the words that are ticked, joined by `;`."""
    ticked, unticked = source.ticks
    words: list[pa.Array] = []
    flaws: list[Flaw] = []
    for word, theirs_name in source.checkboxes[name].items():
        cells = theirs.get(theirs_name, pa.nulls(length, pa.string()))
        known = _among(cells, (ticked, unticked, *source.missing, ""))
        for row in np.flatnonzero(~known).tolist():
            text = f"{shown(theirs_name)} is neither {ticked} nor {unticked}: correct it, or say under `ticks` what"
            flaws.append((row, name, "code-invalid", f"{text} stands there."))
        words.append(pc.if_else(pa.array(_among(cells, (ticked,))), f"{word};", ""))
    joined = pc.utf8_rtrim(pc.binary_join_element_wise(*words, ""), ";")
    return pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), joined), flaws


def signed(name: str, source: Source, cells: pa.Array) -> pa.Array:
    """Of a column that holds the sign and the value: the part that is asked for; others as they are."""
    if name not in ("sign", "value") or source.theirs("sign") != source.theirs("value"):
        return cells
    cells = cells.cast(pa.string())
    if name == "value":
        return pc.replace_substring_regex(cells, SIGNED, "")
    signs = pc.if_else(pc.match_substring_regex(cells, SIGNED), cells, pa.scalar(None, pa.string()))
    return pc.replace_substring_regex(signs, r"^([<>]=?).*", r"\1")


class Remarks:
    """Rows with one cell filled, below an empty row: more likely said of a table than in it, they are refused."""

    def __init__(self) -> None:
        self.last: int | None = None
        self.below = False

    def refused(self, block: Block) -> Block:
        """The next rows, with what is wrong with them."""
        valid = [cells.is_valid().to_numpy(zero_copy_only=False) for cells in block.columns.values()]
        filled = np.sum(valid, axis=0) if len(valid) > 1 else np.zeros(0)
        there = np.flatnonzero(filled)
        if not len(there):
            return block
        numbers = block.numbers[there]
        gaps = np.diff(numbers, prepend=numbers[0] - 1 if self.last is None else self.last) > 1
        self.last = int(numbers[-1])
        if not (self.below or gaps.any()) or not (filled == 1).any():
            self.below = False
            return block
        wrong = {name: dict(texts) for name, texts in block.wrong.items()}
        for row, gap in zip(there.tolist(), gaps.tolist(), strict=True):
            self.below = bool(filled[row] == 1 and (gap or self.below))
            if self.below:
                name = next(name for name, cells in block.columns.items() if cells[row].is_valid)
                text = block.columns[name].slice(row, 1).cast(pa.binary())[0].as_py().decode("utf-8", "replace")
                said = f"{shown(text)} stands alone below an empty row, as a remark does: take it out. If it is data,"
                wrong.setdefault(name, {})[int(block.numbers[row])] = f"{said} take out the empty row."
        return replace(block, wrong=wrong)


class Lost:
    """Rows of a file that no part of any table takes, and rows that hold one place of the file twice.

    Only where somebody chose rows: by `where`, or by `rows`.
    """

    def __init__(self, source: Source) -> None:
        self.source, readers = source, (source, *source.beside)
        leaves = [leaf for reader in readers for leaf in reader.leaves]
        looks = all(leaf.where or leaf.own for leaf in leaves) and (not source.shared or bool(source.beside))
        self.leaves = leaves if looks else []
        wide = any(leaf.own for leaf in source.leaves)
        self.key = list(dict.fromkeys([*source.columns.values(), *source.where])) if wide else []
        self.seen: dict[str, int] = {}
        self.none: list[int] = []
        self.again: list[tuple[int, int]] = []

    def look(self, block: Block) -> None:
        """The next rows."""
        if self.leaves and block.columns:
            filled = ~np.logical_and.reduce([cells.is_null() for cells in block.columns.values()])
            for leaf in self.leaves:
                if all(theirs in block.columns for theirs in leaf.where):
                    filled &= ~taken(leaf, block)
            self.none += block.numbers[filled].tolist()
        if self.key and block.columns:
            cells = [block.columns[name].cast(pa.binary()) for name in self.key if name in block.columns]
            keys = pc.binary_join_element_wise(*cells, b"\x1f", null_handling="replace").to_pylist() if cells else []
            for number, key, mine in zip(block.numbers.tolist(), keys, taken(self.source, block), strict=True):
                if mine and key.strip(b"\x1f") and (first := self.seen.setdefault(key, number)) != number:
                    self.again.append((number, first))

    def issues(self, file: str) -> list[Issue]:
        """A warning for what was seen of either kind."""
        found = [
            Issue(
                "warning",
                "duplicate",
                f"{', '.join(self.key)}: the same as in row {first}. Keep one of them.",
                file,
                row,
            )
            for row, first in self.again
        ]
        if self.none:
            rows = ", ".join(map(str, self.none[:NAMED])) + (" ..." if len(self.none) > NAMED else "")
            text = many(len(self.none), f"row ({rows}) gives", f"rows ({rows}) give")
            text += " no row of any table: no `where` takes it, or what is read of it is empty."
            found.append(Issue("warning", "incomplete", text, file))
        return found
