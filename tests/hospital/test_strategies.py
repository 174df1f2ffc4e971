"""The sample study on servers that choose the ids themselves: known there by identifiers, and never doubled."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from faults.fault import Fault
from faults.proxy import FaultProxy, When
from killing import killed
from sample_study import Row, edit, own_study
from sent_study import Plain, Resource, content, counts, planned, tables

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.study.study import Study
from fhir_ivig.sync.journal import journal_path
from fhir_ivig.sync.pull_study import pull_study
from fhir_ivig.sync.push_study import PushedStudy, plan_study, push_study, status_of

SERVERS = [
    ("sekmet_url", "conditional-create"),
    ("sekmet_url", "search-create"),
    ("hapi_own_ids", "conditional-create"),
    ("hapi_own_ids", "search-create"),
    ("empty_medplum", "conditional-create"),
]
SUBJECT = "HARA-06"
pytestmark = pytest.mark.usefixtures("mappings_read_once")
# By R4, or (sekmet) by what the server takes: https://hl7.org/fhir/R4/adverseevent.html#search
NOT_BY_IDENTIFIER = {"AdverseEvent", "ResearchStudy", "ResearchSubject"}


@dataclass(frozen=True)
class There:
    """A server, and how it is sent to."""

    url: str
    strategy: str
    exact: bool

    @property
    def plain(self) -> Plain:
        return Plain(self.url)

    def file(self, study: Study, url: str | None = None, **more: Any) -> str:
        """A server.yaml beside the study."""
        settings = {"base": url or self.url, "strategy": self.strategy, **more}
        path = study.folder / "server.yaml"
        path.write_text("".join(f"{name}: {json.dumps(value)}\n" for name, value in settings.items()), "utf-8")
        return str(path)

    def push(self, study: Study, **options: Any) -> PushedStudy:
        return push_study(study, self.file(study), **options)

    def held(self, like: dict[str, Resource]) -> dict[str, Resource]:
        """All that the server has under the identifiers of these resources, under our ids. It chose all ids."""
        found = [each for kind in {ref.partition("/")[0] for ref in like} for each in self._having(kind, like)]
        ours = {f"{each['resourceType']}/{each['id']}": _our_ref(each) for each in found}
        assert not ours.keys() & set(ours.values())
        assert len(set(ours.values())) == len(found), "nothing is there twice"
        renamed = [_renamed(each, ours, self.url) for each in found]
        return {_our_ref(each): {**each, "id": _our_ref(each).partition("/")[2]} for each in renamed}

    def _having(self, kind: str, like: dict[str, Resource]) -> Iterator[Resource]:
        keys = [_identifier(each) for ref, each in like.items() if ref.startswith(f"{kind}/")]
        if kind in NOT_BY_IDENTIFIER:
            yield from (each for each in self.plain.all(kind) if _identifier(each) in keys)
            return
        for start in range(0, len(keys), 50):
            value = ",".join(f"{system}|{value}" for system, value in keys[start : start + 50])
            asked = {"identifier": value, "_count": "200"}
            answer = self.plain.session.post(f"{self.url}/{kind}/_search", data=asked).json()
            yield from (each["resource"] for each in answer.get("entry", []))


def _identifier(resource: Resource) -> tuple[str, str]:
    found = resource.get("identifier") or [{}]
    first = found[0] if isinstance(found, list) else found
    return first.get("system", ""), first.get("value", "")


def _our_ref(resource: Resource) -> str:
    system, value = _identifier(resource)
    return f"{resource['resourceType']}/{uuid5(NAMESPACE_URL, f'{system}|{value}')}"


def _renamed(value: Any, ours: dict[str, str], url: str) -> Any:
    if isinstance(value, list):
        return [_renamed(child, ours, url) for child in value]
    if not isinstance(value, dict):
        return value
    renamed = {name: _renamed(child, ours, url) for name, child in value.items()}
    if isinstance(ref := renamed.get("reference"), str):
        renamed["reference"] = ours.get(ref.removeprefix(f"{url}/"), ref)
    return renamed


@pytest.fixture(params=SERVERS, ids=" ".join)
def there(request: pytest.FixtureRequest) -> There:
    name, strategy = request.param
    return There(request.getfixturevalue(name), strategy, name != "empty_medplum")


@pytest.fixture(params=SERVERS[1:3], ids=" ".join)
def one_of_each(request: pytest.FixtureRequest) -> There:
    """One server for each strategy, where a run takes long."""
    name, strategy = request.param
    return There(request.getfixturevalue(name), strategy, True)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return own_study(tmp_path / "study", subjects=[SUBJECT])


def ck(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["measure"] == "CK" and row["value"]]


def set_ck(study: Study, value: str, place: int = 0) -> None:
    def change(rows: list[Row]) -> list[Row]:
        ck(rows)[place]["value"] = value
        return rows

    edit(study.folder / "assessments.csv", change)


def errors(issues: list[Issue]) -> list[str]:
    return [issue.text for issue in issues if issue.severity in ("error", "fatal")]


def test_sent_twice_and_pulled_back(there: There, tmp_path: Path) -> None:
    study = own_study(tmp_path / "study", subjects=[] if there.exact else [SUBJECT])  # Medplum looks at all for each
    plan = planned(study)
    first = there.push(study)
    assert (counts(first), first.complete) == ({"created": len(plan)}, True), errors(first.issues)
    before = there.held(plan)
    assert content(before) == content(plan)
    again = there.push(study)
    assert (counts(again), again.complete) == ({"unchanged": len(plan)}, True)
    assert there.held(plan) == before, "no resource has a new version"

    if there.exact:
        pulled = pull_study(study, there.url, tmp_path / "cohort")
        assert (pulled.complete, pulled.resources) == (True, len(plan)), pulled.log.first
        sent, got = tables(study.folder), tables(tmp_path / "cohort")
        assert {name: got[name] for name in sent} == sent


def test_edited_removed_changed_by_somebody_and_withdrawn(there: There, study: Study) -> None:
    all_of_it = there.push(study).created
    before = planned(study)
    set_ck(study, "71.5")
    [change] = plan_study(study, there.file(study)).changes
    assert change.at
    assert change.at != change.ref
    assert there.held({change.ref: before[change.ref]}), "it is there"
    assert counts(there.push(study)) == {"updated": 1, "unchanged": all_of_it - 1}
    assert content(there.held(before)) == content(planned(study))

    edit(study.folder / "assessments.csv", lambda rows: [row for row in rows if row is not ck(rows)[1]])
    [gone] = before.keys() - planned(study).keys()
    assert counts(there.push(study)) == {"unchanged": all_of_it - 1, "left": 1}
    assert counts(there.push(study, withdraw=True)) == {"unchanged": all_of_it - 1, "withdrawn": 1}
    assert there.held(before)[gone]["status"] == "entered-in-error"
    assert counts(there.push(study, withdraw=True)) == {"unchanged": all_of_it - 1}

    body = there.plain.session.get(f"{there.url}/{change.at}").json()
    there.plain.put({**body, "status": "amended"})
    conflict = there.push(study)
    assert counts(conflict) == {"unchanged": all_of_it - 2, "conflicts": 1}
    assert there.held(before)[change.ref]["status"] == "amended"
    assert counts(there.push(study, take={change.ref: "ours"})) == {"unchanged": all_of_it - 2, "updated": 1}
    assert there.held(before)[change.ref]["status"] == "final"


@pytest.mark.parametrize("there", SERVERS[:4], ids=" ".join, indirect=True)  # which keep digits: see docs/push.md
def test_without_its_journal_it_is_found_again(there: There, study: Study) -> None:
    all_of_it = there.push(study).created
    journal_path(study.folder, there.url).unlink()
    assert counts(there.push(study)) == {"unchanged": all_of_it}
    edit(study.folder / "assessments.csv", lambda rows: [row for row in rows if row is not ck(rows)[1]])
    assert counts(there.push(study, withdraw=True)) == {"unchanged": all_of_it - 1, "withdrawn": 1}


@pytest.mark.parametrize("kind", ["Observation", "Patient", "AdverseEvent"])
def test_two_where_one_is_due(there: There, study: Study, kind: str) -> None:
    """Nothing is sent for it, and which they are is said; the rest goes on."""
    all_of_it = there.push(study).created
    plan = planned(study)
    ref = min(ref for ref in plan if ref.startswith(f"{kind}/"))
    body = there.plain.session.get(f"{there.url}/{place(study, there, ref)}").json()
    copied = there.plain.post(
        kind, {name: value for name, value in body.items() if name not in ("id", "meta")}
    ).json()
    pushed = there.push(study)
    assert (counts(pushed), pushed.complete) == ({"unchanged": all_of_it - 1, "failed": 1}, False)
    [said] = [issue for issue in pushed.issues if issue.code == "duplicate"]
    assert f"has 2 of {ref}" in said.text
    assert f"{kind}/{copied['id']}" in said.text
    assert said.row
    assert there.plain.session.delete(f"{there.url}/{kind}/{copied['id']}").ok
    assert counts(there.push(study)) == {"unchanged": all_of_it}


def place(study: Study, there: There, ref: str) -> str:
    """Where the target has a resource, as the journal knows."""
    with sqlite3.connect(journal_path(study.folder, there.url)) as db:
        return str(db.execute("SELECT home FROM home WHERE ref = ?", (ref,)).fetchone()[0])


def test_what_somebody_deleted_is_a_conflict(there: There, study: Study) -> None:
    all_of_it = there.push(study).created
    ref = min(ref for ref in planned(study) if ref.startswith("Observation/"))
    assert there.plain.session.delete(f"{there.url}/{place(study, there, ref)}").ok
    assert counts(there.push(study)) == {"unchanged": all_of_it - 1, "conflicts": 1}
    assert counts(there.push(study, take={ref: "ours"})) == {"unchanged": all_of_it - 1, "created": 1}
    assert content(there.held(planned(study))) == content(planned(study))


@pytest.mark.parametrize("kind", ["cut_committed", "status_committed", "entries_missing", "cut"])
@pytest.mark.parametrize("nth", [1, 3])
def test_an_answer_that_was_lost_doubles_nothing(there: There, study: Study, kind: Any, nth: int) -> None:
    plan = planned(study)
    fault = Fault(kind, until=40) if kind == "cut" else Fault(kind)
    with FaultProxy(there.url) as proxy:
        proxy.inject(fault, When("POST", r"/fhir/?$", nth))
        push_study(study, there.file(study, proxy.url, limits={"batch_entries": 8, "connections": 1}))
        again = push_study(study, there.file(study, proxy.url))
    assert again.complete, errors(again.issues)
    assert content(there.held(plan)) == content(plan)


def test_killed_at_every_moment(one_of_each: There, tmp_path: Path) -> None:
    there, prefix = one_of_each, uuid5(NAMESPACE_URL, str(tmp_path))
    for moment in count(1):
        study = own_study(tmp_path / str(moment), f"https://example.org/studies/{prefix}/{moment}", [SUBJECT])
        plan = planned(study)
        there.file(study)
        was_killed = killed(moment, study, there.url)
        pushed = there.push(study)
        assert (pushed.complete, pushed.conflicts) == (True, 0), (moment, errors(pushed.issues))
        assert content(there.held(plan)) == content(plan), moment
        assert status_of(study, there.url).counts == {"confirmed": len(plan)}, moment
        if not was_killed:
            break
    assert moment > 100


def test_a_server_of_its_own_ids_is_not_sent_ours(hapi_own_ids: str, study: Study) -> None:
    """Once it has chosen ids, a push under ours is refused; and without a strategy it says what to do."""
    fresh = push_study(study, hapi_own_ids)
    assert (fresh.created, fresh.complete) == (0, False)
    assert any("strategy: conditional-create" in text for text in errors(fresh.issues))
    assert There(hapi_own_ids, "conditional-create", True).push(study).complete
    for _ in range(2):
        with pytest.raises(IssueError, match=r"Patient/.* would double everything|would double"):
            push_study(study, hapi_own_ids)
        journal_path(study.folder, hapi_own_ids).unlink(missing_ok=True)  # also without it
