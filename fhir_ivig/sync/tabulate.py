"""FHIR resources as the study's tables, each row with the resources behind it in `resources/<table>.csv`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fhir_ivig.fhir.files import BLOCK_BYTES, read_blocks
from fhir_ivig.fhir.lines import Block
from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.mapping.collection import Bound
from fhir_ivig.mapping.references import References, Told
from fhir_ivig.study.study import Study
from fhir_ivig.sync.export import Progress, bind
from fhir_ivig.sync.gathering import Gathering
from fhir_ivig.sync.issues import IssueLog
from fhir_ivig.sync.whole import whole_folder, write_manifest

if TYPE_CHECKING:
    from fhir_ivig.mapping.reading import Read

Form = Literal["csv", "parquet"]
Convert = Callable[[Path], Iterable[Issue]]


@dataclass(slots=True)
class Tabulated:
    """What became of the resources read: `rows` by table; `withheld` by mapping; `unclaimed` by no mapping.

    `resources` read = `gave` a row (several may give one) + withheld + unclaimed + `broken` lines, entries and files
    cut off. `out` is the folder written, where that is not the one asked for.
    """

    resources: int = 0
    gave: Counter[str] = field(default_factory=Counter)
    withheld: Counter[str] = field(default_factory=Counter)
    unclaimed: int = 0
    broken: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    log: IssueLog = field(default_factory=IssueLog)
    out: Path | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing that should have given a row was withheld."""
        return not self.log.failed

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "complete": self.complete,
            "resources": self.resources,
            "rows": self.rows,
            "withheld": +self.withheld,
            "unclaimed": self.unclaimed,
            "broken": self.broken,
            "issues": self.log.counts,
        }


def tabulate(
    paths: Iterable[Path | str],
    study: Study,
    out: Path,
    *,
    version: str | None = None,
    form: Form = "csv",
    sort: bool = False,
    convert: Convert | None = None,
    progress: Progress | None = None,
) -> Tabulated:
    """Read FHIR files and folders (see `fhir.files.read_blocks`) into the study's tables, in the folder `out`.

    Resources that no mapping claims, or in which something is wrong, give no row and an Issue (all in
    `issues.ndjson`). Rows are in the order of the resources; with `sort` by key, visits and measures as in study.yaml
    (then each table is held in memory). Assessments without a visit get it from their day, where one window holds it.
    `convert` is given the folder with the finished tables, to make what it will of them, and gives Issues.
    IssueError if there is not one resource; then `out` is as it was.
    """
    read, bound = [Path(path) for path in paths], bind(study, version)
    with (
        whole_folder(out, [*read, study.path]) as part,
        tabulating(part, study, bound, form=form, sort=sort, progress=progress) as tables,
    ):
        for block in read_blocks(read, BLOCK_BYTES):
            tables.take(block)
        found = tables.finish(convert)
        if not found.resources:
            raise IssueError(*found.log.first)
    return found


@contextmanager
def tabulating(
    folder: Path,
    study: Study,
    bound: Bound,
    *,
    form: Form = "csv",
    sort: bool = False,
    told: Iterable[Told] = (),
    base: str | None = None,
    progress: Progress | None = None,
) -> Iterator[Tabulating]:
    """As `tabulate`, into a folder that is there, of blocks as they come.

    `told` is what is known beforehand of whom references mean (see `sync.links`); `base` is the address of the server
    that the resources come from.
    """
    log = IssueLog(folder / "issues.ndjson")
    try:
        references = References(base)
        for each in told:
            references.learn(each)
        yield Tabulating(bound, Gathering(study, bound.mappings, folder, form, sort), log, references, progress)
    finally:
        log.close()


class Tabulating:
    """Tables under way: one pass over the resources, and one more over those whose references were not known yet."""

    def __init__(
        self, bound: Bound, gathering: Gathering, log: IssueLog, references: References, progress: Progress | None
    ) -> None:
        self.bound, self.gathering, self.references, self.progress = bound, gathering, references, progress
        self.tabulated = Tabulated(log=log)
        self.retry: dict[str, list[tuple[bytes, int]]] = {}

    def finish(self, convert: Convert | None = None) -> Tabulated:
        """The tables, when no block is left."""
        for file, lines in self.retry.items():
            data = b"".join(line for line, _ in lines)
            self.take(Block(file, data, [number for _, number in lines]), final=True)
        gathering, tabulated = self.gathering, self.tabulated
        found = gathering.finish()
        if convert and tabulated.resources:
            found = [issue.at(file=Path(issue.file or "").stem) for issue in found]  # no such file is left
            found += convert(gathering.folder)
        tabulated.log.add(found)
        tabulated.rows = gathering.rows
        about = {"study": gathering.study.study, "fhirVersion": self.bound.mappings.version}
        write_manifest(gathering.folder, {**about, **tabulated.as_dict()})
        return tabulated

    def take(self, block: Block, final: bool = False) -> None:
        """The rows of a block."""
        tabulated = self.tabulated
        tabulated.log.add(block.issues)
        lost = sum(issue.severity == "error" and issue.row is not None for issue in block.issues)
        tabulated.broken += lost
        tabulated.resources += lost
        if not block.data:
            return
        found = self.bound.read(block.data, block.numbers, block.file, self.references, final, block.ends)
        tabulated.log.add(found.issues)
        if not final:
            tabulated.resources += found.count
        tabulated.unclaimed += found.unclaimed
        tabulated.broken += found.broken
        if found.retry:
            self.retry.setdefault(block.file, []).extend(found.retry)
        for read in found.reads:
            self.one(read)
        if self.progress:
            self.progress(Path(block.file).name, tabulated.resources)

    def one(self, read: Read) -> None:
        self.tabulated.log.add(read.issues)
        self.tabulated.withheld[read.mapping] += read.withheld
        self.tabulated.gave[read.mapping] += read.batch.num_rows
        self.gathering.add(read)
