"""Faults of connections and of HTTP: one small function for each kind."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import time
from dataclasses import replace
from email.utils import formatdate
from urllib.parse import urljoin, urlsplit

from faults.fault import Call, Fault, MisfitError
from faults.wire import Response


async def refuse(fault: Fault, call: Call) -> Response:
    call.shut(fault.seconds)
    return Response(503, until=0)


async def status(fault: Fault, call: Call) -> Response:
    return _refusal(fault, 503, "transient")


async def status_committed(fault: Fault, call: Call) -> Response:
    await call.ask(call.request)
    return _refusal(fault, 504, "timeout")


async def html(fault: Fault, call: Call) -> Response:
    page = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><p>Down for a while.</p></body></html>"
    return Response(200, {"content-type": "text/html; charset=utf-8"}, page)


async def outcome(fault: Fault, call: Call) -> Response:
    return replace(_refusal(fault, 200, "exception"), status=200)


async def redirect_elsewhere(fault: Fault, call: Call) -> Response:
    return Response(fault.status or 307, {"location": urljoin(call.elsewhere, call.request.path)})


async def bulk_expired(fault: Fault, call: Call) -> Response:
    return _refusal(fault, 410, "not-found")


async def latency(fault: Fault, call: Call) -> Response:
    answer = await call.ask(call.request)
    await asyncio.sleep(fault.seconds)
    return answer


async def drip(fault: Fault, call: Call) -> Response:
    return replace(await call.ask(call.request), piece=fault.piece, pause=fault.seconds)


async def cut(fault: Fault, call: Call) -> Response:
    return replace(await call.ask(call.request), until=fault.until)


async def cut_committed(fault: Fault, call: Call) -> Response:
    return replace(await call.ask(call.request), until=0)


async def gzip_truncated(fault: Fault, call: Call) -> Response:
    answer = await call.ask(call.request)
    packed = gzip.compress(answer.body)
    return _packed(answer, packed[: len(packed) // 2])


async def gzip_corrupt(fault: Fault, call: Call) -> Response:
    answer = await call.ask(call.request)
    packed = bytearray(gzip.compress(answer.body))
    packed[len(packed) // 2] ^= 0xFF
    return _packed(answer, bytes(packed))


async def content_type(fault: Fault, call: Call) -> Response:
    answer = await call.ask(call.request)
    return replace(answer, headers={**answer.headers, "content-type": "text/html; charset=utf-8"})


async def location_elsewhere(fault: Fault, call: Call) -> Response:
    answer = await call.ask(call.request)
    if "content-location" not in answer.headers:
        raise MisfitError(answer)
    path = urlsplit(answer.headers["content-location"]).path
    return replace(answer, headers={**answer.headers, "content-location": urljoin(call.elsewhere, path)})


def _refusal(fault: Fault, usual: int, code: str) -> Response:
    headers = {"content-type": "application/fhir+json"}
    if fault.retry_after is not None:
        moment = math.ceil(time.time() + fault.retry_after)
        headers["retry-after"] = formatdate(moment, usegmt=True) if fault.as_date else str(fault.retry_after)
    issue = {"severity": "error", "code": code, "diagnostics": "refused by the fault proxy"}
    body = json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()
    return Response(fault.status or usual, headers, body)


def _packed(answer: Response, packed: bytes) -> Response:
    return replace(answer, headers={**answer.headers, "content-encoding": "gzip"}, body=packed)
