"""A study.yaml proposed from a REDCap project: which field is which column, how certainly, what is left to decide.

`sure` is what the dictionary or the export itself says; `likely` what a name or label usually means, where the type
fits; all else is to decide and stands in a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from fhir_ivig.redcap.assessing import Assessing
from fhir_ivig.redcap.dictionary import Field, box
from fhir_ivig.redcap.export import EVENT, GROUP, INSTANCE, INSTRUMENT
from fhir_ivig.redcap.matching import (
    alike,
    columns_of,
    table_of,
    unit_of,
    word_of,
)
from fhir_ivig.redcap.proposal import Certainty, Entry, flow, scalar
from fhir_ivig.study.dictionary import Column, Table
from fhir_ivig.study.dictionary import dictionary as study_tables

ONE_ROW = ("subjects", "dispositions")  # of each subject
_CERTAINTIES: Sequence[Certainty] = ("sure", "likely", "to decide")


class Proposing(Assessing):
    """The lines under `tables`, from what is known."""

    def entries(self) -> list[Entry]:
        """The lines under `tables`."""
        parts: dict[str, list[Entry]] = {}
        undecided = []
        for (table, *_), forms in self._together().items():
            fields = [one for form in forms for one in self.fields.forms[form]]
            mine = [one for one in fields if one is not self.fields.record and self.their(one)]
            if not table:
                undecided.append(self._unknown(forms[0], mine))
                continue
            known = study_tables()[table]
            below = self._assessments(forms[0]) if table == "assessments" else self._columns(known, forms[0], mine)
            part = self._part(table, forms, below)
            if table in ONE_ROW and table in parts:
                why = "a subject has one row, which a part above gives"
                part = Entry(part.text, "to decide", why, part.below)
            parts.setdefault(table, []).append(part)
        if parts and (ignored := self._ignored(parts)):
            first = next(iter(parts.values()))
            own = Entry(f"ignore: [{', '.join(map(scalar, ignored))}]", "sure", "columns of REDCap itself")
            first[0] = Entry(first[0].text, first[0].certainty, first[0].why, (*first[0].below, own))
        found = []
        for table, several in parts.items():
            if len(several) == 1:
                [one] = several
                file = Entry(one.text.removeprefix("- "), one.certainty, one.why)
                several = [file, *one.below]
            found.append(Entry(f"{table}:", below=several))
        return found + [one for one in undecided if one.below]

    def _together(self) -> dict[tuple[str, ...], list[str]]:
        """Table (empty where it is not known) and what tells its parts apart -> forms; those that hold the one row of
        a subject together are one part."""
        found: dict[tuple[str, ...], list[str]] = {}
        for form in self.fields.forms:
            table = table_of(form, self.project.labels.get(form, "")) or (
                "assessments" if self.measured(form) else ""
            )
            together = table in ONE_ROW and not self.instrument(form)[0]
            found.setdefault((table, *(self.events(form)[0] if together else [form])), []).append(form)
        return found

    def _part(self, table: str, forms: Sequence[str], below: list[Entry]) -> Entry:
        form, title = forms[0], " and ".join(self.project.labels.get(each) or each for each in forms)
        where: dict[str, str | list[str]] = {}
        certain: list[Certainty] = []
        events, told = self.events(form)
        if EVENT in self.own and events:
            where[self.own[EVENT]] = events if len(events) > 1 else events[0]
            certain.append("to decide" if table in ONE_ROW and len(events) > 1 else told)
        if INSTRUMENT in self.own:
            where[self.own[INSTRUMENT]], told = self.instrument(form)
            certain.append(told)
        least: Certainty = max(certain, key=_CERTAINTIES.index) if certain else "sure"
        why = "one event only: a subject has one row" if least == "to decide" else "which rows"
        said = [Entry(f"where: {flow(where)}", least, why)] if where else []
        return Entry(
            f"- file: {scalar(self.file)}",
            "likely",
            f"{table}, for it is the form {title}",
            (*said, *self._reading([one for each in forms for one in self.fields.forms[each]]), *below),
        )

    def _columns(self, table: Table, form: str, fields: Sequence[Field]) -> list[Entry]:
        found = columns_of(table, {one.name: one for one in fields})
        columns, codes, boxes, constants = [self._subject()], [], [], []
        for name, column in table.columns.items():
            several = found.get(name, [])
            if len(several) == 1 and several[0].kind == "checkbox":
                boxes.append(Entry(f"{name}:", below=list(self._boxes(column, several[0]))))
            elif len(several) == 1:
                columns.append(Entry(f"{name}: {scalar(self.their(several[0]))}", "likely", self._said(several[0])))
                codes += self._codes(column, several[0])
            elif several:
                either = " or ".join(self.their(one) for one in several)
                columns.append(Entry(f"{name}: ?", "to decide", f"{either}"))
            elif (
                name in ("course", "event")
                and name in table.key
                and self.instrument(form)[0]
                and INSTANCE in self.own
            ):
                columns.append(Entry(f"{name}: {scalar(self.own[INSTANCE])}", "likely", "the instance of the form"))
            elif name == "site" and (group := self.own.get(GROUP)):
                columns.append(Entry(f"site: {scalar(group)}", "to decide", "the data access group: is it the site?"))
            elif unit := unit_of(table, name, found):
                constants.append(Entry(f"{name}: {scalar(unit)}", "likely", "the note beside the field"))
            elif name in table.required and name != "subject":
                columns.append(
                    Entry(f"{name}: ?", "to decide", f"{column.about}: no field looks like it, it must be filled")
                )
        taken = {one.name for several in found.values() if len(several) == 1 for one in several}
        rest = [one for one in fields if one.name not in taken]
        parts = {
            "columns": [*columns, *self._rest(rest)],
            "codes": codes,
            "checkboxes": boxes,
            "constants": constants,
        }
        said = [Entry(f"{key}:", below=below) for key, below in parts.items() if below]
        if boxes and self.labels:
            said.append(Entry("ticks: [Checked, Unchecked]", "sure", "how a labelled export has them"))
        return [*said, *self._missing()]

    def _boxes(self, column: Column, one: Field) -> Iterator[Entry]:
        for code, label in one.choices.items():
            word = word_of(label, column.values)
            their = scalar(self.names.get((one.name, code), "?"))
            if word is None:
                yield Entry(
                    f"?: {their}", "to decide", f"{label}: one of {', '.join(column.values)}, or under ignore"
                )
            else:
                yield Entry(f"{word}: {their}", "sure" if alike(word, label) else "likely", label)

    def _unknown(self, form: str, fields: Sequence[Field]) -> Entry:
        below = list(self._rest(fields))
        return Entry(
            "?:", "to decide", f"the form {self.project.labels.get(form) or form}: of which table is it?", below
        )

    def _ignored(self, parts: Mapping[str, Sequence[Entry]]) -> list[str]:
        """Columns that REDCap makes, and that no line names."""
        said = " ".join(one.text for several in parts.values() for part in several for one in part.every())
        if self.export:
            names = [name for name in self.export.header if name not in self.export.meant]
        else:
            names = [*self.own.values(), *(f"{form}_complete" for form in self.fields.forms)]
        checkboxes = [one.name for one in self.fields.fields.values() if one.kind == "checkbox"]
        boxes = {box(name, code) for name in checkboxes for code in self.project.missing}
        kept = (
            {*self.own.values()}
            | {name for name in names if re.search("_(complete|timestamp)$", name) or name in boxes}
            | {"Complete?"}
        )
        return [name for name in names if name in kept and not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said)]
