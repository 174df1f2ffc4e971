"""How far a bulk export is: kept beside its files, so that a killed one goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fhir_ivig.fhir.bulk import Manifest
from fhir_ivig.fhir.folder import create

FILE = "state.json"


@dataclass(slots=True)
class State:
    """How far an export is; `asked` says which, `status` where the server tells of its job."""

    asked: dict[str, str]
    status: str = ""
    listed: list[str] = field(default_factory=list)  # see `listed`
    lines: dict[str, int] = field(default_factory=dict)  # of the files that are here
    begun: dict[str, tuple[str, int]] = field(default_factory=dict)  # of the file that is not whole (see `Download`)

    @classmethod
    def load(cls, folder: Path) -> State:
        """What is kept in a folder; of an export that asks for nothing if that cannot be read."""
        try:
            return cls(**json.loads((folder / FILE).read_bytes()))
        except (OSError, ValueError, TypeError):
            return cls({})

    def save(self, folder: Path) -> None:
        part = folder / "state.part"
        part.unlink(missing_ok=True)
        with create(part) as file:
            file.write(json.dumps(asdict(self)).encode())
        part.replace(folder / FILE)


def listed(manifest: Manifest) -> list[str]:
    """What tells one export's files from another's: when it was made, and the types of its files, in order."""
    return [manifest.transactionTime, *(file.kind for _, file in manifest.files())]
