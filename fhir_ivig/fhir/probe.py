"""What a server does, tried with resources to throw away: Basic, with an identifier of ours, deleted at the end.

What the standard expects: https://hl7.org/fhir/R4/http.html#upsert, #ccreate, #concurrency, #transaction
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from fhir_ivig.fhir.bundle import Put, batch, head
from fhir_ivig.fhir.client import Client, RefusedError, Reply, UnansweredError
from fhir_ivig.fhir.compare import version
from fhir_ivig.fhir.transport import FHIR_JSON
from fhir_ivig.issue import Issue, IssueError

SYSTEM = "https://fhir-ivig.github.io/probe"
_WRITE = {"Content-Type": FHIR_JSON}


@dataclass(frozen=True, slots=True)
class Seen:
    """Whether a server does a thing, and what it answered."""

    does: Literal["yes", "no", "unclear"]
    text: str


@dataclass(slots=True)
class Probe:
    """What was seen, by the name of the fact; `issues` name what could not be deleted."""

    seen: dict[str, Seen] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)


def probe(client: Client) -> Probe:
    """Tries conditional create, update as create, If-Match, rollback of a transaction, and strict handling.

    Whatever happens, what was made is deleted. IssueError when the server cannot be reached or permits nothing; its
    last Issues then name what may be left.
    """
    run, found = _Run(client), Probe()
    try:
        found.seen["conditional_create"] = run.conditional_create()
        found.seen["update_create"] = run.update_create()
        found.seen["if_match"] = run.if_match()
        found.seen["transaction"] = run.transaction()
        found.seen["strict"] = run.strict()
    except IssueError as error:
        raise IssueError(*error.issues, *run.clean()) from None
    except BaseException:
        run.clean()
        raise
    found.issues = run.clean()
    return found


class _Run:
    """One probe under way: `made` are the resources that may be there now, `updatable` one that is."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.made: dict[str, None] = {}
        self.values: list[str] = []
        self.updatable: str | None = None
        self.creates = self.replaces = False
        self.lost = False  # something may be there whose id nobody told us

    def conditional_create(self) -> Seen:
        resource = self.resource()
        condition = {**_WRITE, "If-None-Exist": f"identifier={SYSTEM}|{self.values[-1]}"}
        self.lost, answers, refs = True, list[Reply](), list[str]()
        for _ in range(2):
            answers.append(self.ask("POST", "Basic", resource, condition))
            refs += [ref] if (ref := _ref(answers[-1])) else []
            self.made |= dict.fromkeys(refs)
        self.lost = len(refs) < sum(reply.status < 300 for reply in answers)
        said = " then ".join(f"{reply.status}" for reply in answers)
        if answers[0].status in (200, 201) and refs:
            self.updatable = refs[0]
        if answers[0].status not in (200, 201):
            return Seen("no", f"POST with If-None-Exist was answered {said}")
        twice = answers[1].status == 201 or len(set(refs)) > 1
        return Seen("no" if twice else "yes", f"the same POST with If-None-Exist twice was answered {said}")

    def update_create(self) -> Seen:
        ref = self.new()
        put = self.ask("PUT", ref, self.resource(ref))
        there = self.ask("GET", ref)
        self.creates = put.status in (200, 201) and head(there.body).ref == ref  # some say 200 of a new one
        if self.creates:
            self.updatable = ref
        said = f"PUT to a new id was answered {put.status}, GET then {there.status}"
        return Seen("yes" if self.creates else "no", said)

    def if_match(self) -> Seen:
        ref = self.updatable
        if ref is None:
            return Seen("unclear", "nothing could be created to try it with")
        first = version(self.ask("GET", ref).body)
        if first is None:
            return Seen("no", "the server tells no version")
        fresh = self.ask("PUT", ref, self.resource(ref), {**_WRITE, "If-Match": f'W/"{first}"'})
        stale = self.ask("PUT", ref, self.resource(ref), {**_WRITE, "If-Match": f'W/"{first}"'})
        self.replaces = fresh.status == 200 and stale.status in (409, 412)
        said = f"PUT with the present version was answered {fresh.status}, with an older one {stale.status}"
        return Seen("yes" if self.replaces else "no", said)

    def transaction(self) -> Seen:
        """Of two PUTs the second must fail, for its version is not the present one: is the first there then?"""
        ref = self.updatable
        if ref is None or not (self.creates and self.replaces):
            return Seen("unclear", "it takes update as create and If-Match to try it")
        good = self.new()
        puts = [Put(good, self.resource(good)), Put(ref, self.resource(ref), "999999")]
        reply = self.ask("POST", "", batch(puts, "transaction"))
        there = self.ask("GET", good).status
        said = f"a transaction with a bad entry was answered {reply.status}, its good entry then {there}"
        return Seen("yes" if reply.status >= 400 and there in (404, 410) else "no", said)

    def strict(self) -> Seen:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Prefer": "handling=strict"}
        reply = self.ask("POST", "Basic/_search", b"_count=1&no-such-parameter=1", headers)
        return Seen("yes" if 400 <= reply.status < 500 else "no", f"an unknown parameter was answered {reply.status}")

    def new(self) -> str:
        """A new `Basic/id`, noted before anything is sent: also an answer that was lost may have made it."""
        ref = f"Basic/{uuid.uuid4()}"
        self.made[ref] = None
        return ref

    def resource(self, ref: str | None = None) -> bytes:
        """A Basic with a new identifier."""
        value = str(uuid.uuid4())
        self.values.append(value)
        made = {
            "resourceType": "Basic",
            **({"id": ref.partition("/")[2]} if ref else {}),
            "identifier": [{"system": SYSTEM, "value": value}],
            "code": {"text": "A probe of fhir-ivig: may be deleted"},
        }
        return msgspec.json.encode(made)

    def ask(
        self, method: str, link: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Any answer; IssueError when there is none, or none is permitted (401, 403)."""
        given = {"Cache-Control": "no-cache", **(headers or (_WRITE if body is not None else {}))}
        try:
            return self.client.transport.ask(method, link, body, given)
        except RefusedError as refused:
            if refused.status in (401, 403):
                raise
            return Reply(refused.status, {}, b"")
        except UnansweredError as error:
            if error.status != 500:  # which some give for what they do not know
                raise
            return Reply(500, {}, b"")

    def clean(self) -> list[Issue]:
        """Deletes what was made, also what is only found by its identifier; an Issue for each that may be left."""
        left: list[Issue] = []
        try:
            wanted = ",".join(f"{SYSTEM}|{value}" for value in self.values)
            for page in self.client.search("Basic", {"identifier": wanted}):
                self.made |= {head(line).ref: None for line in page.matches if head(line).sound}
        except IssueError:
            if self.lost:
                text = f"a Basic with identifier {SYSTEM}|{self.values[0]} may be left: look for it and delete it"
                left.append(Issue("warning", "incomplete", text))
        for ref in self.made:
            try:
                gone = self.ask("DELETE", ref).status in (200, 202, 204, 404, 410)
            except IssueError:
                gone = False
            if not gone:
                left.append(Issue("warning", "incomplete", f"{ref}, made to try the server, may be left: delete it"))
        return left


def _ref(reply: Reply) -> str | None:
    """`Basic/id` of what a POST has made or found, by its Location or its body."""
    if reply.status not in (200, 201):
        return None
    places = [*reversed(reply.headers.get("Location", "").partition("/_history/")[0].split("/"))]
    if len(places) > 1 and places[1] == "Basic":
        return f"Basic/{places[0]}"
    found = head(reply.body)
    return found.ref if found.sound and found.resourceType == "Basic" else None
