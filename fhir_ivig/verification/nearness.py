"""Rows without a partner that may be the same: of one subject and measure, near in time. None of it is certain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from fhir_ivig.study.study import Visit
from fhir_ivig.verification.cells import Held, Rules
from fhir_ivig.verification.dates import When, when
from fhir_ivig.verification.side import Side
from fhir_ivig.verification.verdict import DIFFERENT

# Table -> its time, and what must be equal besides the subject.
TIMES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "courses": ("start", ()),
    "infusions": ("start", ()),
    "assessments": ("date", ("measure",)),
    "medications": ("start", ("medication",)),
    "adverse_events": ("onset", ("term",)),
}


def near(
    left: Side,
    right: Side,
    ours: Sequence[int],
    theirs: Sequence[int],
    rules: Rules,
    visits: Mapping[str, Visit],
    firsts: Mapping[str, str],
) -> list[tuple[int, int]]:
    """Pairs of rows, each the nearest of the other: on the same day, within the tolerance, or, of assessments, in
    the window of one visit. Rows of which two are as near have none. `firsts` are the days that visits count from."""
    if left.table.name not in TIMES:
        return []
    time, same = TIMES[left.table.name]
    groups = _groups(right, theirs, time, same)
    gaps: list[tuple[int, int, int]] = []
    for key, rows in _groups(left, ours, time, same).items():
        allowed = rules.tolerance_days(left.table.name, key[1] if "measure" in same else None) or 0
        start = when(firsts.get(key[0], ""))
        windows = (
            [visit.window for visit in visits.values() if visit.window] if left.table.name == "assessments" else []
        )
        for a, day in rows:
            for b, other in groups.get(key, []):
                gap = abs((other - day).days)
                if gap <= allowed or (start and _one_window(windows, start.first, day, other)):
                    gaps.append((gap, a, b))
    return list(_nearest(gaps))


def say_windows(
    held: Held,
    left: Side,
    right: Side,
    pairs: Iterable[tuple[int, int]],
    visits: Mapping[str, Visit],
    firsts: Mapping[str, str],
) -> None:
    """Say of the dates of assessments that differ which are outside of the window of the visit: one is wrong there,
    or the visit. The rows of the `pairs` that were `held` are of one visit, unless that is uncertain."""
    if left.table.name != "assessments":
        return
    places = list(pairs)
    for place, found in held.verdicts.get("date", {}).items():
        a, b = places[place]
        visit, start = visits.get(left.cell(a, "visit") or ""), when(firsts.get(left.cell(a, "subject") or "", ""))
        if not (visit and visit.window and visit.visit == right.cell(b, "visit") and found.status == DIFFERENT):
            continue
        if not start or start.first != start.last:
            continue
        days = {"The study's is": left.cell(a, "date"), "The record's is": right.cell(b, "date")}
        outside = [name for name, day in days.items() if not _meets(visit.window, start.first, when(day or ""))]
        if outside:
            who = outside[0] if len(outside) == 1 else "Both are"
            why = f"{found.why} {who} outside of the window of {visit.visit}."
            held.verdicts["date"][place] = found._replace(why=why.strip())


def _meets(window: tuple[int, int], start: date, day: When | None) -> bool:
    return day is None or ((day.last - start).days >= window[0] and (day.first - start).days <= window[1])


def _groups(
    side: Side, rows: Sequence[int], time: str, same: tuple[str, ...]
) -> dict[tuple[str, ...], list[tuple[int, date]]]:
    found = defaultdict(list)
    for row in rows:
        key = tuple(side.cells[name][row].as_py() or "" for name in ("subject", *same))
        at = when(side.cells[time][row].as_py() or "")
        if all(key) and at and at.first == at.last:
            found[key].append((row, at.first))
    return found


def _one_window(windows: Sequence[tuple[int, int]], start: date, day: date, other: date) -> bool:
    one, two = (day - start).days, (other - start).days
    return any(first <= one <= last and first <= two <= last for first, last in windows)


def _nearest(gaps: Sequence[tuple[int, int, int]]) -> Iterator[tuple[int, int]]:
    """The pairs of which each is the only nearest of the other."""
    least: list[dict[int, tuple[int, int]]] = [{}, {}]  # row -> the least gap, and how often
    for gap, *rows in gaps:
        for known, row in zip(least, rows, strict=True):
            best, times = known.get(row, (gap, 0))
            known[row] = (gap, 1) if gap < best else (best, times + (gap == best))
    for gap, a, b in gaps:
        if least[0][a] == least[1][b] == (gap, 1):
            yield a, b
