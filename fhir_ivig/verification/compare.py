"""A study's tables held against a hospital's record, cell by cell."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fhir_ivig.issue import Issue, many
from fhir_ivig.study.study import Study
from fhir_ivig.study.visits import first_days
from fhir_ivig.verification.carried import Carried
from fhir_ivig.verification.cells import Holding, Rules, compared, flags
from fhir_ivig.verification.difference import Verification, agreements
from fhir_ivig.verification.matching import EMPTY, Pairing, joined, misfiled, pair, texts
from fhir_ivig.verification.nearness import near, say_windows
from fhir_ivig.verification.side import Side, read_side
from fhir_ivig.verification.telling import Matched, Telling
from fhir_ivig.verification.verdict import DIFFERENT, NOTHING, ONLY_RECORD, ONLY_STUDY, UNCERTAIN

_COUNTED = range(UNCERTAIN + 1)


def compare(
    study: Study, record: Study, against: str, passing: bool = False, carried: Carried | None = None
) -> Verification:
    """The study's own tables (left) and those of the record (right), a study in the shape of what `pull` writes.

    `passing`: the record's files are temporary, so that their rows are no place to look at. Only tables and columns
    that the study has are compared, and of a record that was pulled only what the mappings carry.
    """
    found = Verification(study.study, study.title, against)
    rules = Rules.of(study)
    sides: dict[str, tuple[Side, Side]] = {}
    for name in study.tables:
        left, issues = read_side(study, name)
        found.issues += issues
        if carried and name not in carried.columns:
            found.left_out.append(f"{name} (no mapping carries it)")
            continue
        if name not in record.tables:
            text = (
                f"It has no table {name}, which was not compared: pull it again, or take the table out of study.yaml."
            )
            found.issues.append(Issue("error", "not-found", text, "record"))
            found.left_out.append(f"{name} (not in the record)")
            continue
        right, more = read_side(record, name, passing)
        found.issues += [_theirs(issue) for issue in more]
        found.rows[name] = (len(left.numbers), len(right.numbers))
        if left.whole and right.whole:
            sides[name] = left, right
            found.left_out += _not_shared(left, right, carried)
        else:
            found.left_out.append(f"{name} (the {'study' if not left.whole else 'record'}'s cannot be read)")
    _find(found, study, sides, rules, carried)
    return found


def _theirs(issue: Issue) -> Issue:
    return issue.at(file=f"record: {issue.file}") if issue.file else issue


def _not_shared(left: Side, right: Side, carried: Carried | None) -> list[str]:
    """The columns that just one of two tables has, if there is anything in them; those that no mapping carries the
    record does not have."""
    name = left.table.name
    unmapped: frozenset[str] = frozenset()
    if carried:
        empty = {column for column in right.collected if right.cells[column].null_count == len(right.cells)}
        unmapped = frozenset(empty - carried.columns[name])
        right.collected -= unmapped
    return [
        f"{name}.{column} (no mapping carries it)"
        for column in left.table.columns
        if column in left.collected & unmapped and left.cells[column].null_count < len(left.cells)
    ] + [
        f"{name}.{column} (only in the {'study' if side is left else 'record'})"
        for side, other in ((left, right), (right, left))
        for column in left.table.columns
        if column in side.collected - other.collected - unmapped and side.cells[column].null_count < len(side.cells)
    ]


def _find(
    found: Verification,
    study: Study,
    sides: Mapping[str, tuple[Side, Side]],
    rules: Rules,
    carried: Carried | None,
) -> None:
    """The differences and counts of all tables."""
    firsts = first_days([sides["courses"][0].cells]) if "courses" in sides else {}
    tables = {name: _match(left, right, rules, study, firsts) for name, (left, right) in sides.items()}
    telling = Telling({name: (left, right) for name, (left, right) in sides.items()})
    ours, theirs = (_subjects(side[place] for side in sides.values()) for place in (0, 1))
    alone: dict[tuple[bool, str], list[tuple[str, int]]] = defaultdict(list)
    counts: Counter[tuple[str, str, str, int]] = Counter()
    for name, matched in tables.items():
        found.left_out += _not_carried(matched, carried)
        found.differences += telling.cells(matched)
        found.differences += telling.near(matched)
        found.differences += telling.doubled(matched)
        for here, rows in ((True, matched.only_left), (False, matched.only_right)):
            for row in rows:
                subject = telling.subject(matched, here, row)
                if subject and subject in (ours - theirs if here else theirs - ours):
                    alone[here, subject].append((name, row))
                else:
                    found.differences.append(telling.row(matched, here, row))
        _count(counts, matched, telling)
    found.differences += [telling.lost(tables, here, rows) for (here, _), rows in alone.items()]
    found.differences += telling.moves(tables, ours ^ theirs)
    found.differences.sort(key=telling.order)
    found.agreement = agreements(counts)


def _not_carried(matched: Matched, carried: Carried | None) -> list[str]:
    """What the study's rows are that no mapping carries; they are taken out."""
    if not carried:
        return []
    lost = {row: said for row in matched.only_left if (said := carried.lost(matched.left, row)) is not None}
    matched.only_left = [row for row in matched.only_left if row not in lost]
    name = matched.left.table.name
    counts = Counter(lost.values())
    return [f"{name}, {said} (no mapping carries it: {many(count, 'row')})" for said, count in sorted(counts.items())]


