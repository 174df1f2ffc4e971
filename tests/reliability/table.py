"""The table of docs/reliability.md, made from what was found."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from faults.kinds import KINDS

from reliability.cases import CASES, Way
from reliability.runs import IDLE, RIGHT, Run

WAYS: dict[Way, str] = {"push": "push", "pull": "pull", "bulk": "bulk pull"}
_PLACE = re.compile(r"(?<=<!-- found -->\n).*?(?=\n<!-- end -->)", re.DOTALL)
Found = Mapping[tuple[Way, str], Sequence[Run]]


def table(found: Found) -> str:
    """One line for each kind, or for each outcome of a kind, whatever its settings."""
    lines: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for case in CASES:
        runs = {way: found[way, case.name] for way in WAYS}
        cells = [_said(runs[way], lasting) for way in WAYS for lasting in (False, True)]
        lines.setdefault((case.fault.kind, (*cells, _seen(runs))), []).append(case.more)
    head = ["fault", *(f"{name}, {times}" for name in WAYS.values() for times in ("once", "lasting")), "seen"]
    rows = [[_named(kind, more), *cells] for (kind, cells), more in lines.items()]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def read(document: str) -> str:
    """The table that a document has."""
    found = _PLACE.search(document)
    return found[0] if found else ""


def written(document: str, made: str) -> str:
    """The document with this table."""
    return _PLACE.sub(lambda _: made, document)


def _named(kind: str, more: Sequence[str]) -> str:
    says = next(row.says for name, row in KINDS.items() if name == kind)
    settings = f" ({'; '.join(more)})" if any(more) else ""
    return f"`{kind}`{settings}: {says}"


def _said(runs: Sequence[Run], lasting: bool) -> str:
    """What the runs said, under a fault that struck once or lasted."""
    said = [run.outcome for run in runs if run.place.lasting == lasting]
    struck = [outcome for outcome in said if outcome != IDLE]
    if len(set(struck)) < 2:
        return (struck or said or ["-"])[0]
    right = struck.count(RIGHT)
    return f"{RIGHT} ({right} of {len(struck)}), else {next(each for each in struck if each != RIGHT)}"


def _seen(runs: Mapping[Way, Sequence[Run]]) -> str:
    """What the runs under a fault that struck once show, and what was there at the end of all."""
    parts = []
    for way, name in WAYS.items():
        if all(run.outcome == IDLE for run in runs[way]):
            continue
        once = [run for run in runs[way] if not run.place.lasting]
        codes = sorted({code for run in once for code in run.codes})
        again = sum(run.again for run in once)
        words = [f"{again} asked again"] * bool(again) + [f"errors {', '.join(codes)}"] * bool(codes)
        there = sorted({f"{held} of {due}" for held, due in (run.held for run in runs[way])})
        words.append(f"then {' / '.join(there)} {'stored' if way == 'push' else 'rows'}")
        parts.append(f"{name}: {', '.join(words)}")
    return "; ".join(parts)
