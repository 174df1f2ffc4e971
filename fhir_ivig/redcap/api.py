"""REDCap's API: POST with a token of one user for one project; what is asked stands in `content`.

The API's own manual is on every REDCap server, under /api/help. A list is a parameter a member: `records[0]`.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fhir_ivig.fhir.gate import Gate
from fhir_ivig.fhir.retry import Pace, busy_answer, persist
from fhir_ivig.fhir.secret import Secret
from fhir_ivig.fhir.wire import Reply, Wire
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.redcap.rows import parsed

TOKEN = "FHIR_IVIG_REDCAP_TOKEN"  # noqa: S105 (the variable in which it is)
DEADLINE = 600.0  # seconds for one request with all its attempts


class Api:
    """One project behind one address, such as https://redcap.example.org/api/.

    The token goes to that address only, and into no Issue. A request is repeated while the server is busy: asking
    twice is asking once, and writing the same twice too.
    """

    def __init__(self, url: str, token: Secret, ca_file: Path | None = None) -> None:
        self.gate = Gate.of(url)
        self.url, self._token, self._pace = url, token.read().strip(), Pace(1)
        self._wire = Wire(ca_file=ca_file)

    def table(self, content: str, **asked: Any) -> list[list[str]]:
        """An answer as CSV: rows of cells, the header first; empty where nothing is there."""
        text = self._ask({"content": content, "format": "csv", **asked})
        if text.lstrip()[:1] == "<":
            raise self._refused("answered with a web page: does its address end with /api/?")
        return [row for row in parsed(io.StringIO(text, newline=""), f"{self.gate.base} ({content})") if row]

    def told(self, content: str, **asked: Any) -> Any:
        """An answer as JSON: a list, but for `project`, which is a mapping."""
        try:
            found = json.loads(self._ask({"content": content, "format": "json", **asked}))
        except (ValueError, RecursionError):
            raise self._refused("answered with no JSON: does its address end with /api/?") from None
        if not isinstance(found, dict if content == "project" else list):
            raise self._refused(f"answered {content} otherwise than REDCap's API does")
        return found

    def records(self, names: Iterable[str] = (), fields: Iterable[str] = (), groups: bool = False) -> list[list[str]]:
        """Rows of records (all, if none is named), raw, the header first; with the data access group, if asked."""
        asked = {"exportDataAccessGroups": "true"} if groups else {}
        return self.table(
            "record", type="flat", rawOrLabel="raw", records=tuple(names), fields=tuple(fields), **asked
        )

    def write(self, rows: Sequence[dict[str, str]]) -> None:
        """Import rows, of which empty cells change nothing. What REDCap answers is how many records they were."""
        how = {"type": "flat", "overwriteBehavior": "normal", "forceAutoNumber": "false", "dateFormat": "YMD"}
        self._ask({"content": "record", "action": "import", "format": "json", "data": json.dumps(rows), **how})

    def _ask(self, asked: dict[str, Any]) -> str:
        pairs = [("token", self._token), ("returnFormat", "json")]
        for name, value in asked.items():
            several = isinstance(value, tuple)
            pairs += [(f"{name}[{n}]", one) for n, one in enumerate(value)] if several else [(name, value)]
        body = urlencode(pairs).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "*/*", "User-Agent": "fhir-ivig"}

        def attempt(until: float) -> Reply:
            reply = self._wire.exchange("POST", self.url, body, headers, until, self.gate.base)
            if busy := busy_answer(reply.status, reply.headers, [], self.gate.base):
                raise busy
            return reply

        reply = persist(attempt, self._pace, DEADLINE)
        if 300 <= reply.status < 400:
            raise self._refused(f"redirects (HTTP {reply.status}): give its final address, often with / at its end")
        if reply.status != 200:
            raise self._refused(f"refused {asked['content']} (HTTP {reply.status}){self._said(reply.body)}")
        try:
            return reply.body.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise self._refused("answered in something else than UTF-8") from None

    def _said(self, body: bytes) -> str:
        """REDCap's own words, without the token."""
        text = body.decode("utf-8", "replace")
        try:
            said = str(json.loads(text)["error"])
        except (ValueError, LookupError, TypeError, RecursionError):
            xml = re.search("<error>(.*?)</error>", text, re.DOTALL)  # its answer before it has read `returnFormat`
            if xml is None:
                return ": check the address and the token's rights"
            said = xml[1]
        return ": " + " ".join(said.replace(self._token, "…").split())[:300]

    def _refused(self, text: str) -> IssueError:
        return IssueError(Issue("fatal", "processing", f"{self.gate.base} {text}"))
