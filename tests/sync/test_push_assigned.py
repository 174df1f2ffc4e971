"""A server that chooses the ids: what is translated, what is refused, what nobody can know."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
import yaml
from faults.fault import Fault
from faults.proxy import FaultProxy, When
from sample_study import copied

from fhir_ivig.fhir.bundle import Post, batch, read_answers
from fhir_ivig.fhir.client import Client
from fhir_ivig.study.study import Study
from fhir_ivig.sync.homes import Homes, MissingError
from fhir_ivig.sync.identified import identities, identity
from fhir_ivig.sync.journal import Entry, Journal, journal_path
from fhir_ivig.sync.push_study import PushedStudy, push_study

LINKED, OWN = (
    {"Patient/p": "Patient/hospital"},
    {"Observation/o": "Observation/17", "Patient/p": "Patient/3", "A/1": None},
)


def referring(*texts: str) -> bytes:
    return b"[" + b",".join(b'{"reference":"%b"}' % text.encode() for text in texts) + b"]"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("Patient/p", "Patient/hospital"),
        ("Observation/o", "Observation/17"),
        ("Observation/o/_history/2", "Observation/17/_history/2"),
        ("Observation/else", "Observation/else"),
        ("#contained", "#contained"),
        ("urn:uuid:1", "urn:uuid:1"),
    ],
)
def test_references_there_and_back(ours: str, theirs: str) -> None:
    homes = Homes("https://server/fhir", LINKED, OWN)
    assert homes.out(referring(ours)) == referring(theirs)
    assert homes.back(referring(theirs)) == referring(ours)
    assert homes.back(
        b'[{"reference" : "https:\\/\\/server\\/fhir\\/%b"}]' % theirs.replace("/", "\\/").encode()
    ) in (
        referring(ours),
        referring(f"https://server/fhir/{theirs}"),
    )
    assert homes.shown(json.loads(homes.back(referring(theirs)))) == json.loads(
        referring(theirs.split("/_h")[0])
    ) or ("_history" in theirs)


def test_the_studys_own_patient_is_not_taken_for_the_one_that_stands_for_it() -> None:
    """Of a subject that was linked later: what still points at its own Patient differs, and says so."""
    homes = Homes("", LINKED)
    [found] = json.loads(homes.back(referring("Patient/p")))
    assert found["reference"] != "Patient/p"
    assert homes.shown(found) == {"reference": "Patient/p"}


def test_only_references_are_turned() -> None:
    homes = Homes("", LINKED)
    text = json.dumps({"note": 'a "reference":"Patient/p" in a text', "id": "Patient/p", "value": 1.50}).encode()
    assert homes.out(text) == text


def test_what_is_not_there_cannot_be_referred_to() -> None:
    with pytest.raises(MissingError, match="A/1"):
        Homes("", {}, OWN).out(referring("A/1"))


def test_a_create_and_its_condition() -> None:
    posts = [Post("Observation/", b'{"value":1.50}', 'identifier=s|a"b'), Post("Observation/", b"{}")]
    entries = json.loads(batch(posts))["entry"]
    assert [entry["request"] for entry in entries] == [
        {"method": "POST", "url": "Observation", "ifNoneExist": 'identifier=s|a"b'},
        {"method": "POST", "url": "Observation"},
    ]
    assert b'"value":1.50' in batch(posts)
    said = [{"status": "201 Created", "location": "https://server/fhir/Observation/17/_history/1"}, {"status": "201"}]
    body = {"resourceType": "Bundle", "type": "batch-response", "entry": [{"response": each} for each in said]}
    answers = read_answers(json.dumps(body).encode(), [post.ref for post in posts])
    assert [(answer.ref, answer.version) for answer in answers] == [("Observation/17", "1"), (None, None)]


def test_the_identifier_that_an_id_was_made_from() -> None:
    name = str(uuid.uuid5(uuid.NAMESPACE_URL, "s|v"))
    listed = b'{"identifier":[{"value":"x"},{"system":"s","value":"v"}]}'
    single = b'{"identifier":{"system":"s","value":"v"}}'  # AdverseEvent in R4
    assert identity(listed, name) == identity(single, name) == ("s", "v")
    assert identity(listed, "another") is None
    assert identities(b"no JSON") == identities(b"{}") == set()


@pytest.fixture
def study(tmp_path: Path) -> Study:
    folder = copied(tmp_path / "study")
    text = yaml.safe_load((folder / "study.yaml").read_text("utf-8"))
    text["base"] = f"https://example.org/{uuid.uuid4()}"
    text["tables"] = {"subjects": {}, "courses": {}, "infusions": {}}
    (folder / "study.yaml").write_text(yaml.safe_dump({**text, "endpoints": {}, "populations": {}}), "utf-8")
    return Study.load(folder / "study.yaml")


def push(study: Study, url: str, strategy: str = "search-create") -> PushedStudy:
    path = study.folder / "server.yaml"
    path.write_text(f"base: {url}\nstrategy: {strategy}\nlimits: {{connections: 1}}\n", "utf-8")
    return push_study(study, str(path))


def texts(pushed: PushedStudy) -> list[str]:
    return [issue.text for issue in pushed.issues if issue.severity in ("error", "fatal")]


@pytest.mark.parametrize("strategy", ["search-create", "conditional-create"])
def test_what_refers_to_what_was_refused_waits(study: Study, server: str, strategy: str) -> None:
    """A Patient is refused, the server says: nothing points into the void, and the next push mends it."""
    with FaultProxy(server) as proxy:
        proxy.inject(Fault("entry_status", entry_status="422 Unprocessable"), When("POST", "/fhir/?$", 2))
        first = push(study, proxy.url, strategy)
        again = push(study, proxy.url, strategy)
    waiting = [text for text in texts(first) if "which the target has not: push again" in text]
    assert len({text.split(", which")[0] for text in waiting if "to Patient/" in text}) == 1
    assert first.failed == len(waiting) + 1
    assert (again.complete, again.created + again.unchanged) == (True, first.created + first.failed)
    found = [
        line
        for page in Client(server).search("Patient", {"identifier": f"{study.base}/patient|"})
        for line in page.matches
    ]
    assert len(found) == 12


def test_a_row_that_left_while_its_push_died(study: Study, server: str) -> None:
    """Whether it is there nobody can know, and that is said until the row is back."""
    assert push(study, server).complete
    about = {"study": study.base, "target": server, "version": "R4"}
    journal = Journal.open(journal_path(study.folder, server), about)
    journal.write({"Observation/sent": Entry("sent", intended=b"x"), "Observation/refused": Entry("failed")})
    journal.close()
    pushed = push(study, server)
    assert texts(pushed) == [text for text in texts(pushed) if "Nobody can know whether Observation/sent" in text]
    assert len(texts(pushed)) == 1


def test_who_sent_what_is_created_too(study: Study, server: str) -> None:
    pushed = push_study(study, _target(study, server), agent="Jane Doe")
    assert pushed.complete
    assert not [issue for issue in pushed.issues if issue.severity != "information"]
    found = [
        json.loads(line)
        for page in Client(server).search("Provenance", {"_count": "200", "_sort": "-_lastUpdated"})
        for line in page.matches
    ]
    mine = [each for each in found if len(each["target"]) == pushed.created]
    assert mine
    patients = [each["reference"] for each in mine[0]["target"] if each["reference"].startswith("Patient/")]
    held = Client(server).search("Patient", {"identifier": f"{study.base}/patient|", "_count": "100"})
    ids = {json.loads(line)["id"] for page in held for line in page.matches}
    assert {each.split("/")[1] for each in patients} == ids


def _target(study: Study, url: str) -> str:
    path = study.folder / "server.yaml"
    path.write_text(f"base: {url}\nstrategy: conditional-create\n", "utf-8")
    return str(path)
