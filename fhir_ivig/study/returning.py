"""The study's tables in the shape of the files that they are read from, and what that shape cannot hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import chain
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhir_ivig.issue import Issue
from fhir_ivig.study import inverse
from fhir_ivig.study.cells import settle
from fhir_ivig.study.dictionary import Table
from fhir_ivig.study.measures import EXACT
from fhir_ivig.study.source import Source
from fhir_ivig.study.study import Study
from fhir_ivig.study.texts import shown, strings


@dataclass(frozen=True, slots=True)
class Returned:
    """A file, or a sheet of one: how it is written, and its cells, null = empty."""

    source: Source
    table: pa.Table
    issues: list[Issue]


class _Piece(NamedTuple):
    """Rows of a table that one source takes, in the file's columns, and their places in the table."""

    part: Source
    columns: dict[str, pa.StringArray]
    places: np.ndarray


def returned(
    study: Study, tables: Mapping[str, pa.Table], headers: Mapping[str, Sequence[str]]
) -> Iterator[Returned]:
    """Every file that the study's tables are read from, out of tables.

    `headers` are the columns of those files that are there already (by `Source.name`): then theirs, in their order;
    else those that study.yaml names, and what else holds something. Rows that no part takes are an error. Whether
    each row can be read again has to be seen by reading: `read_again.differences`.
    """
    pieces: dict[str, list[_Piece]] = {}
    issues: dict[str, list[Issue]] = {}
    for name, parts in study.tables.items():
        for part in parts:
            pieces.setdefault(part.name, [])
        if name in tables:
            rows = tables[name].combine_chunks()
            [batch] = rows.to_batches() or [None]
            for piece, said in _dealt(study, study.dictionary[name], parts, batch) if batch else ():
                issues.setdefault(piece.part.name, []).extend(said)
                pieces[piece.part.name].append(piece)
    for file, found in pieces.items():
        readers = [part for part in chain(*study.tables.values()) if part.name == file]
        names = list(headers.get(file) or _names(study, readers, found))
        issues.setdefault(file, []).extend(_unsaid(readers, file))
        yield Returned(readers[0], _numbered(readers[0], _whole(readers, found, names)), issues[file])


def _dealt(
    study: Study, table: Table, parts: Sequence[Source], batch: pa.RecordBatch
) -> Iterator[tuple[_Piece, list[Issue]]]:
    """The rows of a table, each dealt to the first of the sources that takes it."""
    left = np.ones(len(batch), dtype=bool)
    for part in parts:
        for leaf in part.leaves:
            mine = np.flatnonzero(left & _takes(study, table, leaf, batch))
            left[mine] = False
            if len(mine):
                columns, issues = _outward(study, table, leaf, batch.take(pa.array(mine)))
                yield _Piece(part, columns, mine), issues
    if left.any():
        lost = batch.filter(pa.array(left))
        keys = [", ".join(cell or "" for cell in row.values()) for row in lost.select(list(table.key)).to_pylist()]
        text = f"no part of {table.name} takes this row: its `constants` or `where` say otherwise."
        yield (
            _Piece(parts[0], {}, left[:0]),
            [Issue("error", "not-supported", f"{key}: {text}", parts[0].name) for key in keys],
        )


def _takes(study: Study, table: Table, leaf: Source, batch: pa.RecordBatch) -> np.ndarray:
    """The rows in which all is as the source's constants and its `where` say."""
    takes = np.ones(len(batch), dtype=bool)
    for name, said in leaf.constants.items():
        cells = batch[name]
        [constant] = settle(table.columns[name], strings([said or None]), leaf)[0].to_pylist()
        equal = pc.is_in(cells, strings([constant]))
        if table.name == "assessments" and name in ("unit", "upper_limit", "scale_max"):
            equal = pc.or_(equal, batch["value"].is_null())
            if name == "unit":
                for measure in (one for one, factors in leaf.units.items() if constant in factors):
                    ours = pc.equal(cells, study.measures[measure].unit or "")
                    equal = pc.or_(equal, pc.fill_null(pc.and_(pc.equal(batch["measure"], measure), ours), False))
        takes &= equal.to_numpy(zero_copy_only=False)
    for name, column in table.columns.items():
        if (their := leaf.theirs(name)) and their in leaf.where:
            words = strings(word or None for word in leaf.where[their])
            takes &= pc.is_in(inverse.theirs(column, batch[name], leaf), words).to_numpy(zero_copy_only=False)
    return takes


