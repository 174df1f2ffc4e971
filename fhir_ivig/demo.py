"""The sample study through a FHIR server and back: what the whole package is for, in one call."""

from __future__ import annotations

import filecmp
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from fhir_ivig.study.study import Study
from fhir_ivig.sync.pull_study import pull_study
from fhir_ivig.sync.push_study import PushedStudy, push_study
from fhir_ivig.sync.tabulate import Tabulated

if TYPE_CHECKING:
    from fhir_ivig.endpoints.result import Result


def sample() -> Path:
    """The folder of the sample study: in a wheel inside the package, in a checkout beside it."""
    inside = Path(str(files("fhir_ivig"))) / "sample_bundles"
    return (inside if inside.is_dir() else inside.parent.parent / "sample_bundles") / "hara2003"


@dataclass(slots=True)
class Demo:
    """What the demo saw: two pushes, the pull, each table's file (True: pulled as sent), and the endpoints."""

    pushes: list[PushedStudy] = field(default_factory=list)
    pulled: Tabulated = field(default_factory=Tabulated)
    files: dict[str, bool] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether all went as promised: nothing failed, the second push sent nothing, files and figures are equal."""
        second = self.pushes[1]
        figures = [result.agrees for result in self.results if result.published is not None]
        sent_once = not second.created and not second.updated
        whole = all(push.complete for push in self.pushes) and self.pulled.complete
        return sent_once and whole and all(self.files.values()) and bool(figures) and all(figures)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        from fhir_ivig.endpoints.result import as_dict

        return {
            "complete": self.complete,
            "pushes": [push.as_dict() for push in self.pushes],
            "pull": self.pulled.as_dict(),
            "files": self.files,
            "results": [as_dict(result) for result in self.results],
        }


def run_demo(out: Path | None = None, progress: Callable[..., None] | None = None) -> Demo:
    """Push the sample study twice to a sandbox server, pull it into `out` (a temporary folder if None), compare the
    tables byte by byte with those of the sample, compute the endpoints from what was pulled.

    Needs the extra `sandbox`; IssueError says so if it is not there.
    """
    from fhir_ivig.library import compute_endpoints
    from fhir_ivig.sync.sandbox import sandbox

    study, demo = Study.load(sample()), Demo()
    with TemporaryDirectory(prefix="fhir-ivig-") as folder, sandbox() as server:
        cohort = out or Path(folder) / "cohort"
        journal = Path(folder) / "journal"
        demo.pushes = [push_study(study, server, journal=journal, progress=progress) for _ in range(2)]
        demo.pulled = pull_study(study, server, cohort, progress=progress)
        for table in study.tables:
            name = f"{table}.csv"
            demo.files[name] = (cohort / name).exists() and filecmp.cmp(sample() / name, cohort / name, shallow=False)
        demo.results, issues = compute_endpoints(cohort)
        demo.pulled.log.add(issues)
    return demo
