"""A hundred thousand cells take a few seconds, also when every one of them differs, or every row is elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

import fhir_ivig
from bench.__main__ import write_study
from fhir_ivig.study.study import Study
from fhir_ivig.study.tables import read_table
from fhir_ivig.verification.difference import total

ROWS = 25_000
CHANGES: dict[str, tuple[Callable[[str], str], int, float]] = {
    # What becomes of each line, how many differences that gives, how many times the reading of both it may take.
    "nothing": (lambda line: line, 0, 15),
    "zeros": (lambda line: line.replace(",U/L,", "00,U/L,"), 0, 15),
    "values": (lambda line: line.replace(",CK,,", ",CK,,1"), ROWS, 60),
    "subjects": (lambda line: line.replace("S00", "X00", 1), 2_500, 120),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("speed")
    for name in ("study", "record"):
        write_study(folder / name, ROWS)
    return folder


@pytest.mark.parametrize("change", CHANGES)
def test_many_cells(change: str, folder: Path) -> None:
    edit, count, most = CHANGES[change]
    lines = (folder / "study/assessments.csv").read_text("utf-8").splitlines(keepends=True)
    (folder / "record/assessments.csv").write_text("".join(lines[:1] + [edit(line) for line in lines[1:]]), "utf-8")
    study, record = (Study.load(folder / name / "study.yaml") for name in ("study", "record"))
    begun = time.process_time()
    for one in (study, record):
        assert sum(len(rows.batch) for rows in read_table(one, "assessments")) == ROWS
    read = time.process_time() - begun
    begun = time.process_time()
    found = fhir_ivig.diff_study(study, folder / "record")
    took = time.process_time() - begun
    assert total(found.agreement).cells >= 100_000
    assert len(found.differences) >= count
    assert found.equal == (count == 0)
    assert took < most * max(read, 0.05)
