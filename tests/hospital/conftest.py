"""What the tests with many runs share."""

from __future__ import annotations

from functools import cache

import pytest

from fhir_ivig.mapping.collection import Mappings


@pytest.fixture
def mappings_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some hundred runs need not read the same mapping files each."""
    read = cache(Mappings.load)
    monkeypatch.setattr(Mappings, "load", lambda version, own: read(version, tuple(own)))
