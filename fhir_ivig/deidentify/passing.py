"""De-identified on the way: what was received or written in between is in a passing folder, and ends with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fhir_ivig.deidentify.key import Key, new_key
from fhir_ivig.deidentify.study import Deidentified, deidentify, refuse_mixed, refuse_unclassed
from fhir_ivig.issue import Issue
from fhir_ivig.study.study import Study
from fhir_ivig.sync.whole import check_place, passing_folder


@contextmanager
def deidentified(
    study: Study, key: Path, out: Path, fhir: Iterable[Path] = (), **how: Any
) -> Iterator[tuple[Study, Deidentified]]:
    """The study de-identified, while the block lasts, to write something of it to `out`: its own tables, or those
    read from FHIR files; `how` is as for `sync.tabulate.tabulate`.

    IssueError as `deidentify`, before any work where that can be known.
    """
    from fhir_ivig.sync.cohort import write_study
    from fhir_ivig.sync.tabulate import tabulate

    paths = list(fhir)
    issues = _ready(study, key, out, paths)
    with passing_folder() as passing:
        if paths:
            folder = passing / "tables"
            found = tabulate(paths, study, folder, **how)
            write_study(study, folder, folder, list(found.rows))
            study, issues = Study.load(folder / "study.yaml"), [*issues, *found.log.first]
        made = deidentify(study, key, passing / "study")
        made.log.add(issues)
        yield Study.load(passing / "study" / "study.yaml"), made


def pull_deidentified(study: Study, source: Any, key: Path, out: Path, **how: Any) -> Deidentified:
    """A study fetched from a server or folder, de-identified, in `out`, with FHIR written from its tables in
    `out/fhir`; `how` is as for `sync.pull_study.pull_study`. Nothing of what was received stays."""
    from fhir_ivig.sync.pull_study import pull_study

    issues = _ready(study, key, out)
    refuse_mixed(study, out)
    with passing_folder() as passing:
        folder = passing / "cohort"
        found = pull_study(study, source, folder, **how)
        made = deidentify(Study.load(folder / "study.yaml"), key, out, fhir=True)
    made.log.add([*issues, *found.log.first])
    return made


def _ready(study: Study, key: Path, out: Path, inputs: Iterable[Path] = ()) -> list[Issue]:
    """IssueError for what would be refused after the work. Out: what is to be told of the key."""
    refuse_unclassed(study)
    check_place(out, [study.path, key, *inputs])
    return [new_key(key)] if Key.load(key, study.base).new else []
