"""Faults of search pages and batch answers: one small function for each kind. Resources keep their bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec

from faults.fault import Call, Fault, MisfitError
from faults.wire import Request, Response

Parts = dict[str, msgspec.Raw]


async def page_repeated(fault: Fault, call: Call) -> Response:
    answer = await call.ask(call.request)
    return _with_next(answer, call.keep(lambda: answer))


async def page_lost(fault: Fault, call: Call) -> Response:
    answer = await call.ask(call.request)
    page = _parts(answer, "searchset")
    links = [link["url"] for link in _list(page, "link", dict[str, Any]) if link.get("relation") == "next"]
    if links:
        path = urlsplit(urljoin(call.here + "/", links[0]))._replace(scheme="", netloc="").geturl()
        headers = {name: value for name, value in call.request.headers.items() if name != "content-type"}
        return await call.ask(Request("GET", path, headers))
    if not _list(page, "entry", msgspec.Raw):
        raise MisfitError(answer)
    return _changed(answer, page, "entry", [])


async def next_endless(fault: Fault, call: Call) -> Response:
    answer = await call.ask(call.request)

    def again() -> Response:
        return _with_next(answer, call.keep(again))

    return again()


async def next_elsewhere(fault: Fault, call: Call) -> Response:
    return _with_next(await call.ask(call.request), f"{call.elsewhere}?page=2")


async def entries_missing(fault: Fault, call: Call) -> Response:
    return _reentered(await call.ask(call.request), 1, lambda entries: entries[:-1])


async def entries_extra(fault: Fault, call: Call) -> Response:
    return _reentered(await call.ask(call.request), 1, lambda entries: [*entries, entries[-1]])


async def entries_reordered(fault: Fault, call: Call) -> Response:
    return _reentered(await call.ask(call.request), 2, lambda entries: [*entries[1:], entries[0]])


async def entry_status(fault: Fault, call: Call) -> Response:
    def changed(entries: list[Any]) -> list[Any]:
        first = msgspec.json.decode(entries[0], type=Parts)
        response = msgspec.json.decode(first.get("response", b"{}"), type=dict[str, Any])
        return [{**first, "response": {**response, "status": fault.entry_status}}, *entries[1:]]

    return _reentered(await call.ask(call.request), 1, changed)


def _with_next(answer: Response, url: str) -> Response:
    page = _parts(answer, "searchset")
    links = [link for link in _list(page, "link", dict[str, Any]) if link.get("relation") != "next"]
    return _changed(answer, page, "link", [*links, {"relation": "next", "url": url}])


def _reentered(answer: Response, fewest: int, change: Callable[[list[Any]], list[Any]]) -> Response:
    """The answer to a batch with its entries changed; MisfitError when it has fewer of them than that takes."""
    bundle = _parts(answer, "batch-response", "transaction-response")
    entries = _list(bundle, "entry", msgspec.Raw)
    if len(entries) < fewest:
        raise MisfitError(answer)
    return _changed(answer, bundle, "entry", change(entries))


def _parts(answer: Response, *types: str) -> Parts:
    """The elements of a Bundle of one of these types; MisfitError when the answer is none."""
    try:
        bundle = msgspec.json.decode(answer.body, type=Parts)
        if msgspec.json.decode(bundle["type"]) in types:
            return bundle
    except (msgspec.MsgspecError, KeyError):
        pass
    raise MisfitError(answer)


def _list(bundle: Parts, element: str, of: Any) -> list[Any]:
    found: list[Any] = msgspec.json.decode(bundle.get(element, b"[]"), type=list[of])
    return found


def _changed(answer: Response, bundle: Parts, element: str, value: list[Any]) -> Response:
    return replace(answer, body=msgspec.json.encode({**bundle, element: value}))
