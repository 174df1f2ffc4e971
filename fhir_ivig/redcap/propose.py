"""A study.yaml proposed from a REDCap project: which field is which column, how certainly, what is left to decide.

`sure` is what the dictionary or the export itself says; `likely` what a name or label usually means, where the type
fits; all else is to decide and stands in a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from fhir_ivig.redcap.dictionary import Field
from fhir_ivig.redcap.export import EVENT, GROUP, INSTANCE, INSTRUMENT
from fhir_ivig.redcap.known import Known
from fhir_ivig.redcap.matching import (
    alike,
    beside,
    columns_of,
    fits,
    is_unit,
    measure_of,
    table_of,
    unit_of,
    visit_of,
    vocabulary,
    word_of,
)
from fhir_ivig.redcap.proposal import Certainty, Entry, flow, scalar
from fhir_ivig.study.dictionary import Column, Table
from fhir_ivig.study.dictionary import dictionary as study_tables

ONE_ROW = ("subjects", "dispositions")  # of each subject
_CERTAINTIES: Sequence[Certainty] = ("sure", "likely", "to decide")


class Proposing(Known):
    """The lines under `tables`, from what is known."""

    def entries(self) -> list[Entry]:
        """The lines under `tables`."""
        parts: dict[str, list[Entry]] = {}
        undecided = []
        for form, fields in self.fields.forms.items():
            table = table_of(form, self.project.labels.get(form, ""))
            mine = [one for one in fields if one is not self.fields.record and self.their(one)]
            if table is None:
                undecided.append(self._unknown(form, mine))
            elif table == "assessments":
                parts.setdefault(table, []).append(self._part(table, form, self._assessments(form, mine)))
            else:
                parts.setdefault(table, []).append(
                    self._part(table, form, self._columns(study_tables()[table], form, mine))
                )
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

    def _part(self, table: str, form: str, below: list[Entry]) -> Entry:
        title = self.project.labels.get(form) or form
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
            (*said, *self._times(form), *below),
        )

    def _times(self, form: str) -> Iterator[Entry]:
        times = [one.validation for one in self.fields.forms[form] if one.validation.startswith("datetime")]
        if times:
            seconds = ":ss" if all("seconds" in one for one in times) else ""
            yield Entry(f"date_order: YYYY-MM-DD hh:mm{seconds}", "sure", "how REDCap exports times")
            yield Entry("zone: ?", "to decide", "REDCap's times have no zone: which one is meant?")

    def _columns(self, table: Table, form: str, fields: Sequence[Field]) -> list[Entry]:
        found = columns_of(table, fields)
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

    def _subject(self) -> Entry:
        return Entry(f"subject: {scalar(self.their(self.fields.record))}", "sure", "the record's name")

    def _missing(self) -> list[Entry]:
        codes = self.project.missing
        words = list(codes.values() if self.labels else codes)
        return (
            [Entry(f"missing: [{', '.join(map(scalar, words))}]", "sure", "the project's missing-data codes")]
            if codes
            else []
        )

    def _said(self, one: Field) -> str:
        also = "" if one.validation or one.choices or one.kind != "text" else ", not validated in REDCap"
        return f"{one.label}{also}"

    def _rest(self, fields: Sequence[Field]) -> Iterator[Entry]:
        for one in fields:
            yield Entry(
                f"?: {scalar(self.their(one))}",
                "to decide",
                f"{one.name}, {one.label} ({one.kind}): a column, or under ignore",
            )

    def _codes(self, column: Column, one: Field, words: Sequence[str] = ()) -> list[Entry]:
        """The choices of a field as our words."""
        words = words or column.values or (("yes", "no") if column.type == "boolean" else ())
        below = []
        for code, label in one.choices.items():
            theirs = label if self.labels else code
            word = word_of(label, words) if words else label
            if word is None:
                below.append(Entry(f"{scalar(theirs)}: ?", "to decide", f"{label}: one of {', '.join(words)}"))
            elif theirs != word:
                sure: Certainty = "sure" if not words or alike(word, label) else "likely"
                below.append(Entry(f"{scalar(theirs)}: {scalar(word)}", sure, label))
        return [Entry(f"{column.name}:", below=below)] if below else []

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

    def _assessments(self, form: str, fields: Sequence[Field]) -> list[Entry]:
        table = study_tables()["assessments"]
        measured = {one.name: name for one in fields if (name := measure_of(one))}
        near = {name: beside(self.fields.fields[name], fields) for name in measured}
        taken = {*measured, *(one.name for several in near.values() for one in several.values())}
        rest = [one for one in fields if one.name not in taken]
        dates = [one for one in rest if fits(table.columns["date"], one) and one.validation.startswith("date")]
        named = columns_of(table, dates).get("date", [])
        [date] = named if len(named) == 1 else dates if len(dates) == 1 else [None]
        columns = [self._subject()]
        if EVENT in self.own:
            columns.append(Entry(f"visit: {scalar(self.own[EVENT])}", "likely", "each event is a visit"))
        else:
            columns.append(
                Entry("visit: ?", "to decide", "which visit a row is, or a constant in each of several rows")
            )
        rows = [self._row(self.fields.fields[name], measure, near[name]) for name, measure in measured.items()]
        dated = [row for name, row in zip(measured, rows, strict=True) if "date" in near[name]]
        other = [row for name, row in zip(measured, rows, strict=True) if "date" not in near[name]]
        date = date if other else None
        if date:
            below = [Entry("rows:", below=other)]
            dated.append(Entry(f"- columns: {flow({'date': self.their(date)})}", "likely", self._said(date), below))
        elif other:
            columns.append(
                Entry("date: ?", "to decide", "when it was measured: no one date of the form looks like it")
            )
            dated += other
        columns += self._rest([one for one in rest if one is not date])
        visits = [
            Entry(f"{scalar(event)}: {scalar(visit_of(event))}", "likely", "the event's name")
            for event in self.events(form)[0]
            if visit_of(event) != event
        ]
        codes = [Entry("codes:", below=[Entry("visit:", below=visits)])] if visits and EVENT in self.own else []
        return [Entry("columns:", below=columns), *codes, *self._missing(), Entry("rows:", below=dated)]

    def _row(self, one: Field, measure: str, near: Mapping[str, Field]) -> Entry:
        known = vocabulary()["measures"][measure]
        columns = {column: self.their(field) for column, field in {"value": one, **near}.items()}
        words = known.get("words", ())
        constants = {"measure": measure, **({} if words else {"unit": one.note})}
        table = study_tables()["assessments"]
        codes = self._codes(table.columns["value"], one, words) if words else []
        for column, field in near.items():
            codes += self._codes(table.columns[column], field)
        certainty: Certainty = "likely" if words or is_unit(one.note) else "to decide"
        why = self._said(one) if certainty == "likely" else f"{one.label}: which unit?"
        below = [Entry(f"constants: {flow(constants)}", certainty, "measure by its name, unit by its note")]
        below += [Entry("codes:", below=codes)] if codes else []
        return Entry(f"- columns: {flow(columns)}", certainty, why, below)

    def _ignored(self, parts: Mapping[str, Sequence[Entry]]) -> list[str]:
        """Columns that REDCap makes, and that no line names."""
        said = " ".join(one.text for several in parts.values() for part in several for one in part.every())
        if self.export:
            names = [name for name in self.export.header if name not in self.export.meant]
        else:
            names = [*self.own.values(), *(f"{form}_complete" for form in self.fields.forms)]
        kept = (
            {*self.own.values()}
            | {name for name in names if re.search("_(complete|timestamp)$", name)}
            | {"Complete?"}
        )
        return [name for name in names if name in kept and not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said)]
