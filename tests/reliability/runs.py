"""A study pushed and pulled while things go wrong: what each run said, and whether that was true."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.proxy import FaultProxy

from fhir_ivig.fhir.client import Client
from fhir_ivig.fhir.server import connect, server_settings
from fhir_ivig.issue import IssueError, failed
from fhir_ivig.study.study import Study
from fhir_ivig.sync.bulk import Bulk
from fhir_ivig.sync.pull_study import pull_study
from fhir_ivig.sync.push_study import push_study
from reliability.cases import LONG_SECONDS, Case, Place, Way, patience, places
from reliability.small import change_some, planned, small_study, stored, tables

RIGHT, INCOMPLETE, IDLE = "ends right", "says it is incomplete", "does not occur"
COUNTED = ("created", "updated", "unchanged", "failed", "conflicts")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: whether it said that all is done, the codes of its errors."""

    complete: bool
    codes: Sequence[str] = ()
    wrong: Sequence[str] = ()


@dataclass(slots=True)
class Run:
    """One run under a fault, and where that was not complete the same command without the fault.

    `outcome` is what the first said; `codes` are those of its errors; `again` counts the requests that were sent
    again at once. `held` is how many there were of what should be, at the end, and how many should be. `wrong` is
    what was not as it was said, in words: empty for a run that kept its promises.
    """

    case: Case
    place: Place
    outcome: str
    codes: Sequence[str]
    again: int
    held: tuple[int, int]
    wrong: list[str] = field(default_factory=list)


class SmallPages(Client):
    """Asks for pages so small that a small study has several."""

    def search(self, resource_type: str, params: Any = None, **more: Any) -> Any:
        return super().search(resource_type, {**(params or {}), "_count": "4"}, **more)


class HealingProxy(FaultProxy):
    """A proxy whose faults can be taken away."""

    def heal(self) -> None:
        self._rules.clear()
        self.log.clear()
        deadline = time.monotonic() + 10  # a refusing one opens its port again
        while not self._server.is_serving() and time.monotonic() < deadline:
            time.sleep(0.02)


def server_file(url: str, file: Path, seconds: tuple[int, int], bundle: str = "batch") -> str:
    """A server.yaml with this patience, for a byte and for a request; its path."""
    answer, deadline = seconds
    limits = {"answer_seconds": answer, "deadline_seconds": deadline, "connect_seconds": 2}
    settings = {"base": url, "bundle": bundle, "limits": {**limits, "connections": 1}}
    file.write_text(json.dumps(settings), "utf-8")  # JSON is YAML
    return str(file)


def small_pages(url: str, file: Path, seconds: tuple[int, int]) -> SmallPages:
    """A client with this patience."""
    settings = server_settings(server_file(url, file, seconds))
    assert settings
    return SmallPages(connect(settings).transport)


def push_runs(case: Case, server: str, folder: Path) -> list[Run]:
    """The runs of a case on push: a study created, then changed again and again, always under the fault."""
    file, runs = small_study(folder / "study"), []
    with HealingProxy(server) as proxy:
        for number, place in enumerate(places(case, "push")):
            if number:
                change_some(file.parent, number)
            study = Study.load(file)
            plan = planned(study, folder / f"planned{number}")
            bundle = ("batch", "transaction")[number % 2]

            def push(
                seconds: tuple[int, int], study: Study = study, plan: dict[str, Any] = plan, bundle: str = bundle
            ) -> Ended:
                found = push_study(study, server_file(proxy.url, folder / "server.yaml", seconds, bundle))
                counts = {name: getattr(found, name) for name in COUNTED}
                whole = sum(counts.values()) == len(plan)
                return Ended(found.complete, _codes(found.issues), [] if whole else [f"its counts are {counts}"])

            def held(plan: dict[str, Any] = plan) -> tuple[int, int]:
                there = stored(server, list(plan))
                return sum(there.get(ref) == resource for ref, resource in plan.items()), len(plan)

            runs.append(_run(case, place, proxy, push, held))
    return runs


def pull_runs(case: Case, way: Way, server: str, folder: Path, study: Study) -> list[Run]:
    """The runs of a case on pull, by searches or in bulk, of a study that the server holds."""
    runs, sent = [], {line for lines in tables(study.folder).values() for line in lines}
    bulk = Bulk(poll_seconds=0.1) if way == "bulk" else None
    folder.mkdir(parents=True)
    with HealingProxy(server) as proxy:
        for number, place in enumerate(places(case, way)):
            out = folder / f"out{number}"

            def pull(seconds: tuple[int, int], out: Path = out) -> Ended:
                client = small_pages(proxy.url, folder / "server.yaml", seconds)
                found = pull_study(study, client, out, bulk=bulk)
                lines = [line for file in out.glob("fhir/*.ndjson") for line in file.read_bytes().splitlines()]
                twice = len(lines) - len(set(lines))
                return Ended(found.complete, _codes(found.log.first), [f"{twice} written twice"] if twice else [])

            def held(out: Path = out) -> tuple[int, int]:
                there = [line for lines in tables(out).values() for line in lines]
                return len(sent & set(there)) - (len(there) - len(set(there))), len(sent)

            runs.append(_run(case, place, proxy, pull, held))
    return runs


def _run(
    case: Case,
    place: Place,
    proxy: HealingProxy,
    command: Callable[[tuple[int, int]], Ended],
    held: Callable[[], tuple[int, int]],
) -> Run:
    proxy.heal()
    proxy.inject(case.fault, place.when)
    ended = _ended(command, patience(case, place))
    struck = [number for number, seen in enumerate(proxy.log) if seen.faults or seen.status is None]
    asked = [(seen.request.method, seen.request.path, seen.request.body) for seen in proxy.log]
    again = sum(asked[number : number + 1] == asked[number + 1 : number + 2] for number in struck)
    proxy.heal()
    wrong = list(_false(ended, held))
    if not ended.complete:
        after = _ended(command, (LONG_SECONDS, LONG_SECONDS))
        wrong += [f"without the fault: {said}" for said in _false(after, held)]
        if not after.complete:
            wrong.append(f"without the fault: not complete, {after.codes}")
    outcome = INCOMPLETE if not ended.complete else RIGHT if struck else IDLE
    return Run(case, place, outcome, ended.codes, again, (0, 0) if wrong else held(), wrong)


def _false(ended: Ended, held: Callable[[], tuple[int, int]]) -> Iterator[str]:
    """What is not as it was said."""
    yield from ended.wrong
    if ended.complete and ended.codes:
        yield f"complete, but with errors: {ended.codes}"
    if not ended.complete and not ended.codes:
        yield "not complete, and no error says why"
    if ended.complete:
        there, due = held()
        if there != due:
            yield f"said it was complete, and {there} of {due} are there as they were sent"


def _ended(command: Callable[[tuple[int, int]], Ended], seconds: tuple[int, int]) -> Ended:
    try:
        return command(seconds)
    except IssueError as error:
        return Ended(False, _codes(error.issues))
    except Exception as error:
        return Ended(False, wrong=["".join(traceback.format_exception(error)[-3:])])


def _codes(issues: Sequence[Any]) -> list[str]:
    return sorted({issue.code for issue in issues if failed([issue])})
