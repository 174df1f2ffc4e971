"""A server and the proxy before it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from faults.ends import Upstream, upstream
from faults.proxy import FaultProxy


@pytest.fixture
def server() -> Iterator[Upstream]:
    with upstream() as made:
        yield made


@pytest.fixture
def proxy(server: Upstream) -> Iterator[FaultProxy]:
    with FaultProxy(server.base) as made:
        yield made
