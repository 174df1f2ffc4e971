"""Tables that somebody saves, or a pull replaces, while they are read: nothing is made of halves."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from fhir_ivig.deidentify.study import deidentify
from fhir_ivig.demo import sample
from fhir_ivig.issue import IssueError
from fhir_ivig.library import compute_endpoints
from fhir_ivig.study import tables
from fhir_ivig.study.study import Study
from fhir_ivig.sync.export import export
from fhir_ivig.sync.push_study import push_study
from fhir_ivig.verification.study import diff_study

USES: dict[str, Callable[[Study, Path], Any]] = {
    "check": lambda study, out: export(study, None),
    "push": lambda study, out: push_study(study, str(out)),
    "endpoints": lambda study, out: compute_endpoints(study.folder),
    "deidentify": lambda study, out: deidentify(study, study.folder / "key", out),
    "diff": lambda study, out: diff_study(study, sample(), incomplete=True),
    "diff against it": lambda study, out: diff_study(Study.load(sample()), study.folder, incomplete=True),
}


@pytest.mark.parametrize("use", USES)
def test_tables_that_are_written_while_they_are_read(
    use: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study.load(copytree(sample(), tmp_path / "study"))
    header, first, out = tables.header, study.files[0], tmp_path / "out"

    def saving(path: Path, *how: Any) -> list[str]:
        if path.parent == first.parent and path != first:
            os.utime(first, (0, 0))
        return header(path, *how)

    monkeypatch.setattr(tables, "header", saving)
    with pytest.raises(IssueError, match="while it was read"):
        USES[use](study, out)
    assert not out.exists()