def _subjects(sides: Iterator[Side]) -> set[str]:
    return {
        subject
        for side in sides
        if "subject" in side.table.columns
        for subject in side.cells["subject"].unique().to_pylist()
        if subject
    }


def _match(left: Side, right: Side, rules: Rules, study: Study, firsts: Mapping[str, str]) -> Matched:
    pairs = pair(left, right)
    doubled = _settle_doubled(left, right, pairs)
    li, ri, certain = _with(pairs, doubled)
    held = Holding(left, right, li, ri, rules).hold()
    unequal = held.unequal(len(li))
    open_left, open_right = li[unequal & certain].tolist(), ri[unequal & certain].tolist()
    same_key = dict(zip(open_left, open_right, strict=True))
    moves = misfiled(left, right, [*pairs.left, *open_left], [*pairs.right, *open_right], same_key)
    moved = {move.left for move in moves}, {move.right for move in moves}
    keep = ~(np.isin(li, list(moved[0])) | np.isin(ri, list(moved[1])))
    alone_left = sorted({*pairs.left, *li[~keep].tolist()} - moved[0])
    alone_right = sorted({*pairs.right, *ri[~keep].tolist()} - moved[1])
    close = near(left, right, alone_left, alone_right, rules, study.visits, firsts)
    ends = {a for a, _ in close}, {b for _, b in close}
    li = np.concatenate([li[keep], np.array([a for a, _ in close], np.int64)])
    ri = np.concatenate([ri[keep], np.array([b for _, b in close], np.int64)])
    if close or moves:
        held = Holding(left, right, li, ri, rules).hold()
    say_windows(held, left, right, zip(li.tolist(), ri.tolist(), strict=True), study.visits, firsts)
    return Matched(
        left,
        right,
        li,
        ri,
        held,
        np.concatenate([certain[keep], np.zeros(len(close), bool)]),
        moves,
        [row for row in alone_left if row not in ends[0]],
        [row for row in alone_right if row not in ends[1]],
        doubled.extra,
        close,
    )


@dataclass(slots=True)
class _Settled:
    """Rows that share a key: those put together, whether that is certain, and those that are one too many."""

    pairs: list[tuple[int, int, bool]]
    extra: list[tuple[bool, int, int]]


def _settle_doubled(left: Side, right: Side, pairs: Pairing) -> _Settled:
    """Rows of one key: equal ones belong together; of the others the first ones, which is not certain."""
    settled = _Settled([], [])
    if not pairs.doubled:
        return settled
    names = [*left.table.key, *(column.name for column in compared(left, right))]
    ours, theirs = (joined(texts(side, names), EMPTY) for side in (left, right))
    for here, there in pairs.doubled:
        if not here or not there:
            (pairs.left if here else pairs.right).append((here or there)[0])
            settled.extra += [(bool(here), row, (here or there)[0]) for row in (here or there)[1:]]
            continue
        free, found = list(there), list[tuple[int, int, bool]]()
        for a in here:
            same = next((b for b in free if ours[a].as_py() == theirs[b].as_py()), None)
            if same is not None:
                found.append((a, same, True))
                free.remove(same)
        rest = [a for a in here if a not in {one for one, *_ in found}]
        found += [(a, b, False) for a, b in zip(rest, free, strict=False)]
        settled.pairs += found
        settled.extra += [(True, row, found[0][0]) for row in rest[len(free) :]]
        settled.extra += [(False, row, found[0][1]) for row in free[len(rest) :]]
    return settled


def _with(pairs: Pairing, settled: _Settled) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    more = settled.pairs
    li = np.concatenate([pairs.li, np.array([a for a, _, _ in more], np.int64)])
    ri = np.concatenate([pairs.ri, np.array([b for _, b, _ in more], np.int64)])
    certain = np.concatenate([np.ones(len(pairs.li), bool), np.array([sure for *_, sure in more], bool)])
    return li, ri, certain


def _count(counts: Counter[tuple[str, str, str, int]], matched: Matched, telling: Telling) -> None:
    """What became of the cells of a table, by measure and site."""
    left, right = matched.left, matched.right
    (ours, words), (theirs, their_words) = telling.groups(left), telling.groups(right)
    name = left.table.name
    for status in matched.held.status.values():
        seen = np.where(matched.certain | (status == NOTHING), status, UNCERTAIN)
        times = np.bincount(ours[matched.li] * len(_COUNTED) + seen)
        for code in np.flatnonzero(times).tolist():
            group, became = divmod(code, len(_COUNTED))
            if became != NOTHING:
                counts[(name, *words[group], became)] += int(times[code])
    doubled = [[row for here, row, _ in matched.doubled if here is side] for side in (True, False)]
    moved = [move.left for move in matched.moves]
    for side, codes, groups, rows, became in (
        (left, ours, words, [*matched.only_left, *doubled[0]], ONLY_STUDY),
        (right, theirs, their_words, [*matched.only_right, *doubled[1]], ONLY_RECORD),
        (left, ours, words, moved, DIFFERENT),
    ):
        places = np.array(rows, np.int64)
        for column in compared(left, right) if rows else ():
            filled = flags(side.cells[column.name].take(pa.array(places)).is_valid())
            for code, found in Counter(codes[places][filled].tolist()).items():
                counts[(name, *groups[code], became)] += found
