"""What a pull asks for: searches, and what is known of their subjects from an earlier pull."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Search:
    """One search: a resource type and its parameters, as FHIR writes them.

    `subjects` names the parameter that takes the Patients found before (subject, patient or individual); without it
    the search stands alone, and its Patients are the cohort. `values` are further values of the parameter `any_of`,
    of which any will do; so many are asked for at a time.
    """

    resource_type: str
    parameters: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    subjects: str | None = None
    any_of: str | None = None
    values: Sequence[str] = ()

    def of(self, group: Sequence[str]) -> dict[str, str | Sequence[str]]:
        """The parameters for some Patients, or some of the values."""
        name = self.subjects or self.any_of
        return {**self.parameters, **({name: ",".join(group)} if name else {})}


@dataclass(frozen=True, slots=True)
class Known:
    """What an earlier pull knows: of these Patients only what changed since `time` is asked for.

    `server_time` is the earlier pull's own, from which `time` is a little before.
    """

    time: str
    server_time: str
    patients: frozenset[str]
