"""A push killed at every moment of its course goes on; two at once do not harm each other."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest
from killing import ended, forked, killed, push_at
from sample_study import Row, edit, own_study
from sent_study import Plain, Resource, content, counts, planned

from fhir_ivig.fhir.client import Client
from fhir_ivig.issue import IssueError
from fhir_ivig.study.study import Study
from fhir_ivig.sync.push_study import push_study, status_of

SUBJECT = "HARA-06"  # 33 resources, of every type
REFUSED = 3  # exit code
pytestmark = pytest.mark.usefixtures("mappings_read_once")
Push = Callable[..., dict[str, int]]


@pytest.fixture(params=["sekmet_url", "hapi_r4"])
def url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(request.param)


@pytest.fixture
def push_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> Push:
    """A push that must not send; its counts."""

    def refused(*_: object) -> None:
        raise AssertionError("something was sent")

    def push(study: Study, url: str, **options: bool) -> dict[str, int]:
        with monkeypatch.context() as patch:
            patch.setattr(Client, "transact", refused)
            return counts(push_study(study, url, **options))

    return push


def test_killed_at_every_moment_of_the_first_push(url: str, tmp_path: Path, push_sends_nothing: Push) -> None:
    """Each moment has a study of its own; when all are through, the server has all of them and nothing else."""
    plain, prefix, wanted = Plain(url), f"https://example.org/studies/{uuid4()}", dict[str, Resource]()
    for moment in count(1):
        study = own_study(tmp_path / str(moment), f"{prefix}/{moment}", [SUBJECT])
        was_killed = killed(moment, study, url)
        if was_killed:
            assert push_study(study, url).complete, moment
        ours = planned(study)
        assert content(plain.held(ours)) == content(ours), moment
        assert status_of(study, url).counts == {"confirmed": len(ours)}, moment
        assert push_sends_nothing(study, url) == {"unchanged": len(ours)}, moment
        wanted |= ours
        if not was_killed:
            break
    assert moment > 100
    assert content(everything(plain, prefix, wanted)) == content(wanted)


def test_killed_at_every_moment_of_changes_and_a_withdrawal(
    url: str, tmp_path: Path, push_sends_nothing: Push
) -> None:
    """Two rows edited and one removed, in a study of its own for each moment."""
    plain = Plain(url)
    for moment in count(1):
        study = own_study(tmp_path / str(moment), subjects=[SUBJECT])
        before = planned(study)
        assert push_study(study, url).complete
        edit(study.folder / "assessments.csv", two_edited_one_removed)
        was_killed = killed(moment, study, url, withdraw=True)
        if was_killed:
            assert push_study(study, url, withdraw=True).complete, moment
        ours = planned(study)
        [gone] = before.keys() - ours.keys()
        wanted = {**ours, gone: {**before[gone], "status": "entered-in-error"}}
        assert content(plain.held(wanted)) == content(wanted), moment
        assert status_of(study, url).counts == {"confirmed": len(ours), "withdrawn": 1}, moment
        assert push_sends_nothing(study, url, withdraw=True) == {"unchanged": len(ours)}, moment
        if not was_killed:
            break
    assert moment > 2 * 7


def test_killed_and_edited_before_going_on(url: str, tmp_path: Path, push_sends_nothing: Push) -> None:
    """What the killed push may have stored was ours, also when the study says something else by now: no conflict."""
    plain = Plain(url)
    for moment in count(1):
        study = own_study(tmp_path / str(moment), subjects=[SUBJECT])
        assessments = study.folder / "assessments.csv"
        kept = assessments.read_text("utf-8")
        assert push_study(study, url).complete
        edit(assessments, two_edited_one_removed)
        was_killed = killed(moment, study, url, withdraw=True)
        assessments.write_text(kept, "utf-8")
        edit(assessments, all_edited)
        pushed = push_study(study, url, withdraw=True)
        assert (pushed.complete, pushed.conflicts) == (True, 0), moment
        ours = planned(study)
        assert content(plain.held(ours)) == content(ours), moment
        assert status_of(study, url).counts == {"confirmed": len(ours)}, moment
        assert push_sends_nothing(study, url, withdraw=True) == {"unchanged": len(ours)}, moment
        if not was_killed:
            break
    assert moment > 2 * 7


@pytest.mark.parametrize("step", [5, 6, 7, 8, 13])
def test_killed_again_and_again(url: str, tmp_path: Path, step: int, push_sends_nothing: Push) -> None:
    """Also a push that goes on is killed: one study, each push killed at its n-th moment until one ends by itself."""
    study = own_study(tmp_path / "study", subjects=[SUBJECT])
    ours = planned(study)
    kills = 0
    while killed(step, study, url):
        kills += 1
        assert kills < len(ours), "nothing was won by a push"
    assert kills > 5
    assert content(Plain(url).held(ours)) == content(ours)
    assert status_of(study, url).counts == {"confirmed": len(ours)}
    assert push_sends_nothing(study, url) == {"unchanged": len(ours)}


@pytest.mark.parametrize("moment", [1, 5, 6, 50])
def test_a_second_push_is_refused_while_one_is_under_way(url: str, tmp_path: Path, moment: int) -> None:
    study = own_study(tmp_path / "study", subjects=[SUBJECT])
    ours = planned(study)
    (there, arrived), (go, may_go) = os.pipe(), os.pipe()

    def wait() -> None:
        os.close(may_go)
        os.write(arrived, b".")
        os.read(go, 1)

    first = forked(lambda: push_at(moment, wait, study, url))
    os.close(arrived)  # so that its end is seen if it never arrives
    os.read(there, 1)
    try:
        with pytest.raises(IssueError, match="under way"):
            push_study(study, url)
    finally:
        os.close(may_go)
        code = ended(first)
    assert code == 0
    assert content(Plain(url).held(ours)) == content(ours)
    assert status_of(study, url).counts == {"confirmed": len(ours)}


def test_two_pushes_of_one_study_started_at_once(url: str, tmp_path: Path, push_sends_nothing: Push) -> None:
    study = own_study(tmp_path / "study", subjects=[SUBJECT])
    pushes = at_once(study, study, url)
    assert 0 in pushes
    assert set(pushes) <= {0, REFUSED}
    ours = planned(study)
    assert content(Plain(url).held(ours)) == content(ours)
    assert status_of(study, url).counts == {"confirmed": len(ours)}
    assert push_sends_nothing(study, url) == {"unchanged": len(ours)}


def test_two_pushes_from_two_places_started_at_once(url: str, tmp_path: Path, push_sends_nothing: Push) -> None:
    """Each with a journal of its own, as from two machines: no lease keeps them apart, only the server."""
    prefix = f"https://example.org/studies/{uuid4()}"
    one, other = (own_study(tmp_path / name, prefix, [SUBJECT]) for name in ("one", "other"))
    at_once(one, other, url)
    for study in (one, other):  # whatever one refused of the other
        assert push_study(study, url).complete
    ours = planned(one)
    assert content(Plain(url).held(ours)) == content(ours)
    assert content(everything(Plain(url), prefix, ours)) == content(ours)
    for study in (one, other):
        assert status_of(study, url).counts == {"confirmed": len(ours)}
        assert push_sends_nothing(study, url) == {"unchanged": len(ours)}


def at_once(one: Study, other: Study, url: str) -> list[int]:
    """The exit codes of two pushes, let go together: 0 or REFUSED, anything else for an end without a word."""
    gate, opened = os.pipe()

    def push(study: Study) -> None:
        os.close(opened)
        os.read(gate, 1)
        try:
            push_study(study, url)
        except IssueError:
            os._exit(REFUSED)

    processes = [forked(lambda study=study: push(study)) for study in (one, other)]
    os.close(opened)
    codes = [ended(process) for process in processes]
    os.close(gate)
    return codes


def two_edited_one_removed(rows: list[Row]) -> list[Row]:
    found = ck(rows)
    for row in found[:2]:
        row["value"] = f"4711.{len(row['value'])}"
    return [row for row in rows if row is not found[2]]


def all_edited(rows: list[Row]) -> list[Row]:
    for place, row in enumerate(ck(rows)):
        row["value"] = f"815.{place + 1}"
    return rows


def ck(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["measure"] == "CK" and row["value"]]


def everything(plain: Plain, prefix: str, like: dict[str, Resource]) -> dict[str, Resource]:
    """All that the server has of the studies whose base begins so, whatever its id."""
    kinds = {ref.partition("/")[0] for ref in like}
    found = [resource for kind in kinds for resource in plain.all(kind) if of_study(resource, prefix)]
    by_ref = {f"{resource['resourceType']}/{resource['id']}": resource for resource in found}
    assert len(by_ref) == len(found)
    return by_ref


def of_study(resource: Resource, prefix: str) -> bool:
    found = resource.get("identifier", [])
    identifiers = found if isinstance(found, list) else [found]
    return any(each.get("system", "").startswith(f"{prefix}/") for each in identifiers)
