"""Studies made for a test, from a few lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from trial import BASE, MakeStudy

from fhir_ivig.study.study import Study


@pytest.fixture
def make_study(tmp_path: Path) -> MakeStudy:
    """A study in a fresh folder: `make_study(tables={...}, **other keys of study.yaml)`."""

    def make(**keys: Any) -> Study:
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump({**BASE, **keys}, allow_unicode=True, sort_keys=False), encoding="utf-8")
        return Study.load(path)

    return make
