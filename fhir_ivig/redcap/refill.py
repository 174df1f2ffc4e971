"""An export that was filled elsewhere, back into its project: what that would change, and the change.

REDCap is asked first. What is empty there is filled; what is filled differently is left unless that is asked for;
what is empty here changes nothing there. Then it is asked again whether all is there as sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from fhir_ivig.issue import Issue, IssueError, failed
from fhir_ivig.redcap.api import Api
from fhir_ivig.redcap.check import check
from fhir_ivig.redcap.dictionary import Dictionary, Field
from fhir_ivig.redcap.export import EVENT, GROUP, INSTANCE, INSTRUMENT, Export
from fhir_ivig.redcap.place import Place, place_of, placed
from fhir_ivig.redcap.project import Project
from fhir_ivig.redcap.pull import PAGE, paged, record_names

STATUS = {"incomplete": "0", "unverified": "1", "complete": "2"}  # how far a form is, as `..._complete` has it


class Change(NamedTuple):
    """A cell that would be another: of a row that is not there, an empty one, a filled one."""

    place: Place
    column: str
    there: str
    here: str
    kind: Literal["new", "fill", "differ"]

    def __str__(self) -> str:
        where = " ".join(part for part in self.place if part)
        said = f"{self.there} -> {self.here}" if self.kind == "differ" else self.here
        return f"{self.kind:6} {where}  {self.column}: {said}"


@dataclass(slots=True)
class Refill:
    """The changes, the number of equal cells, the Issues; `sent`, how many cells went and were found there."""

    changes: list[Change] = field(default_factory=list)
    equal: int = 0
    issues: list[Issue] = field(default_factory=list)
    sent: int = 0

    @property
    def counts(self) -> Counter[str]:
        return Counter(change.kind for change in self.changes)

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        changes = [change._asdict() for change in self.changes]
        issues = [issue.as_dict() for issue in self.issues]
        return {**self.counts, "equal": self.equal, "sent": self.sent, "changes": changes, "issues": issues}


def plan(
    api: Api,
    ours: Export,
    dictionary: Dictionary,
    project: Project,
    known: Mapping[str, Sequence[str]],
    status: str | None = None,
) -> Refill:
    """What importing an export would change; nothing is sent.

    `known`: `keys` of the study, for rows of forms that repeat and whose instance is not told. `status`: a word of
    STATUS for the forms that are filled and were not begun or incomplete; without it they stay as they are.
    IssueError where the export does not fit the dictionary, or a record's name is that of another one for REDCap.
    """
    if wrong := [issue for issue in check(ours, dictionary, project) if failed([issue])]:
        raise IssueError(*wrong)
    if ours.labels or dictionary.record.name not in ours.header:
        raise IssueError(Issue("fatal", "not-supported", "Only a raw export can be imported.", ours.file))
    if wrong := [*_alike(record_names(api, dictionary), ours, dictionary)]:
        raise IssueError(*wrong)
    there = {place_of(row, dictionary): row for row in _rows(api, ours, dictionary)}
    found = Refill()
    columns: dict[str, Field | None] = {name: asked for name, (asked, _) in ours.meant.items() if not asked.computed}
    columns.pop(dictionary.record.name, None)
    columns[GROUP] = None
    for place, row in placed(ours, dictionary, project, there, known, found.issues):
        changes = list(_changes(place, row, there.get(place), columns))
        found.equal += sum(change.here == change.there for change in changes)
        changes = [change for change in changes if change.here != change.there]
        found.changes += changes
        if status:
            sure = [each for each in changes if each.kind != "differ" and each.column in ours.meant]
            forms = dict.fromkeys(ours.meant[each.column][0].form for each in sure)
            found.changes += _status(place, forms, there.get(place), STATUS[status])
    return found


def _changes(
    place: Place, row: Mapping[str, str], there: Mapping[str, str] | None, columns: Mapping[str, Field | None]
) -> Iterator[Change]:
    """The filled cells of a row with what is there, equal or not."""
    for column, asked in columns.items():
        here, old = row.get(column, ""), (there or {}).get(column, "")
        if not here:
            continue
        filled = bool(old)
        if asked and asked.kind == "checkbox":  # REDCap has 0 for a box not ticked, and for a question not answered
            filled = "1" in ((there or {}).get(box) for box in asked.columns)
            old = old or ("0" if there else "")
        yield Change(place, column, old, here, "new" if there is None else "differ" if filled else "fill")


def _status(place: Place, forms: Iterable[str], there: Mapping[str, str] | None, code: str) -> Iterator[Change]:
    """How far the forms of a row are from now on, where they are not further than incomplete."""
    for form in forms:
        old = (there or {}).get(f"{form}_complete", "")
        if old in ("", "0") and old != code:
            yield Change(place, f"{form}_complete", old, code, "new" if there is None else "fill")


def _alike(there: Sequence[str], ours: Export, dictionary: Dictionary) -> Iterator[Issue]:
    """Records whose names differ in capital letters only: REDCap would write the one into the other."""
    known = {name.casefold(): name for name in there}
    column = dictionary.record.name
    for number, row in enumerate(ours.rows, 2):
        name = row[column].strip()
        if (other := known.setdefault(name.casefold(), name)) != row[column]:
            text = f"`{row[column]}` is `{other}` for REDCap, which knows no capital letters and blanks: write it so."
            yield Issue("error", "conflict", text, ours.file, number, column)


def push(api: Api, found: Refill, dictionary: Dictionary, *, overwrite: bool = False, page: int = PAGE) -> Refill:
    """Send the changes of a plan; those of filled cells only with `overwrite`. Every cell is looked for again.

    IssueError where REDCap refuses the first records; where it refuses later ones, an Issue.
    """
    sending = [change for change in found.changes if overwrite or change.kind != "differ"]
    records = _write(api, sending, dictionary, page, found.issues)
    there: dict[Place, dict[str, str]] = {}
    groups = any(change.column == GROUP for change in sending)
    for rows in paged(api, records, dictionary, page, groups):
        there |= {place_of(row, dictionary): row for row in rows}
    for change in sending:
        if change.place[0] not in records:
            continue
        now = there.get(change.place, {}).get(change.column)
        if now == change.here:
            found.sent += 1
        else:
            where = " ".join(part for part in change.place if part)
            text = f"{where}: what was sent is not there" + (f", but `{now}`." if now else ".")
            found.issues.append(Issue("error", "conflict", text, column=change.column))
    return found


def _write(
    api: Api, sending: Sequence[Change], dictionary: Dictionary, page: int, issues: list[Issue]
) -> dict[str, None]:
    """Import, so many records at once, each import whole or not at all; the records until REDCap refused one."""
    rows: dict[str, dict[Place, dict[str, str]]] = {}
    for change in sending:
        rows.setdefault(change.place[0], {}).setdefault(change.place, {})[change.column] = change.here
    columns = dict.fromkeys(change.column for change in sending)
    names = (dictionary.record.name, EVENT, INSTRUMENT, INSTANCE)
    used = [number for number in range(len(names)) if any(change.place[number] for change in sending)]
    records = list(rows)
    for start in range(0, len(records), page):
        part = records[start : start + page]
        data = [
            {**{names[number]: place[number] for number in used}, **{name: row.get(name, "") for name in columns}}
            for record in part
            for place, row in rows[record].items()
        ]
        try:
            api.write(data)
        except IssueError as error:
            if not start:
                raise
            text = f"From record {part[0]} on nothing was taken: look what is there with `redcap plan`."
            issues += [*error.issues, Issue("error", "incomplete", text)]
            return dict.fromkeys(records[:start])
    return dict.fromkeys(records)


def _rows(api: Api, ours: Export, dictionary: Dictionary) -> Iterator[dict[str, str]]:
    names = list(dict.fromkeys(row[dictionary.record.name] for row in ours.rows))
    groups = any(row.get(GROUP) for row in ours.rows)
    for rows in paged(api, names, dictionary, PAGE, groups):
        if rows and (lost := [name for name in ours.meant if name not in rows[0]]):
            text = "is not exported by this token: is it allowed to see all fields?"
            raise IssueError(*(Issue("fatal", "security", f"`{name}` {text}") for name in lost))
        yield from rows
