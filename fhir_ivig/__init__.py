"""fhir-ivig: between the tables of an IVIG trial in myositis and FHIR, both ways.

Everything here is imported when it is first used; `import fhir_ivig` loads nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fhir_ivig.deidentify.study import deidentify as deidentify_study
    from fhir_ivig.issue import Issue, IssueError, from_outcome, to_outcome
    from fhir_ivig.library import StudyMapping, bind_mapping, compute_endpoints
    from fhir_ivig.mapping.collection import Mappings
    from fhir_ivig.reporting import make_report
    from fhir_ivig.study.study import Study
    from fhir_ivig.sync.export import export
    from fhir_ivig.sync.pull_study import pull_study as pull
    from fhir_ivig.sync.push_study import push_study as push
    from fhir_ivig.sync.tabulate import tabulate
    from fhir_ivig.verification.study import diff_study

__all__ = [
    "Issue",
    "IssueError",
    "Mappings",
    "Study",
    "StudyMapping",
    "bind_mapping",
    "compute_endpoints",
    "deidentify_study",
    "diff_study",
    "export",
    "from_outcome",
    "make_report",
    "pull",
    "push",
    "tabulate",
    "to_outcome",
]
__version__ = "0.1.0"

_HOME = {
    "Issue": "issue",
    "IssueError": "issue",
    "from_outcome": "issue",
    "to_outcome": "issue",
    "StudyMapping": "library",
    "bind_mapping": "library",
    "compute_endpoints": "library",
    "diff_study": "verification.study",
    "make_report": "reporting",
    "deidentify_study": "deidentify.study:deidentify",
    "Mappings": "mapping.collection",
    "Study": "study.study",
    "export": "sync.export",
    "tabulate": "sync.tabulate",
    "pull": "sync.pull_study:pull_study",
    "push": "sync.push_study:push_study",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module fhir_ivig has no attribute {name}")
    module, _, other = _HOME[name].partition(":")
    return getattr(import_module(f"fhir_ivig.{module}"), other or name)


def __dir__() -> list[str]:
    return [*_HOME, "__version__"]
