"""The body of an answer that must be JSON: no web page, not nested too deep."""

from __future__ import annotations

import re
from codecs import BOM_UTF8

from fhir_ivig.fhir.wire import Reply
from fhir_ivig.issue import Issue, IssueError

DEEPEST = 100  # objects and arrays within each other
_NOT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)


def json_body(reply: Reply) -> bytes:
    """The body of an answer that must be JSON; IssueError for a web page, XML, or what is nested too deep."""
    kind = reply.headers.get("Content-Type", "").lower()
    if "html" in kind or reply.body[:64].removeprefix(BOM_UTF8).lstrip()[:1] == b"<":
        text = (
            "the server answered with a web page or XML, not FHIR JSON: is the address right, is a log-in in between?"
        )
        raise IssueError(Issue("error", "structure", text))
    if kind and "json" not in kind:
        raise IssueError(Issue("error", "structure", f"the server answered with {kind[:60]!a}, not FHIR JSON"))
    if not _is_shallow(reply.body):
        text = f"the server's answer is nested deeper than {DEEPEST}: it was not taken"
        raise IssueError(Issue("error", "too-long", text))
    return reply.body.removeprefix(BOM_UTF8)


def _is_shallow(body: bytes) -> bool:
    """Whether JSON is nested at most DEEPEST: by taking away innermost brackets, round after round."""
    brackets = body.translate(None, _NOT_BRACKETS)  # also those in texts, which seldom matter
    return _falls(brackets) or _falls(_STRING.sub(b"", body).translate(None, _NOT_BRACKETS))


def _falls(brackets: bytes) -> bool:
    for _ in range(DEEPEST):
        rest = brackets.replace(b"{}", b"").replace(b"[]", b"")
        if rest == brackets:  # nothing, or what has no other half, as in what was cut off
            return rest.count(b"{") + rest.count(b"[") <= DEEPEST
        brackets = rest
    return not brackets
