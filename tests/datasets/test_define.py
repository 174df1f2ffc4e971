"""The description of data sets says what is in the files."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path

import pytest
from datasets.shapes import BUNDLES, sample

from fhir_ivig.datasets.define import page
from fhir_ivig.datasets.output import write_own
from fhir_ivig.study.study import Study

STANDARDS = ("sdtm", "adam")


@pytest.mark.parametrize("standard", STANDARDS)
def test_it_says_what_is_in_the_files(standard: str, tmp_path: Path) -> None:
    write_own(Study.load(BUNDLES / "hara2003/study.yaml"), tmp_path / "out", "xpt", standard)
    about = json.loads((tmp_path / "out/define.json").read_text("utf-8"))
    made = sample("hara2003", standard)
    assert [one["name"] for one in about["datasets"]] == list(made)
    for one in about["datasets"]:
        table = made[one["name"]].dataset.table
        assert (tmp_path / "out" / one["file"]).exists()
        assert one["records"] == table.num_rows
        assert [variable["name"] for variable in one["variables"]] == table.column_names
        for variable in one["variables"]:
            cells = [cell for cell in table.column(variable["name"]).to_pylist() if cell is not None]
            assert variable["filled"] == len(cells)
            assert variable["length"] >= max(map(len, cells), default=0)
    shown = (tmp_path / "out/define.html").read_text("utf-8")
    assert shown == page(about)
    assert all(said in unescape(shown) for said in about["absent"])
