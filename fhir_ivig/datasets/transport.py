"""Data sets as SAS transport files of version 5, as submissions to authorities have them.

The format (SAS technical note TS-140, https://www.loc.gov/preservation/digital/formats/fdd/fdd000466.shtml) has names
of eight signs, labels of 40 bytes, texts of 200, and numbers as IBM floating point, which hold every IEEE double
between 5.4E-79 and 7.2E75. It names no encoding: only ASCII is read alike everywhere. What does not fit is an Issue,
and nothing is cut. Dates are texts in ISO 8601, as in SDTM.
"""

from __future__ import annotations

import errno
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

LABEL, TEXT, RECORD = 40, 200, 80
NUMBERS, TEXTS = "float64", "object"  # as pandas calls them
Cells = tuple[str, list[Any]]
SMALLEST, GREATEST = Decimal("5.4E-79"), Decimal("7.2E75")
_ASCII = r"[\x20-\x7e]*"


def write_transport(datasets: Sequence[Dataset], folder: Path) -> list[Issue]:
    """Each data set as `<name>.xpt`, numbers as numbers, all else as texts.

    Issues: an information for names that had to be shortened, with the new ones (`sas_names`); a warning for a label
    that does not fit (left out); an error for a cell that does not (left empty): a text of more than 200 bytes, with
    other signs than ASCII has, or blanks at its end, which SAS does not keep; a number that is none, or that a double
    has not to all its digits. Zeros at a number's end are no digits of a double: 612.60 is 612.6.
    """
    members = sas_names(dataset.name for dataset in datasets)
    return [issue for dataset in datasets for issue in _write(dataset, members[dataset.name], folder)]


def _write(dataset: Dataset, member: str, folder: Path) -> list[Issue]:
    file = f"{dataset.name}.xpt"
    names = sas_names(variable.name for variable in dataset.variables)
    issues = _renamed(dataset, member, names, file)
    columns = {}
    for variable in dataset.variables:
        columns[names[variable.name]], wrong = _cells(dataset, variable, file)
        issues += wrong
    issues += _hidden(columns, file)
    label = _label(dataset.label, "The data set's label", file, issues)
    labels = [_label(one.label, f"The label of {one.name}", file, issues) for one in dataset.variables]
    _write_file(folder / file, columns, labels, label, member)
    return [*issues, *too_long(dataset, file)]


def _write_file(path: Path, columns: dict[str, Cells], labels: Sequence[str], label: str, member: str) -> None:
    """The file. OSError if it is not whole: ReadStat, where it notices that a disk is full, has an error of its own,
    and does not always notice; so the file's size is looked at. In records of 80 bytes it has eight, those of 140
    bytes a variable, one, and those of the rows (TS-140)."""
    from pyreadstat import ReadstatError, write_xport  # before pandas, which only it may import

    from pandas import DataFrame, Series  # isort: skip

    try:
        frame = DataFrame({name: Series(cells, dtype=dtype) for name, (dtype, cells) in columns.items()})
        write_xport(frame, path, label, list(labels), member, file_format_version=5)
    except ReadstatError as error:
        raise OSError(errno.ENOSPC, f"the SAS transport file is not whole ({error})") from None
    widths = [8 if dtype == NUMBERS else max(map(len, cells), default=0) or 1 for dtype, cells in columns.values()]
    records = 8 + -(-140 * len(columns) // RECORD) + 1 + -(-len(frame) * sum(widths) // RECORD)
    if path.stat().st_size != records * RECORD:
        raise OSError(errno.ENOSPC, "the SAS transport file is not whole")


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


def _cells(dataset: Dataset, variable: Variable, file: str) -> tuple[Cells, list[Issue]]:
    """The cells of a variable: doubles and None, or texts and the empty text."""
    cells: pa.StringArray = dataset.table.column(variable.name).combine_chunks()
    number = variable.kind in ("integer", "decimal")
    wrong = _no_doubles(cells) if number else _no_texts(cells)
    issues = [at(file, place, variable.name, "error", "value", said) for place, said in sorted(wrong.items())]
    kept = [None if place in wrong else text for place, text in enumerate(cells.to_pylist())]
    if number:
        return (NUMBERS, [None if text is None else float(text) for text in kept]), issues
    return (TEXTS, [text or "" for text in kept]), issues


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


def _hidden(columns: dict[str, Cells], file: str) -> list[Issue]:
    """Rows without any cell at the end of a data set of texts look like the blanks that fill up the file."""
    rows = max((len(cells) for _, cells in columns.values()), default=0)
    if not rows or any(dtype == NUMBERS or cells[-1] for dtype, cells in columns.values()):
        return []
    said = (
        "The last row has no cell filled: SAS cannot tell it from the end of the file. Take it out, or fill its key."
    )
    return [Issue("error", "incomplete", said, file, rows + 1)]
