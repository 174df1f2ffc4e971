"""Lines that every table of a proposed study.yaml may have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fhir_ivig.redcap.dictionary import Field
from fhir_ivig.redcap.known import Known
from fhir_ivig.redcap.matching import alike, word_of
from fhir_ivig.redcap.proposal import Certainty, Entry, scalar
from fhir_ivig.study.dictionary import Column


class Lines(Known):
    """How a file is read, whose rows they are, what the cells of a field mean, the fields that are left."""

    def _reading(self, fields: Sequence[Field]) -> Iterator[Entry]:
        """How the file is written: its delimiter, and numbers and times of these fields."""
        if self.export and self.export.delimiter != ",":
            yield Entry(f"delimiter: {scalar(self.export.delimiter).replace(chr(9), 'tab')}", "sure", "the export's")
        numbers = [one.validation for one in fields if one.validation.startswith("number")]
        commas = [one for one in numbers if one.endswith("comma_decimal")]
        if commas:
            certainty: Certainty = "sure" if commas == numbers else "to decide"
            yield Entry(
                "decimal: ','",
                certainty,
                "the validation of " + ("its" if certainty == "sure" else "some") + " numbers",
            )
        times = [one.validation for one in fields if one.validation.startswith("datetime")]
        if times:
            seconds = ":ss" if all("seconds" in one for one in times) else ""
            yield Entry(f"date_order: YYYY-MM-DD hh:mm{seconds}", "sure", "how REDCap exports times")
            yield Entry("zone: ?", "to decide", "REDCap's times have no zone: which one is meant?")

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
        return f"{one.label}{also}{', an identifier' if one.identifier else ''}"

    def _rest(self, fields: Sequence[Field]) -> Iterator[Entry]:
        for one in fields:
            kind = f"{one.kind}, an identifier" if one.identifier else one.kind
            yield Entry(
                f"?: {scalar(self.their(one))}",
                "to decide",
                f"{one.name}, {one.label} ({kind}): a column, or under ignore",
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
