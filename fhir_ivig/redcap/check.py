"""What in an export does not fit the project's data dictionary, each with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from difflib import get_close_matches

from fhir_ivig.issue import Code, Issue
from fhir_ivig.redcap.dictionary import Dictionary, Field, box
from fhir_ivig.redcap.export import EVENT, INSTANCE, INSTRUMENT, STRUCTURE, Export
from fhir_ivig.redcap.project import Project

MOST = 5  # Issues of one kind and column


def check(export: Export, dictionary: Dictionary, project: Project) -> Iterator[Issue]:
    """What in an export does not fit the dictionary and the project: columns, events, instances, cells."""
    yield from _columns(export, dictionary, project)
    yield from _places(export, dictionary, project)
    for name, (field_, code) in export.meant.items():
        yield from _cells(export, name, field_, code, project)
        if field_.kind == "text" and (field_.least or field_.most):
            yield from _outside(export, name, field_)


def _columns(export: Export, dictionary: Dictionary, project: Project) -> Iterator[Issue]:
    record = dictionary.record
    if record.name not in (field_.name for field_, _ in export.meant.values()):
        text = f"It has no `{record.name}`, the first field of {dictionary.file}, which names the record."
        yield Issue("error", "required", f"{text} Is the dictionary that of another project?", export.file, 1)
    meant = {(field_.name, code) for field_, code in export.meant.values()}
    absent = [field_ for field_ in dictionary.fields.values() if field_.columns and not _is_in(field_, meant)]
    unknown = [name for name in export.header if name not in export.meant and not _of_redcap(name, dictionary)]
    unknown = [name for name in unknown if name not in (*STRUCTURE, *STRUCTURE.values())]
    renamed: dict[str, str] = {}
    for name in unknown:
        named, _, code = name.partition("___")
        checkbox = dictionary.fields.get(named)
        if checkbox and checkbox.kind == "checkbox" and code:
            if name in {box(named, each) for each in project.missing}:
                continue
            text = f"`{code}` is no choice of the checkbox {named} (row {checkbox.row} of {dictionary.file})."
            yield Issue("error", "code-invalid", text, export.file, 1, name)
            continue
        near = get_close_matches(name, [field_.name for field_ in absent], 1, 0.75)
        text = f"{dictionary.file} has no such field: was it renamed since? Export both again."
        if near:
            renamed[near[0]] = name
            row = dictionary.fields[near[0]].row
            text = f"{dictionary.file} has no such field, but `{near[0]}` (row {row}), which is not here: renamed?"
        yield Issue("error", "not-found", text, export.file, 1, name)
    for field_ in absent:
        if field_.name not in renamed and field_ is not record:
            text = f"`{field_.name}` is not in {export.file}: left out, renamed, or not allowed?"
            yield Issue("warning", "incomplete", text, dictionary.file, field_.row, "Variable / Field Name")


def _is_in(field_: Field, meant: set[tuple[str, str]]) -> bool:
    return any((field_.name, code) in meant for code in field_.columns.values())


def _of_redcap(name: str, dictionary: Dictionary) -> bool:
    """Whether it is a column that REDCap makes for a form."""
    form = re.sub("_(complete|timestamp)$", "", name)
    return (form != name and form in dictionary.forms) or name in ("Complete?", "Survey Timestamp")


def _places(export: Export, dictionary: Dictionary, project: Project) -> Iterator[Issue]:
    """Records, events and instances: what names no event or form, stands twice, or is not there at all."""
    events = {*project.events, *project.events.values()}
    yield from _named(export, EVENT, events, "event of the project")
    if project.labels or not export.labels:
        forms = {*dictionary.forms, *project.labels.values()}
        yield from _named(export, INSTRUMENT, forms, f"form of {dictionary.file}")
    yield from _again(export, dictionary)
    if project.events and EVENT not in export.own:
        text = f"The project has events, and the export no column {EVENT}: export it with all its columns."
        yield Issue("error", "required", text, export.file, 1)
        return
    there = {row.get(export.own.get(EVENT, ""), "") for row in export.rows}
    for event, label in project.events.items():
        if not there & {event, label}:
            text = f"No row is of the event `{event}` ({label}): was it left out of the export?"
            yield Issue("warning", "incomplete", text, export.file, column=export.own[EVENT])


def _named(export: Export, what: str, known: set[str], said: str) -> Iterator[Issue]:
    """Events or forms that are none, each at the first row that names it."""
    column = export.own.get(what, "")
    seen: set[str] = set()
    for number, row in enumerate(export.rows, 2):
        cell = row.get(column, "")
        if known and cell and cell not in known and cell not in seen:
            seen.add(cell)
            yield Issue("error", "code-invalid", f"`{cell}` is no {said}.", export.file, number, column)


def _again(export: Export, dictionary: Dictionary) -> Iterator[Issue]:
    """Rows that name no record, and rows of one record, event and instance."""
    own, seen = export.own, dict[tuple[str, ...], int]()
    record = [name for name, (field_, _) in export.meant.items() if field_ is dictionary.record]
    names = record + [own[name] for name in (EVENT, INSTRUMENT, INSTANCE) if name in own]
    for number, row in enumerate(export.rows, 2):
        key = tuple(row.get(name, "") for name in names)
        if not record:
            return
        if not key[0]:
            yield Issue("error", "required", "The row names no record.", export.file, number, names[0])
        elif row.get(own.get(INSTRUMENT, "")) and not row.get(own.get(INSTANCE, "")):
            continue  # an instance to be numbered, as of tables that were written back
        elif (first := seen.setdefault(key, number)) != number:
            text = "The same record, event and instance as in row"
            yield Issue("error", "duplicate", f"{text} {first}.", export.file, number)


def _cells(export: Export, name: str, field_: Field, code: str, project: Project) -> Iterator[Issue]:
    """The cells of one column that the field does not allow, at most MOST of them."""
    fits, wanted = _allowed(field_, code, export.labels)
    wrong = [
        (number, cell)
        for number, row in enumerate(export.rows, 2)
        if (cell := row.get(name, "")) and not fits(cell) and cell not in project.missing
        and cell not in (project.missing.values() if export.labels else ())
    ]  # fmt: skip
    for number, cell in wrong[:MOST]:
        kind: Code = "code-invalid" if field_.choices else "value"
        yield Issue("error", kind, f"`{cell}` {wanted}", export.file, number, name)
    if len(wrong) > MOST:
        text = f"{len(wrong) - MOST} further cells are wrong in the same way."
        yield Issue("error", "value", text, export.file, column=name)


def _allowed(field_: Field, code: str, labels: bool) -> tuple[Callable[[str], bool], str]:
    where = f"of {field_.name} (row {field_.row} of the dictionary)"
    if code:
        ticks = ("Checked", "Unchecked", field_.choices[code]) if labels else ("1", "0")
        return lambda cell: cell in ticks, f"is neither {ticks[0]} nor {ticks[1]}."
    if field_.choices:
        known = [*field_.choices.values()] if labels else [*field_.choices]
        return lambda cell: cell in known, f"is no choice {where}. Known are: {', '.join(known)}."
    if field_.validation.startswith("date"):
        return _is_date, "is no date as REDCap exports it, like 2003-05-17 (09:30): export it as YYYY-MM-DD."
    if field_.validation == "integer":
        return lambda cell: bool(
            re.fullmatch(r"[+-]?\d+", cell)
        ), f"is no whole number, as the validation {where} asks."
    if re.fullmatch("number(_[1-4]dp)?", field_.validation):
        return lambda cell: _number(cell) is not None, f"is no number, as the validation {where} asks."
    return lambda cell: True, ""


def _is_date(cell: str) -> bool:
    try:
        date.fromisoformat(cell[:10])
    except ValueError:
        return False
    return bool(re.fullmatch(r"([ T]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?)?", cell[10:]))


def _number(cell: str) -> Decimal | None:
    return Decimal(cell) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", cell, re.ASCII) else None


def _outside(export: Export, name: str, field_: Field) -> Iterator[Issue]:
    """Numbers outside the ends of their validation, which REDCap itself lets pass after a warning."""
    least, most = _number(field_.least), _number(field_.most)
    for number, row in enumerate(export.rows, 2):
        found = _number(row.get(name, ""))
        if found is not None and ((least is not None and found < least) or (most is not None and found > most)):
            ends = f"{field_.least or '...'} to {field_.most or '...'}"
            text = f"`{found}` is outside {ends}, the validation of {field_.name}."
            yield Issue("warning", "value", text, export.file, number, name)
