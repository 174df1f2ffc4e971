"""A study's own tables as data sets, described by the data dictionary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fhir_ivig.datasets.dataset import Dataset, Kind, Variable
from fhir_ivig.study.dictionary import Column
from fhir_ivig.study.study import Study

if TYPE_CHECKING:
    import pyarrow as pa

LABEL = 40  # what SAS allows: https://documentation.sas.com , TS-140
_KINDS: dict[str, Kind] = {"date": "date", "dateTime": "datetime", "decimal": "decimal", "integer": "integer"}


def own_dataset(study: Study, name: str, cells: pa.Table) -> Dataset:
    """A table of the study, its columns as the dictionary has them, as a data set.

    A label is what the dictionary says of the column, or the column's name in words where that is longer than a label
    of SAS. The values of assessments are numbers if all the study's measures have a unit, else texts.
    """
    table = study.dictionary[name]
    variables = tuple(_variable(study, name, column) for column in table.columns.values())
    return Dataset(name, _label(table.about, name), variables, cells.select(list(table.columns)), table.key)


def _variable(study: Study, table: str, column: Column) -> Variable:
    kind = _KINDS.get(column.type, "text")
    numbers = study.measures and all(measure.unit for measure in study.measures.values())
    if (table, column.name) == ("assessments", "value") and numbers:
        kind = "decimal"
    label = _label(column.about, column.name)
    return Variable(column.name, label, kind, codes=column.values, note=column.about if column.about != label else "")


def _label(about: str, name: str) -> str:
    return about if len(about) <= LABEL and about.isascii() else name.replace("_", " ").capitalize()
