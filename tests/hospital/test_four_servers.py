"""The sample study on four servers: sent twice, pulled back, edited, withdrawn, changed by somebody else."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sample_study import Row, edit, own_study
from sent_study import Plain, content, counts, planned, tables

from fhir_ivig.fhir.server import server_settings
from fhir_ivig.study.study import Study
from fhir_ivig.sync.pull_study import pull_study
from fhir_ivig.sync.push_study import PushedStudy, push_study

SERVERS = {
    "sekmet_url": ("R4", True),
    "hapi_r4": ("R4", True),
    "hapi_r5": ("R5", True),
    "medplum_url": ("R4", False),
}
ALL = 559


@dataclass(frozen=True)
class There:
    """A server: its FHIR version, and whether it keeps the decimals of the sample as written (51.0 is not 51)."""

    url: str
    version: str
    exact: bool
    plain: Plain

    def push(self, study: Study, **options: Any) -> PushedStudy:
        """Under our ids, which each of them takes; how else, is in test_strategies."""
        settings = server_settings(self.url)
        assert settings
        target = replace(settings, strategy="client-id", stated=frozenset({"strategy"}))
        return push_study(study, target, version=self.version, **options)


@pytest.fixture(params=SERVERS)
def there(request: pytest.FixtureRequest) -> There:
    version, exact = SERVERS[request.param]
    url = request.getfixturevalue(request.param)
    return There(url, version, exact, Plain(url))


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return own_study(tmp_path / "study")


def test_sent_twice_and_pulled_back(there: There, study: Study, tmp_path: Path) -> None:
    first = there.push(study)
    assert (counts(first), first.complete) == ({"created": ALL}, True)
    lost = [issue for issue in first.issues if "digits" in issue.text]
    assert bool(lost) is not there.exact, "a server that loses digits is named"
    before = there.plain.held(planned(study, there.version))
    assert content(before) == content(planned(study, there.version))

    again = there.push(study)
    assert (counts(again), again.complete) == ({"unchanged": ALL}, True)
    assert there.plain.held(before) == before, "no resource has a new version"

    pulled = pull_study(study, there.url, tmp_path / "cohort", version=there.version)
    assert pulled.complete, pulled.log.first
    assert pulled.resources == ALL
    sent, got = tables(study.folder), tables(tmp_path / "cohort")
    assert got.pop("studies.csv") == [{"study": study.study, "title": study.title, "status": study.status}]
    assert sent.keys() == got.keys()
    if there.exact:
        assert got == sent
    else:
        assert as_numbers(got) == as_numbers(sent)


def test_edits_a_removed_row_and_a_foreign_edit(there: There, study: Study) -> None:
    assert counts(there.push(study)) == {"created": ALL}
    refs = planned(study, there.version)
    before = there.plain.held(refs)

    edit(study.folder / "assessments.csv", three_edits)
    assert counts(there.push(study)) == {"updated": 3, "unchanged": ALL - 3}
    after = there.plain.held(refs)
    edited = {ref for ref in refs if after[ref] != before[ref]}
    assert len(edited) == 3
    assert sorted(after[ref]["valueQuantity"]["value"] for ref in edited) == [71.5, 72.5, 73.5]

    edit(study.folder / "assessments.csv", lambda rows: [row for row in rows if row is not ck(rows)[3]])
    assert counts(there.push(study)) == {"unchanged": ALL - 1, "left": 1}
    assert there.plain.held(refs) == after, "nothing is withdrawn unasked"
    pushed = there.push(study, withdraw=True)
    assert (counts(pushed), pushed.complete) == ({"unchanged": ALL - 1, "withdrawn": 1}, True)
    marked = there.plain.held(refs)
    [gone] = [ref for ref in refs if marked[ref] != after[ref]]
    assert gone not in planned(study, there.version)
    assert content({gone: marked[gone]}) == content({gone: {**after[gone], "status": "entered-in-error"}})
    assert counts(there.push(study, withdraw=True)) == {"unchanged": ALL - 1}

    theirs = min(ref for ref in refs if ref.startswith("Observation/") and ref not in {gone, *edited})
    there.plain.put({**marked[theirs], "status": "amended"})
    foreign = there.plain.held(refs)
    assert foreign[theirs]["status"] == "amended"
    pushed = there.push(study)
    assert (counts(pushed), pushed.complete) == ({"unchanged": ALL - 2, "conflicts": 1}, False)
    assert [theirs in issue.text for issue in pushed.issues if issue.code == "conflict"] == [True]
    assert there.plain.held(refs) == foreign, "nothing is overwritten"


def test_a_server_without_next_pages_is_said_to_be_short(medplum_url: str, tmp_path: Path) -> None:
    """One subject with more results than a page: all are sent, and the pull says that it has not got them all."""
    study = own_study(tmp_path / "study", subjects=["HARA-06"])
    text = study.path.read_text("utf-8")
    visits = "".join(f"  - {{visit: day {day}, day: {day}, window: [{day}, {day}]}}\n" for day in range(100, 330))
    study.path.write_text(text.replace("measures:\n", f"{visits}\nmeasures:\n", 1), "utf-8")
    edit(
        study.folder / "assessments.csv", lambda rows: [*rows, *(daily(ck(rows)[0], day) for day in range(100, 330))]
    )
    study = Study.load(study.path)
    assert counts(push_study(study, medplum_url)) == {"created": len(planned(study))}
    assert counts(push_study(study, medplum_url)) == {"unchanged": len(planned(study))}
    pulled = pull_study(study, medplum_url, tmp_path / "cohort")
    assert not pulled.complete
    assert [issue.code for issue in pulled.log.first if issue.severity == "error"] == ["incomplete"]
    assert "Observation" in next(issue.text for issue in pulled.log.first if issue.severity == "error")


def daily(row: Row, day: int) -> Row:
    return {**row, "visit": f"day {day}", "date": (date(1999, 6, 21) + timedelta(day)).isoformat()}


def ck(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["measure"] == "CK" and row["value"]]


def three_edits(rows: list[Row]) -> list[Row]:
    for place, row in enumerate(ck(rows)[:3]):
        row["value"] = f"{71 + place}.5"
    return rows


def as_numbers(tables: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """The tables with numbers as a server gives them back that stores decimals as binary numbers: 51.0 is 51."""
    return {
        name: [{column: _shortened(cell) for column, cell in row.items()} for row in rows]
        for name, rows in tables.items()
    }


def _shortened(cell: str) -> str:
    return cell.rstrip("0").removesuffix(".") if re.fullmatch(r"\d+\.\d+", cell) else cell


def test_who_sent_what_is_stored(there: There, tmp_path: Path) -> None:
    """Each resource is named, with its version where the server keeps versions in references; else that is said."""
    study = own_study(tmp_path / "study", subjects=["HARA-06"])
    pushed = there.push(study, agent="Jane Doe")
    assert pushed.complete
    said = [issue for issue in pushed.issues if "Provenance" in f"{issue.text} {issue.path}"]
    wanted = set(planned(study, there.version))
    told = [[each["reference"] for each in found["target"]] for found in there.plain.all("Provenance")]
    [mine] = [refs for refs in told if {_unversioned(ref, there.url) for ref in refs} == wanted]
    versions = ["/_history/" in ref for ref in mine]
    assert all(versions) or not any(versions)
    assert [issue.severity for issue in said] == ["warning"] * (not all(versions))


def _unversioned(ref: str, url: str) -> str:
    return ref.removeprefix(f"{url}/").partition("/_history/")[0]
