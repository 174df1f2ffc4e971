"""Every fault on push and on pull: the run ends right or says that it did not, and then the same command ends right.

Nothing is lost silently, and nothing is stored or written twice. What was found stands in docs/reliability.md, and is
held against it; with RELIABILITY_TABLE=write in the environment it is written there.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
import requests
from faults.fault import Fault
from faults.kinds import KINDS
from faults.proxy import When

from fhir_ivig.issue import IssueError
from fhir_ivig.mapping import loading
from fhir_ivig.study.study import Study
from fhir_ivig.sync.push_study import push_study
from fhir_ivig.sync.sandbox import sandbox
from reliability.cases import CASES, Case, Way
from reliability.runs import IDLE, HealingProxy, Run, pull_runs, push_runs
from reliability.small import BASE, everything, planned, small_study, stored
from reliability.table import WAYS, read, table, written

AT_ONCE = 8  # most of a run is waiting
DOCUMENT = Path(__file__).parents[2] / "docs/reliability.md"
Found = dict[tuple[Way, str], list[Run]]


@pytest.fixture(scope="module")
def monkeypatch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as made:
        yield made


@pytest.fixture(scope="module")
def found(server: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Found:
    """All runs, several at once; pulls have a server of their own, which holds one study."""
    folder = tmp_path_factory.mktemp("reliability")
    monkeypatch.setattr(loading, "load_mapping", cache(loading.load_mapping))  # takes half of a small study's time
    study = Study.load(small_study(folder / "study"))
    with sandbox() as own, ThreadPoolExecutor(AT_ONCE) as pool:
        assert push_study(study, own).complete
        begun = {}
        for case in sorted(CASES, key=lambda case: -case.fault.seconds):  # what takes longest first
            here = folder / case.name.replace(" ", "-")
            begun["push", case.name] = pool.submit(push_runs, case, server, here / "push")
            for way in ("pull", "bulk"):
                begun[way, case.name] = pool.submit(pull_runs, case, way, own, here / way, study)
        return {name: runs.result() for name, runs in begun.items()}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_fault_loses_or_doubles_anything(case: Case, way: Way, found: Found) -> None:
    runs = found[way, case.name]
    assert {f"{run.place.name}: {run.outcome} {run.codes}": run.wrong for run in runs if run.wrong} == {}


def test_nothing_is_stored_twice(found: Found, server: str, tmp_path: Path) -> None:
    one = planned(Study.load(small_study(tmp_path / "study")), tmp_path / "planned")
    held = everything(server, sorted({ref.partition("/")[0] for ref in one}))
    identifiers = Counter(
        (each["system"], each["value"])
        for resource in held
        for each in resource["identifier"]
        if each["system"].startswith(BASE)
    )
    assert {name: count for name, count in identifiers.items() if count > 1} == {}
    assert len(identifiers) == len(held) == len(one) * len(CASES)


def test_a_lost_page_lets_nothing_be_overwritten(server: str, tmp_path: Path) -> None:
    """What the server has and does not show, and no journal knows, may be somebody else's."""
    file = small_study(tmp_path / "study")
    with HealingProxy(server) as proxy:
        assert push_study(Study.load(file), proxy.url).complete
        shutil.rmtree(file.parent / ".fhir-ivig")
        ref, ours = next(iter(planned(Study.load(file), tmp_path / "planned").items()))
        theirs = {**ours, "language": "fi"}
        assert requests.put(f"{server}/{ref}", json=theirs, timeout=10).status_code == 200
        proxy.inject(Fault("page_lost"), When(path=f"{ref.partition('/')[0]}/_search"))
        with suppress(IssueError):
            assert not push_study(Study.load(file), proxy.url).complete
        assert proxy.idle == []
    assert stored(server, [ref]) == {ref: theirs}


def test_every_kind_strikes_somewhere(found: Found) -> None:
    assert {run.case.fault.kind for runs in found.values() for run in runs if run.outcome != IDLE} == set(KINDS)


def test_the_document_says_what_was_found(found: Found) -> None:
    if os.environ.get("RELIABILITY_TABLE") == "write":
        DOCUMENT.write_text(written(DOCUMENT.read_text("utf-8"), table(found)), "utf-8")
    assert read(DOCUMENT.read_text("utf-8")) == table(found)
