"""A pull killed at every moment of its course goes on: nothing lost, nothing doubled, nothing asked for twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from killing import counting, ended, forked
from sample_study import own_study
from sent_study import tables

from fhir_ivig.fhir.transport import Transport
from fhir_ivig.issue import IssueError
from fhir_ivig.study.study import Study
from fhir_ivig.sync.portions import Portions
from fhir_ivig.sync.pull_study import pull_study
from fhir_ivig.sync.push_study import push_study
from fhir_ivig.sync.tabulate import Tabulated, Tabulating

SUBJECTS = [f"HARA-0{number}" for number in range(1, 5)]
LIMITS = "limits: {page: 20, connections: 2}"
pytestmark = pytest.mark.usefixtures("mappings_read_once")


@pytest.fixture(params=["sekmet_url", "hapi_r4"])
def url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(request.param)


@pytest.fixture
def study(url: str, tmp_path: Path) -> Study:
    """A study that the server holds, and its server.yaml."""
    made = own_study(tmp_path / "study", subjects=SUBJECTS)
    assert push_study(made, url).complete
    (tmp_path / "server.yaml").write_text(f"base: {url}\n{LIMITS}\n")
    return made


def pull_at(moment: int, then: Callable[[], object], study: Study, out: Path) -> Tabulated:
    """A pull that does something at its n-th moment; only for a process of its own, which it leaves altered.

    The moments: before and after each request, each file that is put in its place or taken away, and the tables.
    """
    pass_moment = counting(moment, then)

    def around(owner: Any, name: str) -> None:
        done = getattr(owner, name)

        def moments(*given: Any, **more: Any) -> Any:
            pass_moment()
            found = done(*given, **more)
            pass_moment()
            return found

        setattr(owner, name, moments)

    for owner, name in (
        (Transport, "ask"), (Path, "replace"), (Path, "rename"), (Path, "unlink"), (Portions, "finish"),
        (Tabulating, "finish"),
    ):  # fmt: skip
        around(owner, name)
    return pull_study(study, str(study.folder.parent / "server.yaml"), out)


def killed(moment: int, study: Study, out: Path) -> bool:
    """Whether a pull was killed at its n-th moment; False if it ended before, by itself and whole."""

    def pull() -> None:
        assert pull_at(moment, lambda: os.kill(os.getpid(), signal.SIGKILL), study, out).complete

    code = ended(forked(pull))
    assert code in (0, -signal.SIGKILL), f"the pull at {moment} ended with {code}"
    return code != 0


def test_killed_at_every_moment(study: Study, tmp_path: Path) -> None:
    server = str(tmp_path / "server.yaml")
    assert pull_study(study, server, tmp_path / "whole").complete
    whole = files(tmp_path / "whole")
    assert tables(tmp_path / "whole").items() >= tables(study.folder).items()
    for moment in count(1):
        out = tmp_path / f"out{moment}"
        was_killed = killed(moment, study, out)
        private(tmp_path / f"{out.name}.pull")
        if was_killed:
            assert pull_study(study, server, out).complete, moment
        assert files(out) == whole, moment
        assert [path.name for path in tmp_path.glob(f"*{out.name}*")] == [out.name], moment
        if not was_killed:
            break
    assert moment > 100


@pytest.mark.parametrize("step", [50, 70])
def test_killed_again_and_again(study: Study, tmp_path: Path, step: int) -> None:
    """Each pull goes on where the last was: killed again and again, long before a whole one would end, its output
    comes, be it that a last one is killed while it clears up.

    Each is killed a moment later than the last: what is killed when it has finished, before its output is there,
    pulls anew, and steps of one length could lead there each time.
    """
    assert pull_study(study, str(tmp_path / "server.yaml"), tmp_path / "whole").complete
    kills = 0
    while killed(step + kills, study, tmp_path / "out"):
        kills += 1
        assert kills < 40, "nothing was won by a pull"
        if (tmp_path / "out").exists():
            break
    assert kills > 1
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_a_second_pull_is_refused_while_one_is_under_way(study: Study, tmp_path: Path) -> None:
    (there, arrived), (go, may_go) = os.pipe(), os.pipe()

    def wait() -> None:
        os.close(may_go)
        os.write(arrived, b".")
        os.read(go, 1)

    first = forked(lambda: pull_at(20, wait, study, tmp_path / "out"))
    os.close(arrived)  # so that its end is seen if it never arrives
    os.read(there, 1)
    try:
        with pytest.raises(IssueError, match="under way"):
            pull_study(study, str(tmp_path / "server.yaml"), tmp_path / "out")
    finally:
        os.close(may_go)
        code = ended(first)
    assert code == 0
    assert tables(tmp_path / "out").items() >= tables(study.folder).items()


def files(out: Path) -> dict[str, bytes | list[bytes]]:
    """The tables, and the lines received, whose order is the server's: HAPI's is another now and then."""
    tables = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.csv")}
    return {**tables, **{path.name: sorted(path.read_bytes().splitlines()) for path in out.glob("fhir/*.ndjson")}}


def private(folder: Path) -> None:
    """What a pull has on its way is for its owner only."""
    if folder.exists():
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} <= {0o600}
