"""The subjects of all tables: when each was first given immunoglobulin, and its last date."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhir_ivig.deidentify.cells import People
from fhir_ivig.deidentify.dates import NONE, day_numbers
from fhir_ivig.deidentify.key import Key
from fhir_ivig.study.classes import class_of
from fhir_ivig.study.study import Study
from fhir_ivig.study.texts import strings

GIVEN = ("completed", "stopped")  # as endpoints count ages from
_NEVER = np.iinfo(np.int32).max


def people(study: Study, tables: Mapping[str, pa.Table], key: Key) -> People:
    """Everybody named in any table. For the first infusion stands the first day of a course where none was given, and
    the first assessment where there is no course."""
    named = [table["subject"].unique() for table in tables.values() if "subject" in table.schema.names]
    every = strings(dict.fromkeys(subject for each in named for subject in each.to_pylist() if subject))
    found = People(
        every,
        np.full(len(every), NONE, dtype=np.int32),
        np.full(len(every), NONE, dtype=np.int32),
        np.array([key.days(subject) for subject in every.to_pylist()], dtype=np.int64),
    )
    infused = tables.get("infusions")
    if infused is not None:
        infused = infused.filter(pc.is_in(infused["status"], strings(GIVEN)))
    begun = ((infused, "start"), (tables.get("courses"), "start"), (tables.get("assessments"), "date"))
    for table, column in begun:
        if table is not None:
            first = np.full(len(every), _NEVER, dtype=np.int32)
            where, days = _known(found, table, column)
            np.minimum.at(first, where, days)
            found.first[:] = np.where((found.first == NONE) & (first != _NEVER), first, found.first)
    for name, table in tables.items():
        for each in study.dictionary[name].columns.values():
            if class_of(each) == "shift":
                np.maximum.at(found.last, *_known(found, table, each.name))
    return found


def _known(found: People, table: pa.Table, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Where in `found` the subjects of those rows stand whose date is exact, and these days."""
    places = found.places(table["subject"].combine_chunks())
    days = day_numbers(table[column].combine_chunks())
    exact = (days != NONE) & (places >= 0)
    return places[exact], days[exact]
