"""An export of a project's records as CSV, raw or labelled.

One row is a record, in longitudinal projects a record and event, and of a form that repeats an instance of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.redcap.dictionary import Dictionary, Field
from fhir_ivig.redcap.rows import read_rows, uneven

EVENT, INSTRUMENT, INSTANCE = "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance"
GROUP = "redcap_data_access_group"
STRUCTURE = {  # REDCap's own columns, and what they are called in an export with labels as headers
    EVENT: "Event Name",
    INSTRUMENT: "Repeat Instrument",
    INSTANCE: "Repeat Instance",
    GROUP: "Data Access Group",
    "redcap_survey_identifier": "Survey Identifier",
}


@dataclass(frozen=True, slots=True)
class Export:
    """A file's header and rows; `meant`: column -> field, and the choice whose box it is (else empty)."""

    file: str
    header: Sequence[str]
    rows: Sequence[Mapping[str, str]]
    meant: Mapping[str, tuple[Field, str]]
    labels: bool = False  # the cells are labels, not codes
    own: Mapping[str, str] = field(default_factory=dict)  # REDCap's own columns -> their names here
    delimiter: str = ","


def read_export(path: Path, dictionary: Dictionary) -> Export:
    """An export; IssueError where it is no CSV file in UTF-8, or as for `of_rows`."""
    rows, delimiter = read_rows(path)
    return of_rows(rows, path.name, dictionary, delimiter)


def of_rows(rows: Sequence[Sequence[str]], file: str, dictionary: Dictionary, delimiter: str = ",") -> Export:
    """An export of rows of cells, the header first; IssueError for a header without names or with one twice, and for
    rows that have more or fewer cells than it."""
    if not rows or not any(rows[0]):
        raise IssueError(Issue("fatal", "structure", "The first row is empty: it must name the columns.", file, 1))
    header = rows[0]
    if twice := [name for name, times in Counter(header).items() if times > 1]:
        text = "stands twice in the header: export with field names as headers (raw), not labels."
        raise IssueError(*(Issue("fatal", "duplicate", f"`{name}` {text}", file, 1, name) for name in twice))
    if cut := list(uneven(rows, file)):
        raise IssueError(*cut)
    raw, labelled = _raw(dictionary), _labelled(dictionary)
    by_label = sum(name in labelled for name in header) > sum(name in raw for name in header)
    meant = labelled if by_label else raw
    own = {name: label if by_label else name for name, label in STRUCTURE.items()}
    cells = [dict(zip(header, row, strict=False)) for row in rows[1:] if any(row)]
    found = Export(
        file, header, cells, {name: meant[name] for name in header if name in meant},
        own={name: theirs for name, theirs in own.items() if theirs in header},
    )  # fmt: skip
    return replace(found, labels=_in_labels(found), delimiter=delimiter)


def _raw(dictionary: Dictionary) -> dict[str, tuple[Field, str]]:
    return {name: (field, code) for field in dictionary.fields.values() for name, code in field.columns.items()}


def _labelled(dictionary: Dictionary) -> dict[str, tuple[Field, str]]:
    found = {}
    for field_ in dictionary.fields.values():
        for code in field_.columns.values():
            choice = re.sub("['\"]", "", field_.choices[code]) if code else ""  # REDCap leaves quotes out there
            name = f"{field_.label} (choice={choice})" if code else field_.label
            found[name] = (field_, code)
    return found


def _in_labels(export: Export) -> bool:
    """Whether choices stand as labels: more cells are one than are a code."""
    labels = codes = 0
    for name, (field_, code) in export.meant.items():
        if not field_.choices:
            continue
        for row in export.rows:
            if cell := row.get(name):
                labels += cell in (("Checked", "Unchecked") if code else field_.choices.values())
                codes += cell in (("0", "1") if code else field_.choices)
    return labels > codes
