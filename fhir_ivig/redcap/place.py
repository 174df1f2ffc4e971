"""Where a row of an export stands in its project, also one of a form that repeats whose instance is not told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fhir_ivig.issue import Issue
from fhir_ivig.redcap.dictionary import Dictionary
from fhir_ivig.redcap.export import EVENT, INSTANCE, INSTRUMENT, Export
from fhir_ivig.redcap.project import Project
from fhir_ivig.study.study import Study

Place = tuple[str, str, str, str]  # record, event, form that repeats, instance


def keys(study: Study) -> dict[str, tuple[str, ...]]:
    """Form that repeats -> the columns that tell its instances apart: those of the key of the table read from it, but
    for what is the same in all its rows."""
    found = {}
    for parts in study.tables.values():
        for part in parts:
            forms = part.where.get(INSTRUMENT, ())
            varying = (name for name in study.dictionary[part.table].key if name not in part.constants)
            columns = tuple(part.theirs(name) or "" for name in varying)
            if len(forms) == 1 and forms[0] and all(columns):
                found[forms[0]] = columns
    return found


def place_of(row: Mapping[str, str], dictionary: Dictionary) -> Place:
    """As the row itself tells it; 1 and 01 are one instance."""
    names = (dictionary.record.name, EVENT, INSTRUMENT, INSTANCE)
    record, event, form, instance = (row.get(name, "") for name in names)
    return record, event, form, str(int(instance)) if instance.isdecimal() else instance


def placed(
    ours: Export,
    dictionary: Dictionary,
    project: Project,
    there: Mapping[Place, Mapping[str, str]],
    known: Mapping[str, Sequence[str]],
    issues: list[Issue],
) -> Iterator[tuple[Place, Mapping[str, str]]]:
    """Each row with its place: for an instance that is not told, that of the row there with the same key (`known`),
    else the next one. A row whose place cannot be said, or is that of another row, is an Issue."""
    taken: dict[tuple[str, ...], dict[Place, None]] = {}  # instances, by all that stands before
    for place in [*there, *(place_of(row, dictionary) for row in ours.rows)]:
        if place[3].isdecimal():
            taken.setdefault(place[:3], {})[place] = None
    first: dict[Place, int] = {}
    for number, row in enumerate(ours.rows, 2):
        place, why = place_of(row, dictionary), ""
        if place[1] in project.repeating_events and not place[3]:
            why = f"The event {place[1]} repeats: fill {INSTANCE}."
        elif place[3] and not place[3].isdecimal():
            why = f"`{place[3]}` is no number of an instance."
        elif place[2] and not place[3]:
            key, instances = known.get(place[2], ()), taken.setdefault(place[:3], {})
            same = [each for each in instances if each in there and _key(there[each], key) == _key(row, key)]
            if not key or len(same) > 1:
                why = f"{len(same)} instances there have the same {', '.join(key)}" if key else "its key is not known"
                why = f"Which instance of {place[2]} this row is cannot be said, {why}: fill {INSTANCE}."
            else:
                after = 1 + max((int(each[3]) for each in instances), default=0)
                place = same[0] if same else (*place[:3], str(after))
                instances[place] = None
        if not why and first.setdefault(place, number) != number:
            why = f"The rows {first[place]} and {number} are the same row of the project: keep one."
        if why:
            issues.append(Issue("error", "conflict", f"{place[0]}: {why}", ours.file, number, INSTANCE))
        else:
            yield place, row


def _key(row: Mapping[str, str], names: Sequence[str]) -> list[str]:
    return [row.get(name, "") for name in names]