def _outward(
    study: Study, table: Table, leaf: Source, batch: pa.RecordBatch
) -> tuple[dict[str, pa.StringArray], list[Issue]]:
    """Rows in the columns of the file that a source reads."""
    columns: dict[str, pa.StringArray] = {
        their: strings(words[:1] if words[0] else [None]).take(pa.array(np.zeros(len(batch), dtype=int)))
        for their, words in leaf.where.items()
    }
    issues = []
    cells = {name: batch[name] for name in table.columns}
    numeric = None
    if table.name == "assessments":
        numeric = pc.is_in(batch["measure"], strings(name for name, one in study.measures.items() if one.unit))
        cells |= _unconverted(leaf, cells)
        if "scale_max" not in leaf.columns:  # it is filled from study.yaml when it is read
            scale = strings(one.scale_max for one in study.measures.values())
            ends = scale.take(pc.index_in(batch["measure"], strings(study.measures)))
            known = pc.fill_null(pc.equal(cells["scale_max"], ends), False)
            cells["scale_max"] = pc.if_else(known, pa.scalar(None, pa.string()), cells["scale_max"])
    for name, column in table.columns.items():
        for ours, words in inverse.ambiguous(column, cells[name], leaf).items():
            text = f"{shown(ours)} is written as {shown(words[0])}, and could be {', '.join(map(shown, words[1:]))}."
            issues.append(Issue("warning", "code-invalid", text, leaf.name, column=name))
        if name in leaf.checkboxes:
            columns |= inverse.boxes(cells[name], name, leaf)
        elif their := leaf.theirs(name):
            texts = inverse.theirs(column, cells[name], leaf)
            if name == "value" and numeric is not None and leaf.decimal == ",":
                texts = pc.if_else(numeric, inverse.theirs(column, cells[name], leaf, numbers=True), texts)
            if name == "value" and their == leaf.theirs("sign"):
                signs = columns[their].fill_null("")
                texts = pc.binary_join_element_wise(signs, texts, "")
            columns[their] = texts
    plain = replace(leaf, prefixes={})
    for their, name in leaf.copies.items():
        columns[their] = inverse.theirs(table.columns[name], cells[name], plain)
    return columns, issues


def _unconverted(leaf: Source, cells: Mapping[str, pa.StringArray]) -> dict[str, pa.StringArray]:
    """Values, limits and scales in the file's unit, where it is a constant."""
    unit = leaf.constants.get("unit", "")
    found: dict[str, pa.StringArray] = {}
    for measure, factors in leaf.units.items():
        if unit in factors and factors[unit] != 1:
            rows = pc.fill_null(pc.equal(cells["measure"], measure), False)
            for name in ("value", "upper_limit", "scale_max"):
                given = found.get(name, cells[name])
                divided = strings(_quotient(text, factors[unit]) for text in given.to_pylist())
                found[name] = pc.if_else(rows, divided, given)
    return found


def _quotient(text: str | None, factor: Decimal) -> str | None:
    """None where it has no end: such a row is not read again."""
    try:
        return None if text is None else str(EXACT.divide(Decimal(text), factor))
    except ArithmeticError:
        return None


