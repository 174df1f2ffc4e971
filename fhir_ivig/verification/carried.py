"""What of a study's tables its mappings carry to FHIR and back: nothing else can be in a record that was pulled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fhir_ivig.mapping.collection import Mappings
from fhir_ivig.study.study import Study
from fhir_ivig.verification.side import Side


@dataclass(frozen=True, slots=True)
class Carried:
    """By table: the columns that any mapping has, and the cells by which each mapping knows its rows."""

    columns: Mapping[str, frozenset[str]]
    rows: Mapping[str, tuple[Mapping[str, str], ...]]

    @classmethod
    def of(cls, study: Study, version: str) -> Carried:
        """What the mappings of a study carry in a FHIR version."""
        tables = Mappings.load(version, study.mappings).tables
        columns = {table: frozenset(name for one in found for name in one.columns) for table, found in tables.items()}
        return cls(columns, {table: tuple(one.rows for one in found) for table, found in tables.items()})

    def lost(self, side: Side, row: int) -> str | None:
        """What it is in a row that no mapping carries: `measure LD`; None where one does."""
        cells = self.rows.get(side.table.name, ())
        if any(all(side.cell(row, name) == cell for name, cell in known.items()) for known in cells):
            return None
        return ", ".join(
            f"{name} {side.cell(row, name)}" for name in dict.fromkeys(n for known in cells for n in known)
        )
