"""What a report is made from: everything it shows comes from here, nothing is read or asked for later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_ivig.endpoints.definition import Definition
from fhir_ivig.endpoints.result import Result
from fhir_ivig.endpoints.tables import Tables
from fhir_ivig.issue import Issue


@dataclass(frozen=True, slots=True)
class Material:
    """A study's tables, what its file defines, and the results and Issues that came of it.

    `study` is the study file as plain dicts, lists and texts; `manifest` that of the pull (empty: tables that were
    not pulled); `hashes` the SHA-256 of each table's file; `made` the instant of the report and `version` that of
    this package. `incomplete` says that the reader asked for a report though the pull was not complete.
    """

    study: Mapping[str, Any]
    tables: Tables
    definition: Definition
    results: list[Result]
    issues: list[Issue]
    manifest: Mapping[str, Any] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    made: str = ""
    version: str = ""
    incomplete: bool = False

    def endpoints(self) -> dict[str, Mapping[str, Any]]:
        """The endpoints that are rightly formed, by name, as the study file gives them."""
        given = self.study.get("endpoints", {})
        named = given.items() if isinstance(given, dict) else ()
        return {str(name): entry for name, entry in named if isinstance(entry, dict)}