def _names(study: Study, readers: Sequence[Source], pieces: Sequence[_Piece]) -> list[str]:
    """The columns of a file that is not there: those that are named, in their order, and what else is filled."""
    names: dict[str, None] = {}
    filled = {their for piece in pieces for their, cells in piece.columns.items() if cells.null_count < len(cells)}
    for part in readers:
        table = study.dictionary[part.table]
        for leaf in part.leaves:
            for name in table.columns:
                their = leaf.theirs(name)
                besides = name in table.required or (their in filled and not part.rows)
                if their and (name in leaf.columns or besides):
                    names[their] = None
                names |= dict.fromkeys(leaf.checkboxes.get(name, {}).values())
            names |= dict.fromkeys((*leaf.where, *leaf.copies, *leaf.sequence))
        names |= dict.fromkeys(part.qualifiers)
    return list(names)


def _whole(readers: Sequence[Source], pieces: Sequence[_Piece], names: Sequence[str]) -> pa.Table:
    """The rows of a file: those of its pieces, joined where they are of one row of the file."""
    if len(readers) == 1 and not readers[0].rows:
        blank = {name: pa.nulls(sum(len(piece.places) for piece in pieces), pa.string()) for name in names}
        return pa.table({name: pieces[0].columns.get(name, blank[name]) if pieces else blank[name] for name in names})
    keys = {id(part): _key(part, readers) for part in readers}
    found: list[tuple[int, int, list[str], dict[str, str]]] = []
    for piece in pieces:
        columns = {their: cells.to_pylist() for their, cells in piece.columns.items() if their in names}
        table = next(number for number, part in enumerate(readers) if part.table == piece.part.table)
        for place, *values in zip(piece.places.tolist(), *columns.values(), strict=True):
            row = {their: text for their, text in zip(columns, values, strict=True) if text is not None}
            found.append((table, place, keys[id(piece.part)], row))
    rows: dict[tuple[str | None, ...], list[dict[str, str]]] = {}
    for _, _, key, row in sorted(found, key=lambda one: one[:2]):  # the tables' order, not that of their pieces
        known = rows.setdefault((*key, *(row.get(name) for name in key)), [])
        joined = next((one for one in known if all(one.get(name, text) == text for name, text in row.items())), None)
        if joined is None or not key:
            known.append(row)
        else:
            joined |= row
    return pa.table({name: strings(row.get(name) for row in chain(*rows.values())) for name in names})


def _numbered(source: Source, table: pa.Table) -> pa.Table:
    """The same with the columns that number its rows."""
    there = [pair for pair in source.sequence.items() if {*pair} <= {*table.column_names}]
    for their, of in there:  # what is not there is an error when it is read again
        counts: Counter[str | None] = Counter()
        numbers: list[str] = []
        for cell in table[of].to_pylist():
            counts[cell] += 1
            numbers.append(str(counts[cell]))
        table = table.set_column(table.column_names.index(their), their, strings(numbers))
    return table


def _key(part: Source, readers: Sequence[Source]) -> list[str]:
    """The file's columns by which rows of a part are one with those of others that may take the same rows."""
    beside = [one for one in readers if _meet(part, one)]
    shared = set.intersection(*({*one.columns.values(), *one.where} for one in beside))
    return sorted(shared)


def _meet(one: Source, other: Source) -> bool:
    return all(set(words) & set(other.where.get(column, words)) for column, words in one.where.items())


def _unsaid(readers: Sequence[Source], file: str) -> Iterator[Issue]:
    """What of a file the tables do not know."""
    if ignored := sorted({name for part in readers for name in part.ignore}):
        text = f"Columns under `ignore` are not in the tables and stay empty: {', '.join(ignored)}."
        yield Issue("warning", "incomplete", text, file)
    for leaf in {id(leaf): leaf for part in readers for leaf in part.leaves}.values():
        for column, words in leaf.where.items():
            if len(words) > 1 and column not in leaf.columns.values():
                text = f"`where` takes {', '.join(map(shown, words))}: {shown(words[0])} is written."
                yield Issue("warning", "code-invalid", text, file, column=column)
