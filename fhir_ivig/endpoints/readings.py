"""What was found of a measure at a visit, a value a subject."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from functools import cached_property

import pyarrow as pa

from fhir_ivig.endpoints.choosing import Chosen
from fhir_ivig.endpoints.definition import Measure, Population, Visit
from fhir_ivig.endpoints.numbers import Numbers
from fhir_ivig.endpoints.tables import Row, Tables, references
from fhir_ivig.issue import Issue

TABLE = "assessments"
COLUMNS = ("visit", "date", "sign", "value", "unit", "scale_max", "missing_reason")


class Readings:
    """What was found of a measure at a visit: values and rows by subject, and of every other subject the reason.

    Most subjects have one sound row, of which just the place in the table and the text (of a number) are kept until
    somebody wants the `Row` or the `Decimal`. What was looked at row by row, chosen among several, or carried from
    another visit is in `chosen`, and its number in `derived`. `gaps` are those left out for want of a
    value, and no other reason; `unused` says, subject by subject, why a value found was not used after all.
    """

    def __init__(self, tables: Tables, population: Population, measure: Measure, visit: Visit) -> None:
        self.tables, self.population, self.measure, self.visit = tables, population, measure, visit
        self.places: dict[str, int] = {}
        self.texts: pa.Array | None = None
        self.chosen: dict[str, Chosen] = {}
        self.derived: dict[str, Decimal] = {}
        self.reasons: dict[str, str] = {}
        self.gaps: set[str] = set()
        self.unused: dict[str, str] = {}
        self.issues: list[Issue] = []

    @property
    def subjects(self) -> set[str]:
        """Those who have a value."""
        return {*self.places, *self.chosen}

    @cached_property
    def values(self) -> dict[str, Decimal]:
        """The numbers."""
        texts = [] if self.texts is None else self.texts.to_pylist()
        return dict(zip(self.places, map(Decimal, texts), strict=False)) | self.derived

    def numbers(self, subjects: Sequence[str]) -> Numbers:
        """The numbers of these subjects, in their order."""
        import numpy as np

        if self.texts is None or self.derived.keys() & set(subjects):
            return Numbers.of(self.values[subject] for subject in subjects)
        index = dict(zip(self.places, range(len(self.places)), strict=True))
        places = np.fromiter((index[subject] for subject in subjects), np.int64, len(subjects))
        return Numbers.read(self.texts).at(places)

    @cached_property
    def rows(self) -> dict[str, Row]:
        """The row of each value; of a value from several rows the first of them, with the resources of all."""
        places = list(self.places.values())
        plain = dict(zip(self.places, self.tables.rows_at(TABLE, columns(self.tables), places), strict=True))
        return plain | {subject: chosen.row for subject, chosen in self.chosen.items()}

    def sources(self, subjects: Collection[str] | None = None) -> tuple[str, ...]:
        """The resources behind the values of these subjects, or of all."""
        wanted = self.subjects if subjects is None else subjects
        plain = self.tables.behind(TABLE, [self.places[one] for one in wanted if one in self.places])
        derived = references(self.chosen[one].row for one in wanted if one in self.chosen)
        return tuple(sorted({*plain, *derived}))


def columns(tables: Tables) -> tuple[str, ...]:
    """The columns of a reading's rows."""
    return COLUMNS + (("upper_limit",) if tables.has(TABLE, "upper_limit") else ())
