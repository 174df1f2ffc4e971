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
from fhir_ivig.redcap.dictionary import Dictionary
from fhir_ivig.redcap.export import EVENT, INSTANCE, INSTRUMENT, Export, of_rows
from fhir_ivig.redcap.project import Project
from fhir_ivig.redcap.pull import PAGE, paged
from fhir_ivig.study.study import Study

COMPUTED = ("calc", "file", "descriptive")  # REDCap takes none of these
Place = tuple[str, str, str, str]  # record, event, form that repeats, instance


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


def keys(study: Study) -> dict[str, tuple[str, ...]]:
    """Form that repeats -> the columns that tell its instances apart: those of the key of the table read from it."""
    found = {}
    for parts in study.tables.values():
        for part in parts:
            forms = part.where.get(INSTRUMENT, ())
            columns = tuple(part.theirs(name) or "" for name in study.dictionary[part.table].key)
            if len(forms) == 1 and forms[0] and all(columns):
                found[forms[0]] = columns
    return found


def plan(
    api: Api, ours: Export, dictionary: Dictionary, project: Project, known: Mapping[str, Sequence[str]]
) -> Refill:
    """What importing an export would change; nothing is sent.

    `known`: `keys` of the study, for rows of forms that repeat and whose instance is not told. IssueError where the
    export does not fit the dictionary.
    """
    if wrong := [issue for issue in check(ours, dictionary, project) if failed([issue])]:
        raise IssueError(*wrong)
    if ours.labels or not {dictionary.record.name, *ours.own.values()} <= {*ours.header}:
        raise IssueError(Issue("fatal", "not-supported", "Only a raw export can be imported.", ours.file))
    there = {_place(row, dictionary): row for row in _rows(api, ours, dictionary)}
    found = Refill()
    for place, row in _placed(ours, dictionary, there, known, found.issues):
        if place[1] in project.repeating_events and not place[3]:
            text = f"The event {place[1]} repeats: fill {INSTANCE}."
            found.issues.append(Issue("error", "required", f"{place[0]}: {text}", ours.file))
            continue
        for column, (asked, _) in ours.meant.items():
            here, old = row.get(column, ""), there.get(place, {}).get(column, "")
            if not here or asked is dictionary.record or asked.kind in COMPUTED:
                continue
            if here == old:
                found.equal += 1
            else:
                kind: Any = "new" if place not in there else "differ" if old else "fill"
                found.changes.append(Change(place, column, old, here, kind))
    return found


def push(api: Api, found: Refill, dictionary: Dictionary, *, overwrite: bool = False, page: int = PAGE) -> Refill:
    """Send the changes of a plan; those of filled cells only with `overwrite`. Every cell is looked for again."""
    sending = [change for change in found.changes if overwrite or change.kind != "differ"]
    rows: dict[Place, dict[str, str]] = {}
    for change in sending:
        rows.setdefault(change.place, {})[change.column] = change.here
    columns = dict.fromkeys(change.column for change in sending)
    names = [dictionary.record.name, EVENT, INSTRUMENT, INSTANCE]
    used = [name for number, name in enumerate(names) if any(place[number] for place in rows)]
    records = list(dict.fromkeys(place[0] for place in rows))
    for start in range(0, len(records), page):
        part = records[start : start + page]
        data = [
            {**{name: place[names.index(name)] for name in used}, **{name: row.get(name, "") for name in columns}}
            for place, row in rows.items()
            if place[0] in part
        ]
        if set(api.write(data)) != set(part):
            text = "REDCap did not take all of these records: look what is there with `redcap plan`."
            found.issues.append(Issue("error", "processing", f"{', '.join(part)}: {text}"))
    there: dict[Place, dict[str, str]] = {}
    for header, cells in paged(api, records, dictionary, page):
        for values in cells:
            row = dict(zip(header, values, strict=True))
            there[_place(row, dictionary)] = row
    for change in sending:
        if there.get(change.place, {}).get(change.column) == change.here:
            found.sent += 1
        else:
            text = f"{' '.join(part for part in change.place if part)}: what was sent is not there."
            found.issues.append(Issue("error", "conflict", text, column=change.column))
    return found


def _rows(api: Api, ours: Export, dictionary: Dictionary) -> Iterator[dict[str, str]]:
    names = list(dict.fromkeys(row[dictionary.record.name] for row in ours.rows))
    for header, rows in paged(api, names, dictionary, PAGE):
        export = of_rows([header, *rows], "export.csv", dictionary)
        if lost := [name for name in ours.meant if name not in export.meant]:
            text = "is not exported by this token: is it allowed to see all fields?"
            raise IssueError(*(Issue("fatal", "security", f"`{name}` {text}") for name in lost))
        yield from (dict(row) for row in export.rows)


def _place(row: Mapping[str, str], dictionary: Dictionary) -> Place:
    names = (dictionary.record.name, EVENT, INSTRUMENT, INSTANCE)
    record, event, form, instance = (row.get(name, "") for name in names)
    return record, event, form, instance


def _placed(
    ours: Export,
    dictionary: Dictionary,
    there: Mapping[Place, Mapping[str, str]],
    known: Mapping[str, Sequence[str]],
    issues: list[Issue],
) -> Iterator[tuple[Place, Mapping[str, str]]]:
    """Each row with its place: for an instance that is not told, that of the row there with the same key, else the
    next one."""
    taken = {*there, *(place for row in ours.rows if (place := _place(row, dictionary))[3])}
    for number, row in enumerate(ours.rows, 2):
        place = _place(row, dictionary)
        if not place[2] or place[3]:
            yield place, row
            continue
        key = known.get(place[2], ())
        mine = [row.get(name, "") for name in key]
        same = [
            each for each, cells in there.items()
            if each[:3] == place[:3] and [cells.get(name, "") for name in key] == mine
        ]  # fmt: skip
        if not key or len(same) > 1:
            why = f"{len(same)} instances there have the same {', '.join(key)}" if key else "its key is not known"
            text = f"Which instance of {place[2]} this row is cannot be said, {why}: fill {INSTANCE}."
            issues.append(Issue("error", "conflict", text, ours.file, number, INSTANCE))
            continue
        if same:
            yield same[0], row
            continue
        place = (*place[:3], str(1 + max(_instances(taken, place), default=0)))
        taken.add(place)
        yield place, row


def _instances(taken: Iterable[Place], place: Place) -> Iterator[int]:
    return (int(each[3]) for each in taken if each[:3] == place[:3] and each[3].isdecimal())
