"""Lines of assessments: which field is which measure, and of which visit a row or a field is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from fhir_ivig.redcap.dictionary import Field
from fhir_ivig.redcap.export import EVENT
from fhir_ivig.redcap.lines import Lines
from fhir_ivig.redcap.matching import beside, columns_of, fits, is_unit, measure_of, visit_in, visit_of, vocabulary
from fhir_ivig.redcap.proposal import Certainty, Entry, flow, scalar
from fhir_ivig.study.dictionary import dictionary as study_tables

Called = Mapping[str, Field]  # what a field is called within its visit -> the field


class Assessing(Lines):
    """The measures of a form: each event is a visit, or the names of the fields tell it, as `ck_wk4` does."""

    def visits(self, form: str) -> Mapping[str, Called]:
        """Visit -> the fields of it; under the empty one those whose names tell none."""
        fields = [one for one in self.fields.forms[form] if one is not self.fields.record and self.their(one)]
        told = EVENT in self.own or bool(self.instrument(form)[0])  # then a row is of one visit
        found: dict[str, dict[str, Field]] = {}
        for one in fields:
            visit, name = ("", one.name) if told else visit_in(one.name)
            called = found.setdefault(visit, {})
            called[one.name if name in called else name] = one
        return found

    def visit_field(self, form: str) -> Field | None:
        """The one field of a form that says which visit a row is, where no event does."""
        plain = {} if EVENT in self.own else self.visits(form).get("", {})
        found = columns_of(study_tables()["assessments"], plain).get("visit", [])
        return found[0] if len(found) == 1 else None

    def measured(self, form: str) -> dict[str, tuple[Field, str]]:
        """Measure -> the first field of a form that is it, and its visit, if its name tells it."""
        found: dict[str, tuple[Field, str]] = {}
        for visit, called in self.visits(form).items():
            for name, one in called.items():
                if measure := measure_of(name, one):
                    found.setdefault(measure, (one, visit))
        return found

    def _assessments(self, form: str) -> list[Entry]:
        visits = dict(self.visits(form))
        columns = [self._subject()]
        undated, rows, rest = self._measures(visits.pop("", {}))
        if EVENT in self.own:
            columns.append(Entry(f"visit: {scalar(self.own[EVENT])}", "likely", "each event is a visit"))
        elif field := self.visit_field(form):
            columns.append(Entry(f"visit: {scalar(self.their(field))}", "likely", self._said(field)))
            rest = [one for one in rest if one is not field]
        elif rows:
            text = "which visit a row is, or a constant in each of several rows"
            columns.append(Entry("visit: ?", "to decide", text))
        columns += undated
        for visit, called in visits.items():
            of_visit, over = self._visit(visit, called)
            rows += of_visit
            rest += over
        columns += self._rest(rest)
        named = [
            Entry(f"{scalar(event)}: {scalar(visit_of(event))}", "likely", "the event's name")
            for event in self.events(form)[0]
            if visit_of(event) != event
        ]
        told = [Entry("visit:", below=named)] if named and EVENT in self.own else []
        if field := self.visit_field(form):
            told = self._codes(study_tables()["assessments"].columns["visit"], field)
        codes = [Entry("codes:", below=told)] if told else []
        return [
            Entry("columns:", below=columns),
            *codes,
            *self._missing(),
            *([Entry("rows:", below=rows)] if rows else []),
        ]

    def _visit(self, visit: str, called: Called) -> tuple[list[Entry], list[Field]]:
        """The rows of one visit whose fields tell it by their names, and the fields that are no measure."""
        undated, rows, rest = self._measures(called)
        if not rows:
            return [], rest
        below = [Entry("columns:", below=undated)] if undated else []
        if len(rows) == 1 and rows[0].below[0].text == "rows:":  # all of one date
            [one] = rows
            below += [Entry(one.text.removeprefix("- "), one.certainty, one.why), *one.below]
        else:
            below.append(Entry("rows:", below=rows))
        like = next(iter(called.values())).name
        return [Entry(f"- constants: {flow({'visit': visit})}", "likely", f"fields like {like}", below)], rest

    def _measures(self, called: Called) -> tuple[list[Entry], list[Entry], list[Field]]:
        """Lines of `columns` and of `rows` for the measures among these fields; the fields that are none."""
        table = study_tables()["assessments"]
        measured = {name: measure for name, one in called.items() if (measure := measure_of(name, one))}
        near = {name: beside(name, called) for name in measured}
        taken = [
            *(called[name] for name in measured),
            *(one for several in near.values() for one in several.values()),
        ]
        rest = {name: one for name, one in called.items() if one not in taken}
        dates = {
            name: one
            for name, one in rest.items()
            if fits(table.columns["date"], one) and one.validation.startswith("date")
        }
        named = columns_of(table, dates).get("date", [])
        [date] = named if len(named) == 1 else [*dates.values()] if len(dates) == 1 else [None]
        times = Counter(measured.values())
        rows = [self._row(called[name], measure, near[name], times[measure]) for name, measure in measured.items()]
        dated = [row for name, row in zip(measured, rows, strict=True) if "date" in near[name]]
        other = [row for name, row in zip(measured, rows, strict=True) if "date" not in near[name]]
        undated = []
        if other and date:
            below = [Entry("rows:", below=other)]
            dated.append(Entry(f"- columns: {flow({'date': self.their(date)})}", "likely", self._said(date), below))
        elif other:
            undated.append(
                Entry("date: ?", "to decide", "when it was measured: no one date of the form looks like it")
            )
            dated += other
        return undated, dated, [one for one in rest.values() if not (other and one is date)]

    def _row(self, one: Field, measure: str, near: Mapping[str, Field], times: int) -> Entry:
        known = vocabulary()["measures"][measure]
        columns = {column: self.their(field) for column, field in {"value": one, **near}.items()}
        words = known.get("words", ())
        constants = {"measure": measure, **({} if words else {"unit": one.note})}
        table = study_tables()["assessments"]
        codes = self._codes(table.columns["value"], one, words) if words else []
        for column, field in near.items():
            codes += self._codes(table.columns[column], field)
        certainty: Certainty = "likely" if times == 1 and (words or is_unit(one.note)) else "to decide"
        why = f"{one.label}: " + ("which unit?" if times == 1 else f"one of {times} fields that look like {measure}")
        why = self._said(one) if certainty == "likely" else why
        below = [Entry(f"constants: {flow(constants)}", certainty, "measure by its name, unit by its note")]
        below += [Entry("codes:", below=codes)] if codes else []
        return Entry(f"- columns: {flow(columns)}", certainty, why, below)
