"""Data sets as SAS transport files of version 5, as submissions to authorities have them.

The format (SAS technical note TS-140, https://www.loc.gov/preservation/digital/formats/fdd/fdd000466.shtml) has names
of eight signs, labels of 40 bytes, texts of 200, and numbers as IBM floating point, which hold every IEEE double
between 5.4E-79 and 7.2E75. It names no encoding: only ASCII is read alike everywhere. What does not fit is an Issue,
and nothing is cut. Dates are texts in ISO 8601, as in SDTM.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fhir_ivig.datasets.cells import at, too_long
from fhir_ivig.datasets.dataset import Dataset, Variable
from fhir_ivig.datasets.sas_names import sas_names
from fhir_ivig.issue import Issue
from fhir_ivig.shape import DECIMAL
from fhir_ivig.study.texts import rows_where, shown

if TYPE_CHECKING:
    import pyarrow as pa

LABEL, TEXT = 40, 200
SMALLEST, GREATEST = Decimal("5.4E-79"), Decimal("7.2E75")
_ASCII = r"[\x20-\x7e]*"


def write_transport(datasets: Sequence[Dataset], folder: Path) -> list[Issue]:
    """Each data set as `<name>.xpt`, numbers as numbers, all else as texts.

    Issues: an information for names that had to be shortened, with the new ones (`sas_names`); a warning for a label
    that does not fit (left out); an error for a cell that does not (left empty): a text of more than 200 bytes, with
    other signs than ASCII has, or blanks at its end, which SAS does not keep; a number that is none, or that a double
    has not to all its digits. Zeros at a number's end are no digits of a double: 612.60 is 612.6.
    """
    from pyreadstat import write_xport

    issues = []
    members = sas_names(dataset.name for dataset in datasets)
    for dataset in datasets:
        file = f"{dataset.name}.xpt"
        names = sas_names(variable.name for variable in dataset.variables)
        issues += _renamed(dataset, members[dataset.name], names, file)
        columns = {}
        for variable in dataset.variables:
            cells, wrong = _cells(dataset, variable, file)
            columns[names[variable.name]] = cells
            issues += wrong
        issues += _hidden(columns, file)
        labels: list[str | None] = [
            _label(variable.label, f"The label of {variable.name}", file, issues) for variable in dataset.variables
        ]
        write_xport(
            _frame(columns),
            folder / file,
            file_label=_label(dataset.label, "The data set's label", file, issues),
            column_labels=labels,
            table_name=members[dataset.name],
            file_format_version=5,
        )
        issues += too_long(dataset, file)
    return issues


def _frame(columns: dict[str, Any]) -> Any:
    from pandas import DataFrame

    return DataFrame(columns)


def _renamed(dataset: Dataset, member: str, names: dict[str, str], file: str) -> list[Issue]:
    """What names became, but for their capitals."""
    pairs = [(dataset.name, member), *names.items()]
    changed = [f"{name} is {short}" for name, short in pairs if name.upper() != short]
    if not changed:
        return []
    said = f"SAS names have at most 8 signs: {', '.join(changed)}."
    return [Issue("information", "informational", said, file)]


def _label(label: str, what: str, file: str, issues: list[Issue]) -> str:
    if label.isascii() and len(label) <= LABEL:
        return label
    said = f"{what} has more than {LABEL} bytes, or other signs than ASCII has: it is left out."
    issues.append(Issue("warning", "too-long", said, file))
    return ""


def _cells(dataset: Dataset, variable: Variable, file: str) -> tuple[Any, list[Issue]]:
    """The cells of a variable as pandas has them: doubles and NaN, or texts and the empty text."""
    from pandas import Series

    cells: pa.StringArray = dataset.table.column(variable.name).combine_chunks()
    number = variable.kind in ("integer", "decimal")
    wrong = _no_doubles(cells) if number else _no_texts(cells)
    issues = [at(file, place, variable.name, "error", "value", said) for place, said in sorted(wrong.items())]
    texts = cells.to_pylist()
    if not number:
        kept = ["" if text is None or place in wrong else text for place, text in enumerate(texts)]
        return Series(kept, dtype="object"), issues
    doubles = [None if text is None or place in wrong else float(text) for place, text in enumerate(texts)]
    return Series(doubles, dtype="float64"), issues


def _no_texts(cells: pa.StringArray) -> dict[int, str]:
    """Which texts do not fit, and why."""
    import pyarrow.compute as pc

    left = "the cell is left empty"
    found = {}
    for place in rows_where(pc.greater(pc.binary_length(cells), TEXT)):
        found[place] = f"It has more than {TEXT} bytes: {left}."
    for place in rows_where(pc.invert(pc.match_substring_regex(cells, f"^{_ASCII}$"))):
        found[place] = f"{shown(cells[place].as_py())} has other signs than printable ASCII: {left}."
    for place in rows_where(pc.ends_with(cells, " ")):
        found[place] = f"{shown(cells[place].as_py())} has blanks at its end, which SAS does not keep: {left}."
    return found


def _no_doubles(cells: pa.StringArray) -> dict[int, str]:
    """Which numbers a transport file does not hold to all their digits, and why."""
    found = {}
    encoded = cells.dictionary_encode()
    reasons = [_no_double(text) for text in encoded.dictionary.to_pylist()]
    for place, which in enumerate(encoded.indices.to_pylist()):
        if which is not None and (reason := reasons[which]):
            found[place] = f"{shown(cells[place].as_py())} {reason}: the cell is left empty."
    return found


def _no_double(text: str) -> str | None:
    """Why a transport file has no number for a text. A double has a number's digits if its shortest decimal, which is
    how programs show it, has them too."""
    if not re.fullmatch(DECIMAL, text):
        return "is no number"
    exact = Decimal(text)
    if exact and not SMALLEST <= abs(exact) <= GREATEST:
        return "is beyond the numbers of SAS"
    return None if Decimal(repr(float(text))) == exact else "has more digits than a number of SAS holds"


def _hidden(columns: dict[str, Any], file: str) -> list[Issue]:
    """Rows without any cell at the end of a data set of texts look like the blanks that fill up the file."""
    rows = max((len(cells) for cells in columns.values()), default=0)
    if not rows or any(cells.dtype != "object" or cells.iloc[-1] for cells in columns.values()):
        return []
    said = (
        "The last row has no cell filled: SAS cannot tell it from the end of the file. Take it out, or fill its key."
    )
    return [Issue("error", "incomplete", said, file, rows + 1)]
