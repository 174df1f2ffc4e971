"""What is known of a project when a study.yaml is proposed: its columns, forms, events, as the export names them."""

from __future__ import annotations

from fhir_ivig.redcap.dictionary import Dictionary, Field
from fhir_ivig.redcap.export import EVENT, INSTANCE, INSTRUMENT, Export
from fhir_ivig.redcap.matching import joined
from fhir_ivig.redcap.project import Project
from fhir_ivig.redcap.proposal import Certainty


class Known:
    """The dictionary, the export and the project, as far as they are known, and the file's name in study.yaml."""

    def __init__(self, fields: Dictionary, export: Export | None, project: Project, file: str) -> None:
        self.fields, self.export, self.project, self.file = fields, export, project, file
        self.labels = export is not None and export.labels
        raw = {(one.name, code): name for one in fields.fields.values() for name, code in one.columns.items()}
        self.names = {(one.name, code): name for name, (one, code) in export.meant.items()} if export else raw
        self.own = dict(export.own) if export else {}
        if not export and project.events:
            self.own[EVENT] = EVENT
        if not export and project.repeating:
            self.own |= {INSTRUMENT: INSTRUMENT, INSTANCE: INSTANCE}

    def their(self, one: Field, code: str = "") -> str:
        """The column of a field in the export, of a checkbox all of them; empty where it has none."""
        if one.kind == "checkbox" and not code:
            return ", ".join(self.names[one.name, each] for each in one.choices if (one.name, each) in self.names)
        return self.names.get((one.name, code), "")

    def instrument(self, form: str) -> tuple[str, Certainty]:
        """What names a form that repeats in its rows; empty for one that does not."""
        title = self.project.labels.get(form, form)
        rows = self.export.rows if self.export else ()
        for cell in dict.fromkeys(row.get(self.own.get(INSTRUMENT, ""), "") for row in rows):
            if cell and (cell in (form, title) or joined(cell) == form):
                return cell, "sure" if cell in (form, title) else "likely"
        if form in self.project.repeating:
            return title if self.labels else form, "sure"
        return "", "sure" if self.project.repeating else "likely"

    def events(self, form: str) -> tuple[list[str], Certainty]:
        """The events of a form, as the export names them: of the project, else those in which it is filled."""
        told = self.project.forms.get(form, ())
        if told:
            return [self.project.events.get(one, one) if self.labels else one for one in told], "sure"
        columns = [
            name
            for one in self.fields.forms[form]
            if one is not self.fields.record
            for code in one.columns.values()
            if (name := self.names.get((one.name, code)))
        ]
        rows = self.export.rows if self.export else ()
        filled = (
            row.get(self.own.get(EVENT, ""), "")
            for row in rows
            if any(row.get(name) not in ("", "0", "Unchecked", None) for name in columns)
        )
        return [event for event in dict.fromkeys(filled) if event], "likely"
