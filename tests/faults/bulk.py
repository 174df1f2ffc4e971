"""Faults of a bulk export: its manifest, its files."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import urljoin, urlsplit

from faults.fault import Call, Fault, MisfitError
from faults.wire import Response


async def file_elsewhere(fault: Fault, call: Call) -> Response:
    answer = await call.ask(call.request)
    try:
        manifest = json.loads(answer.body)
        first = manifest["output"][0]
    except (ValueError, LookupError, TypeError):
        raise MisfitError(answer) from None
    first["url"] = urljoin(call.elsewhere, urlsplit(first["url"]).path)
    return replace(answer, body=json.dumps(manifest).encode())


async def file_short(fault: Fault, call: Call) -> Response:
    answer = await call.ask(call.request)
    if "ndjson" not in answer.headers.get("content-type", "") or not answer.body:
        raise MisfitError(answer)
    return replace(answer, body=b"".join(answer.body.splitlines(keepends=True)[:-1]))
