"""fhir-ivig: between the tables of an IVIG trial in myositis and FHIR, both ways.

Everything here is imported when it is first used; `import fhir_ivig` loads nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fhir_ivig.issue import Issue as Issue
    from fhir_ivig.issue import IssueError as IssueError
    from fhir_ivig.issue import from_outcome as from_outcome
    from fhir_ivig.issue import to_outcome as to_outcome
    from fhir_ivig.library import StudyMapping as StudyMapping
    from fhir_ivig.library import bind_mapping as bind_mapping
    from fhir_ivig.library import compute_endpoints as compute_endpoints
    from fhir_ivig.mapping.collection import Mappings as Mappings
    from fhir_ivig.study.study import Study as Study
    from fhir_ivig.sync.cohort import pull_study as pull  # noqa: F401
    from fhir_ivig.sync.cohort import push_study as push  # noqa: F401
    from fhir_ivig.sync.export import export as export
    from fhir_ivig.sync.tabulate import tabulate as tabulate

__version__ = "0.1.0"

_HOME = {
    "Issue": "issue",
    "IssueError": "issue",
    "from_outcome": "issue",
    "to_outcome": "issue",
    "StudyMapping": "library",
    "bind_mapping": "library",
    "compute_endpoints": "library",
    "Mappings": "mapping.collection",
    "Study": "study.study",
    "export": "sync.export",
    "tabulate": "sync.tabulate",
    "pull": "sync.cohort:pull_study",
    "push": "sync.cohort:push_study",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module fhir_ivig has no attribute {name}")
    module, _, other = _HOME[name].partition(":")
    return getattr(import_module(f"fhir_ivig.{module}"), other or name)


def __dir__() -> list[str]:
    return [*_HOME, "__version__"]
