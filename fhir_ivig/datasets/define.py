"""What describes data sets that were written, as `define.json` and as one HTML page, with what Define-XML says of
variables: names, labels, types, lengths, codes, origins. It is not Define-XML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fhir_ivig.datasets.cells import longest
from fhir_ivig.datasets.dataset import Dataset, Made, Variable
from fhir_ivig.datasets.declared import absent
from fhir_ivig.pages import template
from fhir_ivig.study.study import Study

NAMES = {"sdtm": "SDTM", "adam": "ADaM"}
_FILES = {"excel": "datasets.xlsx", "dataset-json": "{}.json", "dataset-ndjson": "{}.ndjson"}


def write_define(study: Study, shape: str, kind: str, made: Sequence[Made], folder: Path) -> None:
    """`define.json` and `define.html` in the folder, of the data sets there, files of a kind of output.KINDS."""
    about = describe(study, shape, kind, made)
    (folder / "define.json").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", "utf-8")
    (folder / "define.html").write_text(page(about), "utf-8")


def describe(study: Study, shape: str, kind: str, made: Sequence[Made]) -> dict[str, Any]:
    """The description: the study, the shape and what is not in it, each data set with its variables."""
    return {
        "study": study.study,
        "title": study.title,
        "shape": f"{NAMES[shape]}-shaped",
        "sourceSystem": {"name": "fhir-ivig", "version": version("fhir-ivig")},
        "absent": list(absent(shape)),
        "datasets": [
            {
                "name": one.dataset.name,
                "label": one.dataset.label,
                "structure": one.structure,
                "file": _FILES.get(kind, f"{{}}.{kind}").format(one.dataset.name),
                "keys": list(one.dataset.keys),
                "records": one.dataset.table.num_rows,
                "variables": [_variable(one.dataset, variable) for variable in one.dataset.variables],
            }
            for one in made
        ],
    }


def _variable(dataset: Dataset, variable: Variable) -> dict[str, Any]:
    """A variable; its length is the one set, else that of its longest cell, and `filled` are the cells not empty."""
    cells = dataset.table.column(variable.name)
    return {
        "name": variable.name,
        "label": variable.label,
        "type": variable.kind,
        "length": variable.length or longest(cells),
        "filled": len(cells) - cells.null_count,
        "origin": variable.origin,
        "codes": list(variable.codes),
        "note": variable.note,
    }


def page(about: dict[str, Any]) -> str:
    """The description as a page; every text of the study is escaped: none becomes markup."""
    return template(Path(__file__).parent / "define.html").render(about=about)
