"""All tables of a study at once, with the resources behind their rows: what endpoints are computed from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from fhir_ivig.issue import Issue
from fhir_ivig.study.steady import steady
from fhir_ivig.study.study import Study
from fhir_ivig.study.tables import Rows, read_table
from fhir_ivig.study.visits import assign_visits, first_days
from fhir_ivig.study.writing import read_written

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Loaded: TypeAlias = "tuple[dict[str, pa.Table], dict[str, pa.Array], dict[str, np.ndarray], list[Issue]]"


def load_tables(study: Study, folder: Path) -> Loaded:
    """The study's tables as they stand in `folder`, the references of `resources/<table>.csv` row by row, the row
    numbers (as a spreadsheet shows them) of tables that rows were left out of, and Issues.

    Rows in which something is wrong are left out of both. Assessments without a visit get theirs by their day.
    IssueError if a table is written, or the folder replaced, meanwhile.
    """
    import numpy as np
    import pyarrow as pa

    study = replace(study, path=folder / "study.yaml")
    tables: dict[str, pa.Table] = {}
    resources: dict[str, pa.Array] = {}
    numbers: dict[str, np.ndarray] = {}
    issues: list[Issue] = []
    with steady(study):
        for name in study.tables:
            blocks = list(read_table(study, name))
            if name == "assessments" and any(block.batch["visit"].null_count for block in blocks):
                firsts = first_days(block.batch for block in read_table(study, "courses"))
                blocks = [_with_visits(study, block, firsts) for block in blocks]
            issues += [issue for block in blocks for issue in block.issues]
            if not blocks:
                continue
            tables[name] = pa.Table.from_batches([block.batch for block in blocks])
            places = np.concatenate([block.numbers for block in blocks])
            if not np.array_equal(places, np.arange(2, len(places) + 2)):
                numbers[name] = places
            beside = next(
                (path for path in folder.glob(f"resources/{name}.*") if path.suffix in (".csv", ".parquet")), None
            )
            if beside is not None and len(study.tables[name]) == 1:
                column = read_written(beside).column("resource").combine_chunks()
                if len(places) and places.max() - 2 < len(column):
                    resources[name] = column.take(pa.array(places - 2))
                else:
                    said = "It has not a line for each row of the table: the rows' resources are not known."
                    issues.append(Issue("warning", "incomplete", said, str(beside)))
    return tables, resources, numbers, issues


def _with_visits(study: Study, block: Rows, firsts: dict[str, str]) -> Rows:
    """Assessments without a visit get the one in whose window their day lies."""
    batch, issues = assign_visits(study, block.batch, firsts, block.numbers, block.file)
    return replace(block, batch=batch, issues=[*block.issues, *issues])
